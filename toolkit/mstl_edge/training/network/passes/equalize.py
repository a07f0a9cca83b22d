"""Activation ranges made equal across the channels of a tensor, so that one scale per tensor serves all of them.

An int8 activation has one scale for all its channels, and the widest channel sets it: a channel that reaches a tenth of
that range is left with 26 of 256 steps. Multiplying such a channel where it is made and dividing it where it is read
leaves the function as it was and gives the channel more steps (cross-layer equalization, Nagel et al. 2019,
arXiv:1906.04721, 4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mstl_edge.preprocess import normalize
from mstl_edge.training._keras import tf
from mstl_edge.training.network import ops
from mstl_edge.training.network.graph import Graph, Node
from mstl_edge.training.network.keras import probe
from mstl_edge.training.network.passes.absorb import along_outputs, smallest_kernel

HEADROOM = 1.1
"""Room above a channel's largest calibration value; beyond it a lifted channel would be cut off by its ReLU6 too early."""
LARGEST_FACTOR = 16.0
BATCH = 16


@dataclass(frozen=True)
class _Pair:
    """A convolution whose ReLU one other convolution alone reads."""

    makes: Node
    relu: Node
    reads: Node


def equalized(graph: Graph, pixels: NDArray[np.uint8]) -> Graph:
    """Return a network that computes what `graph` does, with channels of like range.

    Args:
        graph: Image → probabilities, without BatchNorm.
        pixels: `(n, height, width, 3) uint8`; their activations say how wide a channel is.
    """
    pairs = _pairs(graph)
    if not pairs:
        return graph
    weights = dict(graph.weights)
    for pair, largest in zip(pairs, _largest(graph, [pair.relu.name for pair in pairs], pixels), strict=True):
        kernel, bias = weights[pair.reads.name]
        factors = _factors(largest, pair.relu.config["limit"], kernel, bias, pair.reads)
        makes, shift = weights[pair.makes.name]
        weights[pair.makes.name] = (makes * along_outputs(pair.makes, makes, factors), shift * factors)
        weights[pair.reads.name] = (kernel / _along_inputs(pair.reads, kernel, factors), bias)
    return graph.with_weights(weights)


def _pairs(graph: Graph) -> list[_Pair]:
    found = []
    for relu in graph.nodes:
        if relu.kind != "relu":
            continue
        makes, reads = graph[relu.inputs[0]], graph.sole_reader(relu.name)
        while reads is not None and reads.kind == "pad":
            reads = graph.sole_reader(reads.name)
        if (
            reads is not None
            and _scales(reads)
            and ops.TABLE[makes.kind].convolves
            and graph.sole_reader(makes.name) is relu
        ):
            found.append(_Pair(makes, relu, reads))
    return found


def _scales(reads: Node) -> bool:
    """Whether each input channel of a convolution meets a slice of the kernel of its own."""
    return ops.TABLE[reads.kind].convolves and reads.config.get("groups", 1) == 1


def _largest(graph: Graph, relus: Sequence[str], pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Return the largest value per channel that each ReLU puts out, `(channels,)`."""
    observe = probe(graph, relus, lambda value: tf.reduce_max(value, axis=list(range(len(value.shape) - 1))))
    largest = [np.zeros(graph[name].shape[-1], dtype=np.float32) for name in relus]
    for start in range(0, len(pixels), BATCH):
        seen = observe(normalize(pixels[start : start + BATCH]))
        largest = [np.maximum(before, np.asarray(now)) for before, now in zip(largest, seen, strict=True)]
    return largest


def _factors(
    largest: NDArray[np.float32],
    limit: float | None,
    kernel: NDArray[np.float32],
    bias: NDArray[np.float32],
    reads: Node,
) -> NDArray[np.float32]:
    """Return what each channel is multiplied by, at least 1: a smaller factor would lift a ReLU6 above its limit.

    A depthwise kernel has a scale per channel and so is divided for free, as far as its bias still fits into int32. A pointwise
    kernel's scale spans all its input channels: there the gain in activations is balanced against the loss in weights, by the
    square root.
    """
    common = min(float(largest.max()), limit or np.inf)
    wanted = np.clip(common / np.maximum(HEADROOM * largest, 1e-6), 1.0, LARGEST_FACTOR)
    if reads.kind != "depthwise":
        return np.asarray(np.sqrt(wanted), dtype=np.float32)
    bearable = np.abs(kernel).max(axis=(0, 1, 3)) / smallest_kernel(bias)
    return np.asarray(np.clip(wanted, 1.0, np.maximum(bearable, 1.0)), dtype=np.float32)


def _along_inputs(node: Node, kernel: NDArray[np.float32], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return one value per input channel shaped to divide a kernel."""
    axis = ops.TABLE[node.kind].reads % kernel.ndim
    return values.reshape([-1 if position == axis else 1 for position in range(kernel.ndim)])
