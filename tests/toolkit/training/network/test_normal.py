"""Many spellings, one form; and what cannot be spelled is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mstl_edge.errors import MstlEdgeError
from mstl_edge.preprocess import normalize
from mstl_edge.training._keras import keras, tf
from mstl_edge.training.network.classifier import NORMALIZED, normalized
from mstl_edge.training.network.graph import Graph
from mstl_edge.training.network.keras import from_keras, to_keras

L = keras.layers


def graph_of(build: Any) -> Graph:
    image = L.Input((8, 8, 4), name="given")
    return from_keras(keras.Model(image, build(image)))


def kinds(graph: Graph) -> list[str]:
    return [node.kind for node in graph.nodes[1:]]


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda x: L.Activation("relu", name="a")(x), ["relu"]),
        (lambda x: L.Conv2D(2, 1, activation="relu6", name="a")(x), ["conv", "relu"]),
        (lambda x: L.Conv2D(2, 1, activation="swish", name="a")(x), ["conv", "sigmoid", "multiply"]),
        (lambda x: L.SeparableConv2D(2, 3, name="a")(x), ["depthwise", "conv"]),
        (lambda x: L.Add(name="a")([x, x, x]), ["add", "add"]),
        (lambda x: L.Add(name="a")([L.ReLU(name="b")(x), L.Activation("relu", name="c")(x)]), ["relu", "add"]),
        (lambda x: L.Cropping2D(((1, 0), (1, 0)), name="a")(x), ["crop"]),
        (lambda x: L.Cropping2D(((0, 0), (1, 2)), data_format="channels_first", name="a")(x), ["slice"]),
        (
            lambda x: L.Multiply(name="a")([x, L.ReLU(6.0)(x + 3.0) * 0.5]),
            ["add_constant", "relu", "multiply_constant", "multiply"],
        ),
        (lambda x: L.GlobalAveragePooling2D(name="a")(x), ["average_pool", "reshape"]),
        (lambda x: L.Dropout(0.5, name="a")(L.Activation("linear", name="b")(x)), []),
        (lambda x: L.Dense(3, activation="softmax", name="a")(L.Flatten(name="f")(x)), ["reshape", "dense", "softmax"]),
    ],
)
def test_each_spelling_is_written_in_operators_of_the_table(build: Any, expected: list[str]) -> None:
    assert kinds(graph_of(build)) == expected


def test_a_batch_norm_without_scale_or_center_is_one_with_ones_or_zeros() -> None:
    graph = graph_of(lambda x: L.BatchNormalization(scale=False, center=False, name="bn")(x))
    gamma, beta, mean, variance = graph.weights["bn"]
    assert (gamma.tolist(), beta.tolist(), mean.tolist(), variance.tolist()) == ([1] * 4, [0] * 4, [0] * 4, [1] * 4)


@pytest.mark.parametrize(
    ("build", "received"),
    [
        (lambda x: L.Conv2DTranspose(2, 3, name="up")(x), "Conv2DTranspose in layer up"),
        (lambda x: L.Lambda(lambda v: v, name="own")(x), "Lambda in layer own"),
        (
            lambda x: L.Cropping2D(1, data_format="channels_first", name="crop")(x),
            "a crop of columns and channels in layer crop",
        ),
        (lambda x: x / 3.0, "tf.math.truediv in layer"),
        (lambda x: L.Activation("gelu", name="act")(x), "the activation gelu in layer act"),
        (lambda x: L.LeakyReLU(name="leaky")(x), "LeakyReLU in layer leaky"),
        (lambda x: L.ReLU(negative_slope=0.1, name="leaky")(x), "a leaky or thresholded ReLU in layer leaky"),
        (lambda x: L.DepthwiseConv2D(3, depth_multiplier=2, name="dw")(x), "depth_multiplier=2 in layer dw"),
        (lambda x: L.BatchNormalization(axis=1, name="bn")(x), r"a BatchNorm over axis \[1\] in layer bn"),
        (lambda x: L.Concatenate(1, name="cat")([x, x]), "a concatenation along axis 1 in layer cat"),
        (lambda x: keras.Sequential([L.ReLU()], name="inner")(x), "a model in a model in layer inner"),
    ],
)
def test_what_the_table_lacks_is_named_with_its_layer(build: Any, received: str) -> None:
    with pytest.raises(MstlEdgeError, match=rf"operators that an int8 file can hold.*Received: .*{received}"):
        graph_of(build)


def test_a_layer_that_is_called_twice_is_named() -> None:
    shared = L.Conv2D(4, 1, name="shared")
    with pytest.raises(MstlEdgeError, match="a layer that is called twice in layer shared"):
        graph_of(lambda x: shared(shared(x)))


@pytest.mark.parametrize("mode", ["torch", "caffe"])
def test_a_network_that_expects_other_pixels_gets_them_by_an_operator_in_front(mode: str) -> None:
    image = L.Input((6, 6, 3))
    model = keras.Model(image, L.Conv2D(2, 3, padding="same", name="first")(image))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 6, 6, 3)).astype(np.uint8)
    graph = normalized(from_keras(model), mode)
    assert graph.nodes[1].name == NORMALIZED
    expected = keras.applications.imagenet_utils.preprocess_input(pixels.astype(np.float32), mode=mode)
    np.testing.assert_allclose(
        to_keras(graph)(normalize(pixels)), model(tf.constant(expected)), rtol=1e-4, atol=1e-4 * np.abs(expected).max()
    )


def test_what_keras_numbers_over_a_process_is_numbered_by_its_place() -> None:
    def build(x: Any) -> Any:
        return L.MaxPooling2D(2)(L.ZeroPadding2D()(L.ReLU(6.0)(x + 3.0)))

    first, second = (graph_of(build) for _ in range(2))
    assert [node.name for node in first.nodes] == [node.name for node in second.nodes]
    assert first.nodes[1].name == "tf.__operators__.add_1"
    assert [node.name for node in first.nodes[2:]] == ["re_lu_1", "zero_padding2d_1", "max_pooling2d_1"]
