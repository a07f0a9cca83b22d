"""What every pass must keep, on networks of any topology: some dozens here, thousands where MSTL_EDGE_NETWORKS says so."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from mstl_edge.artifact import inspect_flatbuffer
from mstl_edge.preprocess import normalize
from mstl_edge.recipe import StageSpec
from mstl_edge.training._keras import keras, tf
from mstl_edge.training.convert import to_int8_flatbuffer
from mstl_edge.training.fitting.fit import _optimizer, _training_step
from mstl_edge.training.judging.promises import promise_breaches
from mstl_edge.training.network.cut import borders, cut_behind
from mstl_edge.training.network.keras import from_keras, to_keras, weights_of
from mstl_edge.training.network.passes.absorb import absorb_batch_norm
from mstl_edge.training.network.passes.biases import with_corrected_biases
from mstl_edge.training.network.passes.equalize import equalized
from mstl_edge.training.network.passes.quantized import fake_quantized

from .checks import assert_the_file_computes_the_graph, close, told
from .random_networks import CLASSES, Plan, network_of, plans, probabilities_of, rewired

EXAMPLES = int(os.environ.get("MSTL_EDGE_NETWORKS", "24"))
PIXELS = np.repeat(np.repeat(np.random.default_rng(0).integers(0, 256, (16, 4, 4, 3)), 3, 1), 3, 2).astype(np.uint8)
IMAGES = normalize(PIXELS)

some = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
# Without shrinking: a plan is short as it is, and each of these takes seconds.
few = settings(some, max_examples=max(6, EXAMPLES // 4), phases=[Phase.explicit, Phase.generate])


@some
@given(plans)
def test_a_graph_and_its_keras_model_compute_the_same(plan: Plan) -> None:
    backbone = plan.backbone()
    graph = from_keras(backbone)
    close(told(graph, IMAGES), backbone(IMAGES, training=False))
    assert from_keras(to_keras(graph)).key() == graph.key()


@some
@given(plans)
def test_prefix_and_tail_of_a_border_compute_what_the_whole_does(plan: Plan) -> None:
    network = network_of(plan.backbone())
    whole, found = told(network, IMAGES), borders(network)
    assert {network.input.name, "head_pool"} <= set(found)
    for border in found[1 : len(found) - 1 : max(1, len(found) // 3)]:
        cut = cut_behind(network, border)
        assert cut.prefix is not None
        tail = to_keras(cut.tail, matrix_products=True)
        close(tail(told(cut.prefix, IMAGES), training=False), whole)


@some
@given(plans)
def test_absorbing_batch_norm_and_equalizing_leave_the_function_as_it_was(plan: Plan) -> None:
    network = probabilities_of(plan.backbone())
    absorbed = absorb_batch_norm(network)
    assert not any(node.kind == "batch_norm" for node in absorbed.nodes)
    close(told(absorbed, IMAGES), told(network, IMAGES))
    close(told(equalized(absorbed, PIXELS), IMAGES), told(absorbed, IMAGES))


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
    features = IMAGES if cut.prefix is None else told(cut.prefix, IMAGES)
    _stepped(tail, spec, features, classes, weights)

    whole = to_keras(network)
    above = network.descendants(border)
    for layer in whole.layers:
        layer.trainable = layer.name in above and not isinstance(layer, keras.layers.BatchNormalization)
    _stepped(whole, spec, IMAGES, classes, weights)
    close(told(network.with_weights(weights_of(tail)), IMAGES), whole(IMAGES, training=False))
    assert np.abs(told(network, IMAGES) - np.asarray(whole(IMAGES, training=False))).max() > 1e-4


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
    assert_the_file_computes_the_graph(quantized, PIXELS)
    breaches = promise_breaches(inspect_flatbuffer(to_int8_flatbuffer(quantized)), allow_float=False)
    assert breaches == []
