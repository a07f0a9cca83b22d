"""What a network costs: parameters, and multiply-accumulates of one image."""

from __future__ import annotations

import math

from mstl_edge.training.network import ops
from mstl_edge.training.network.graph import Graph, Node

_STATISTICS = 2
"""Arrays at the end of a BatchNorm that nothing trains."""


def trainable_parameters(graph: Graph) -> int:
    """Return how many numbers training may change: kernels, biases, gamma and beta, as publications count them."""
    kept = {
        node.name: graph.weights[node.name][: -_STATISTICS if node.kind == "batch_norm" else None]
        for node in graph.nodes
        if node.name in graph.weights
    }
    return sum(array.size for arrays in kept.values() for array in arrays)


def multiply_accumulates(graph: Graph) -> int:
    """Return the multiply-accumulates of convolutions and matrix products for one image; what else there is counts nothing."""
    return sum(_of(node, graph) for node in graph.nodes if ops.TABLE[node.kind].convolves)


def _of(node: Node, graph: Graph) -> int:
    kernel = graph.weights[node.name][0]
    if node.kind == "dense":
        return int(kernel.size)
    return math.prod(node.shape[:2]) * int(kernel.size)
