"""A backbone and its head as one graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.recipe import BackboneSpec
from mstl_edge.training._keras import keras
from mstl_edge.training.network.graph import Graph, Node
from mstl_edge.training.network.keras import from_keras
from mstl_edge_models import backbones

POOL, LOGITS, FLAT, PROBABILITIES = "head_pool", "head_logits", "head_flat", "head_probabilities"


def build_backbone(spec: BackboneSpec) -> Any:
    """Return a backbone as its file builds it: a Keras model with random weights."""
    return backbones.REGISTRY[spec.name].build(keras, spec)


def classifier(spec: BackboneSpec, backbone: Any, classes: int) -> Graph:
    """Return a backbone and an empty head as one graph.

    `(batch, input_size, input_size, 3) float32 in [−1, 1)` → `(batch, classes)` logits.

    Args:
        spec: Names the network.
        backbone: From `build_backbone`, with the weights that the network begins with.
        classes: How many.
    """
    graph = from_keras(backbone)
    height, width, channels = graph[graph.output].shape
    # Not a global average, which TFLite computes by MEAN: tflite-runtime rounds that one differently on ARM and on x86.
    pool = {"size": (height, width), "strides": (height, width), "padding": "valid"}
    # A pointwise convolution, as in Howard et al. 2017: unlike a dense layer it is quantized per channel by every runtime.
    pointwise = {"kernel_size": (1, 1), "strides": (1, 1), "padding": "valid", "dilation": (1, 1), "groups": 1}
    head = (
        Node(POOL, "average_pool", (graph.output,), (1, 1, channels), pool),
        Node(LOGITS, "conv", (POOL,), (1, 1, classes), pointwise),
        Node(FLAT, "reshape", (LOGITS,), (classes,)),
    )
    kernel, bias = np.zeros((1, 1, channels, classes), np.float32), np.zeros(classes, np.float32)
    weights = {**graph.weights, LOGITS: (kernel, bias)}
    return Graph(spec.name, (*graph.nodes, *head), weights, FLAT)


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
