"""What every pass must keep, on networks of any topology: some dozens here, thousands where MSTL_EDGE_NETWORKS says so."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import HealthCheck, Phase, given, settings

from mstl_edge.artifact import inspect_flatbuffer
from mstl_edge.preprocess import normalize
from mstl_edge.recipe import StageSpec
from mstl_edge.training._keras import keras, tf
from mstl_edge.training.convert import to_int8_flatbuffer
from mstl_edge.training.fit import _optimizer, _training_step
from mstl_edge.training.gate import promise_breaches
from mstl_edge.training.network.absorb import absorb_batch_norm
from mstl_edge.training.network.biases import with_corrected_biases
from mstl_edge.training.network.cut import borders, cut_behind
from mstl_edge.training.network.equalize import equalized
from mstl_edge.training.network.graph import Graph
from mstl_edge.training.network.keras import from_keras, layers_of, to_keras, weights_of
from mstl_edge.training.network.quantized import fake_quantized

from .random_networks import CLASSES, Plan, network_of, plans, probabilities_of, rewired

EXAMPLES = int(os.environ.get("MSTL_EDGE_NETWORKS", "24"))
PIXELS = np.repeat(np.repeat(np.random.default_rng(0).integers(0, 256, (16, 4, 4, 3)), 3, 1), 3, 2).astype(np.uint8)
IMAGES = normalize(PIXELS)

some = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
# Without shrinking: a plan is short as it is, and each of these takes seconds.
few = settings(some, max_examples=max(6, EXAMPLES // 4), phases=[Phase.explicit, Phase.generate])


def told(graph: Graph, images: np.ndarray = IMAGES) -> np.ndarray:
    return np.asarray(to_keras(graph)(images, training=False))


def close(found: Any, wanted: Any) -> None:
    scale = max(1.0, float(np.abs(np.asarray(wanted)).max()))
    np.testing.assert_allclose(np.asarray(found) / scale, np.asarray(wanted) / scale, atol=1e-4)


@some
@given(plans)
def test_a_graph_and_its_keras_model_compute_the_same(plan: Plan) -> None:
    backbone = plan.backbone()
    graph = from_keras(backbone)
    close(told(graph), backbone(IMAGES, training=False))
    assert from_keras(to_keras(graph)).key() == graph.key()


@some
@given(plans)
def test_prefix_and_tail_of_a_border_compute_what_the_whole_does(plan: Plan) -> None:
    network = network_of(plan.backbone())
    whole, found = told(network), borders(network)
    assert {network.input.name, "head_pool"} <= set(found)
    for border in found[1 : len(found) - 1 : max(1, len(found) // 3)]:
        cut = cut_behind(network, border)
        assert cut.prefix is not None
        tail = to_keras(cut.tail, matrix_products=True)
        close(tail(told(cut.prefix), training=False), whole)


@some
@given(plans)
def test_absorbing_batch_norm_and_equalizing_leave_the_function_as_it_was(plan: Plan) -> None:
    network = probabilities_of(plan.backbone())
    absorbed = absorb_batch_norm(network)
    assert not any(node.kind == "batch_norm" for node in absorbed.nodes)
    close(told(absorbed), told(network))
    close(told(equalized(absorbed, PIXELS)), told(absorbed))


@some
@given(plans)
def test_the_key_follows_edges(plan: Plan) -> None:
    graph = from_keras(plan.backbone())
    other = rewired(graph)
    assert other is None or other.key() != graph.key()


@few
@given(plans)
def test_one_step_of_the_tail_is_one_step_of_the_whole(plan: Plan) -> None:
    network = network_of(plan.backbone())
    found = borders(network)
    border = found[len(found) // 2]
    cut = cut_behind(network, border)
    spec = StageSpec(name="one", data="", unfreeze_from="", optimizer="sgd", learning_rate=0.05)
    classes = np.eye(CLASSES, dtype=np.float32)[np.arange(len(IMAGES)) % CLASSES]
    weights = tf.ones(len(IMAGES))

    tail = to_keras(cut.tail, matrix_products=True)
    features = IMAGES if cut.prefix is None else told(cut.prefix)
    _stepped(tail, spec, features, classes, weights)

    whole = to_keras(network)
    above = network.descendants(border)
    for layer in whole.layers:
        layer.trainable = layer.name in above and not isinstance(layer, keras.layers.BatchNormalization)
    _stepped(whole, spec, IMAGES, classes, weights)
    close(told(network.with_weights(weights_of(tail))), whole(IMAGES, training=False))
    assert np.abs(told(network) - np.asarray(whole(IMAGES, training=False))).max() > 1e-4


def _stepped(model: Any, spec: StageSpec, given: Any, classes: Any, weights: Any) -> None:
    optimizer = _optimizer(spec)
    optimizer.build(model.trainable_variables)
    _training_step(model, optimizer)(tf.constant(given), tf.constant(classes), weights)


@pytest.mark.slow
@few
@given(plans)
def test_the_int8_file_computes_what_fake_quantization_does(plan: Plan) -> None:
    absorbed = absorb_batch_norm(probabilities_of(plan.backbone()))
    plain = fake_quantized(absorbed, [IMAGES])
    quantized = with_corrected_biases(plain, absorbed, IMAGES)
    flatbuffer = to_int8_flatbuffer(quantized, signature=False)
    computed = _computed(flatbuffer, quantized)
    layers, values = layers_of(to_keras(quantized)), {quantized.input.name: IMAGES}
    equal = []
    for node in quantized.nodes[1:]:
        read = [values[name] for name in node.inputs]
        told = np.asarray(layers[node.name](read if len(read) > 1 else read[0]))
        values[node.name] = computed.get(node.name, told)
        if node.rounding is not None:
            step = (node.rounding.high - node.rounding.low) / 255
            apart = np.abs(computed[node.name] - told) / step
            assert apart.max() <= 1.01, node
            # An average of a few values often lies half-way, where a device rounds away from zero.
            equal += [apart.ravel() <= 0.01] if node.kind != "average_pool" else []
    assert np.mean(np.concatenate(equal)) >= 0.95
    breaches = promise_breaches(inspect_flatbuffer(to_int8_flatbuffer(quantized)), allow_float=False)
    assert breaches == []


def _computed(flatbuffer: bytes, graph: Graph) -> dict[str, np.ndarray]:
    """What the file's operators compute by LiteRT's reference kernels, each in real numbers, by the nodes that they stand for."""
    interpreter = Interpreter(
        model_content=flatbuffer,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    operators = interpreter._get_ops_details()
    assert not {"QUANTIZE", "DEQUANTIZE"} & {operator["op_name"] for operator in operators}
    made = {number for operator in operators for number in operator["outputs"]}
    tensors = {t["name"].split(";")[0]: t for t in interpreter.get_tensor_details() if t["index"] in made}
    rounded = [node.name for node in graph.nodes[1:] if node.rounding is not None]
    found = {name: next(t for key, t in tensors.items() if f"/quant_{name}/" in key) for name in rounded}
    outputs: dict[str, list[np.ndarray]] = {name: [] for name in rounded}
    for image in PIXELS:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], (image ^ np.uint8(128)).view(np.int8)[None])
        interpreter.invoke()
        for name, tensor in found.items():
            scale, zero = tensor["quantization"]
            outputs[name].append(
                (interpreter.get_tensor(tensor["index"]).astype(np.float32) - zero) * np.float32(scale)
            )
    return {name: np.concatenate(arrays) for name, arrays in outputs.items()}
