"""A backbone and its head as one graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.recipe import BackboneSpec
from mstl_edge.training._keras import keras
from mstl_edge.training.network.graph import Graph, Node, renamed
from mstl_edge.training.network.keras import from_keras
from mstl_edge_models import backbones
from mstl_edge_models.backbones.base import IMAGENET_BGR_MEAN, IMAGENET_DEVIATION, IMAGENET_MEAN

POOL, LOGITS, FLAT, PROBABILITIES = "head_pool", "head_logits", "head_flat", "head_probabilities"
NORMALIZED = "normalized"
_POINTWISE = {"kernel_size": (1, 1), "strides": (1, 1), "padding": "valid", "dilation": (1, 1), "groups": 1}

_MEAN, _DEVIATION = np.array(IMAGENET_MEAN), np.array(IMAGENET_DEVIATION)
_BGR_MEAN = np.array(IMAGENET_BGR_MEAN)
_PIXELS = {
    "torch": (np.diag(128 / 255 / _DEVIATION), (128 / 255 - _MEAN) / _DEVIATION),
    "caffe": (128 * np.eye(3)[::-1], 128 - _BGR_MEAN),
    "bgr": (128 / 255 * np.eye(3)[::-1], np.full(3, 128 / 255)),
}
"""From x = (p − 128) / 128 to what weights expect of a pixel p, as `keras.applications.imagenet_utils` has it: a kernel, input
channel × output channel, and a bias."""


def build_backbone(spec: BackboneSpec) -> Any:
    """Return a backbone as its file builds it: a Keras model with random weights."""
    return backbones.REGISTRY[spec.name].build(keras, spec)


def classifier(spec: BackboneSpec, backbone: Any, classes: int) -> Graph:
    """Return a backbone and an empty head as one graph.

    `(batch, input_size, input_size, 3) float32 in [−1, 1)` → `(batch, classes)` logits.

    Args:
        spec: Names the network, and so what its weights expect of pixels: where that is not [−1, 1), an operator in front of
            it makes it so, and the device computes uint8 − 128 as for any other.
        backbone: From `build_backbone`, with the weights that the network begins with.
        classes: How many.
    """
    graph = normalized(from_keras(backbone), backbones.REGISTRY[spec.name].pixels(spec.variant))
    return replace(with_head(graph, classes), name=spec.name)


def with_head(graph: Graph, classes: int) -> Graph:
    """Return a network of feature maps with an empty head: the mean over the map, then `classes` logits."""
    height, width, channels = graph[graph.output].shape
    # Not a global average, which TFLite computes by MEAN: tflite-runtime rounds that one differently on ARM and on x86.
    pool = {"size": (height, width), "strides": (height, width), "padding": "valid"}
    head = (
        Node(POOL, "average_pool", (graph.output,), (1, 1, channels), pool),
        # A convolution, as in Howard et al. 2017: unlike a dense layer it is quantized per channel by every runtime.
        Node(LOGITS, "conv", (POOL,), (1, 1, classes), _POINTWISE),
        Node(FLAT, "reshape", (LOGITS,), (classes,)),
    )
    kernel, bias = np.zeros((1, 1, channels, classes), np.float32), np.zeros(classes, np.float32)
    weights = {**graph.weights, LOGITS: (kernel, bias)}
    return Graph(graph.name, (*graph.nodes, *head), weights, FLAT)


def normalized(graph: Graph, normalization: str) -> Graph:
    """Return a network that is given [−1, 1), whatever its weights expect; see `Backbone.normalization`.

    The operator is not absorbed by the convolution behind it, whose padding stands for zeros behind the normalization.
    """
    if normalization == "tf":
        return graph
    matrix, shift = _PIXELS[normalization]
    pixels = graph.input
    nodes = [pixels, Node(NORMALIZED, "conv", (pixels.name,), pixels.shape, _POINTWISE)]
    nodes += [replace(n, inputs=renamed(n.inputs, {pixels.name: NORMALIZED})) for n in graph.nodes[1:]]
    kernel = np.asarray(matrix, np.float32).reshape(1, 1, 3, 3)
    return Graph(
        graph.name, tuple(nodes), {NORMALIZED: (kernel, np.asarray(shift, np.float32)), **graph.weights}, graph.output
    )


def fresh_head(graph: Graph, seed: int) -> Graph:
    """Return the network with a new head: Glorot uniform (Glorot and Bengio 2010), seeded, and zeros."""
    kernel, bias = graph.weights[LOGITS]
    features, classes = kernel.shape[-2:]
    limit = np.sqrt(6.0 / (features + classes))
    drawn = np.random.default_rng(seed).uniform(-limit, limit, (features, classes)).astype(np.float32)
    return graph.with_weights({LOGITS: [drawn, np.zeros_like(bias)]})


def with_backbone_of(graph: Graph, weights: Mapping[str, list[NDArray[np.float32]]]) -> Graph:
    """Return the network with the weights that an earlier stage left, its head's left out."""
    return graph.with_weights({name: arrays for name, arrays in weights.items() if name != LOGITS})


def with_softmax(graph: Graph, temperature: float) -> Graph:
    """Return a network of logits that ends in probabilities, with the temperature in its head's weights."""
    cooled = graph.with_weights({LOGITS: [array / np.float32(temperature) for array in graph.weights[LOGITS]]})
    softmax = Node(PROBABILITIES, "softmax", (graph.output,), graph[graph.output].shape)
    return cooled.with_nodes([*graph.nodes, softmax], output=PROBABILITIES)
