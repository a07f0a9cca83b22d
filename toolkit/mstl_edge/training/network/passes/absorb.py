"""BatchNorm absorbed into the convolution in front of it, as a device's converter would.

A frozen BatchNorm is an affine map per channel (Ioffe and Szegedy 2015), so the network answers the same; without those layers
there is nothing left in fake quantization whose statistics could drift.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.training.network import ops
from mstl_edge.training.network.graph import Graph, Node, renamed

SMALLEST_KERNEL = 5.2e-6
"""Largest |kernel| over |bias|, below which a bias would need more than the 2^30 steps that the converter caps it at, at an input
scale of 6/255: 127 · 255 / 6 / 2^30, and a little."""

Arrays = tuple[NDArray[np.float32], ...]


def absorb_batch_norm(graph: Graph) -> Graph:
    """Return a network without BatchNorm that computes the same at inference.

    One that alone reads a convolution is absorbed by it; any other becomes a depthwise convolution of one pixel. Every convolution
    has a bias then.
    """
    weights: dict[str, Arrays] = {}
    nodes: list[Node] = []
    stands_for: dict[str, str] = {}
    for node in graph.nodes:
        inputs = renamed(node.inputs, stands_for)
        if node.kind != "batch_norm":
            nodes.append(replace(node, inputs=inputs))
            if node.name in graph.weights:
                weights[node.name] = _with_bias(node, graph.weights[node.name])
            continue
        scale, shift = _affine(node, graph.weights[node.name])
        made = graph[node.inputs[0]]
        if ops.TABLE[made.kind].convolves and graph.sole_reader(made.name) is node:
            stands_for[node.name] = made.name
            weights[made.name] = _absorbed(made, weights[made.name], scale, shift)
        else:
            one = {"kernel_size": (1, 1), "strides": (1, 1), "padding": "valid", "dilation": (1, 1)}
            nodes.append(Node(node.name, "depthwise", inputs, node.shape, one))
            weights[node.name] = (scale.astype(np.float32).reshape(1, 1, -1, 1), shift.astype(np.float32))
    return Graph(graph.name, tuple(nodes), weights, stands_for.get(graph.output, graph.output))


def _with_bias(node: Node, arrays: Arrays) -> Arrays:
    if not ops.TABLE[node.kind].convolves or len(arrays) > 1:
        return arrays
    return (*arrays, np.zeros(node.shape[-1], dtype=np.float32))


def _affine(node: Node, arrays: Arrays) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what a frozen BatchNorm multiplies by, and then adds, `(channels,)` each."""
    gamma, beta, mean, variance = (array.astype(np.float64) for array in arrays)
    scale = gamma / np.sqrt(variance + node.config["epsilon"])
    return scale, beta - mean * scale


def _absorbed(node: Node, arrays: Arrays, scale: NDArray[np.float64], shift: NDArray[np.float64]) -> Arrays:
    kernel, bias = (array.astype(np.float64) for array in arrays)
    kernel = kernel * along_outputs(node, kernel, scale)
    bias = bias * scale + shift
    alive = ~(largest_of(node, kernel) < smallest_kernel(bias))
    return (kernel * along_outputs(node, kernel, alive)).astype(np.float32), bias.astype(np.float32)


def along_outputs(node: Node, kernel: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
    """Return one value per output channel shaped to multiply a kernel."""
    axis = ops.TABLE[node.kind].outputs % kernel.ndim
    return values.reshape([-1 if position == axis else 1 for position in range(kernel.ndim)])


def largest_of(node: Node, kernel: NDArray[Any]) -> NDArray[Any]:
    """Return the largest magnitude in the kernel of each output channel."""
    axis = ops.TABLE[node.kind].outputs % kernel.ndim
    return np.asarray(np.abs(kernel).max(axis=tuple(other for other in range(kernel.ndim) if other != axis)))


def smallest_kernel(bias: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Return the largest magnitude per channel that a kernel must keep beside `bias`, so that the bias fits into int32.

    Kernels that pruned themselves in training (gamma near zero) beside a bias that did not are set to zero: an int8 file stores a
    bias as int32 in units of input scale times kernel scale, where it would not fit, and the converter would silently clip it.
    """
    return np.asarray(SMALLEST_KERNEL * np.maximum(np.abs(bias), 0.1))
