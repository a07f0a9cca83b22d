"""Which values are rounded, and which share one scale; training under rounding from the first layer on and of the head alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mstl_edge.training._keras import keras, tf
from mstl_edge.training.network.classifier import with_softmax
from mstl_edge.training.network.graph import Graph, Node
from mstl_edge.training.network.keras import to_keras
from mstl_edge.training.network.passes.absorb import absorb_batch_norm
from mstl_edge.training.network.passes.quantized import INPUT_RANGE, UNIT_RANGE, fake_quantized, fused_relu, unrounded

from .random_networks import network_of

L = keras.layers
IMAGES = np.random.default_rng(0).uniform(-1, 1, (8, 12, 12, 3)).astype(np.float32)


def quantized(build: Any) -> Graph:
    image = L.Input((12, 12, 3))
    model = keras.Model(image, build(image))
    rng = np.random.default_rng(1)
    for layer in model.layers:
        layer.set_weights([rng.normal(0, 0.6, variable.shape) for variable in layer.weights])
    return fake_quantized(absorb_batch_norm(with_softmax(network_of(model), 1.0)), [IMAGES])


def test_what_a_concatenation_joins_has_one_scale_and_so_has_what_is_made_of_it_by_moving() -> None:
    def build(image: Any) -> Any:
        left = L.ReLU(name="left")(L.Conv2D(4, 1, name="first")(image))
        right = L.Conv2D(4, 1, name="right")(image)
        joined = L.Concatenate(name="joined")([left, right])
        return L.AveragePooling2D(2, name="pooled")(joined)

    graph = quantized(build)
    assert graph["left"].rounding == graph["right"].rounding == graph["pooled"].rounding
    assert graph["head_pool"].rounding == graph["pooled"].rounding
    assert graph["left"].rounding is not None
    assert graph["left"].rounding.low < 0.0 < graph["left"].rounding.high
    assert graph["joined"].rounding is None
    assert {entry["layer"] for entry in unrounded(graph)} >= {"joined", "head_flat", "head_probabilities"}


def test_a_convolution_is_left_unrounded_only_where_its_sole_reader_is_the_relu_of_the_same_operator() -> None:
    def build(image: Any) -> Any:
        fused = L.ReLU(name="fused_relu")(L.Conv2D(4, 1, name="fused")(image))
        twice = L.Conv2D(4, 1, name="twice")(fused)
        return L.Add(name="sum")([L.ReLU(name="twice_relu")(twice), twice])

    graph = quantized(build)
    relu = fused_relu(graph, graph["fused"])
    assert relu is not None
    assert relu.name == "fused_relu"
    assert (graph["fused"].rounding, fused_relu(graph, graph["twice"])) == (None, None)
    assert graph["twice"].rounding is not None
    assert graph["twice_relu"].rounding is not None


def test_input_and_gate_have_the_scales_that_a_device_fixes() -> None:
    def build(image: Any) -> Any:
        return L.Multiply(name="gated")([image, L.Conv2D(3, 1, activation="sigmoid", name="gate")(image)])

    graph = quantized(build)
    assert (graph.input.rounding, graph["gate_sigmoid"].rounding) == (INPUT_RANGE, UNIT_RANGE)


def test_every_kernel_is_rounded_and_its_gradient_passes_through() -> None:
    graph = quantized(lambda image: L.SeparableConv2D(4, 3, name="separable")(L.Conv2D(4, 1, name="first")(image)))
    kernels: list[Node] = [node for node in graph.nodes if node.weight_bits == 8]
    assert [node.name for node in kernels] == ["first", "separable_depthwise", "separable", "head_logits"]
    model = to_keras(graph)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(IMAGES, training=True)[:, 0])
    gradients = tape.gradient(loss, model.trainable_variables)
    assert len(gradients) == 2 * len(kernels)
    assert all(float(tf.reduce_max(tf.abs(gradient))) > 0.0 for gradient in gradients)


@pytest.mark.parametrize("spread", [0.5, 40.0])
def test_ranges_hold_what_calibration_shows_and_zero(spread: float) -> None:
    image = L.Input((12, 12, 3))
    network = network_of(keras.Model(image, L.Conv2D(4, 1, name="only")(image)))
    given = IMAGES * np.float32(spread)
    graph = fake_quantized(with_softmax(network, 1.0), [given[:4], given[4:]])
    shown = np.asarray(to_keras(network.with_nodes(network.nodes[:2], output="only"))(given))
    rounding = graph["only"].rounding
    assert rounding is not None
    assert rounding.low == pytest.approx(min(0.0, shown.min()), rel=1e-5)
    assert rounding.high == pytest.approx(max(1e-3, shown.max()), rel=1e-5)
