"""A float network → the network that an int8 file computes: what is rounded, and to which steps.

Operators that pass their input's scale through, and those that join several values, share one range; a convolution whose ReLU the
device computes in the same operator is not rounded itself. The ranges are what calibration images show (Jacob et al. 2018,
arXiv:1712.05877), over all values that share one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mstl_edge.artifact.inspection import WEIGHT_BITS, full_range
from mstl_edge.training._keras import tf
from mstl_edge.training.network import ops
from mstl_edge.training.network.graph import Graph, Node, Rounding
from mstl_edge.training.network.keras import probe
from mstl_edge.training.network.passes.absorb import along_outputs, largest_of

INPUT_RANGE = Rounding(-1.0, 127.0 / 128.0)
"""Gives the input scale 1/128 and zero point 0, so that a device computes int8 = uint8 − 128."""
UNIT_RANGE = Rounding(0.0, 255.0 / 256.0)
"""Gives scale 1/256 and zero point −128, as TFLite fixes it for a logistic."""


def fake_quantized(graph: Graph, batches: Iterable[NDArray[np.float32]], weight_bits: int = WEIGHT_BITS) -> Graph:
    """Return a network under fake quantization.

    Args:
        graph: Image → probabilities, without BatchNorm.
        batches: Calibration images of the training split, `(n, height, width, 3) float32` each.
        weight_bits: See `QuantizeSpec`.
    """
    ranges = shared_ranges(graph, observed_ranges(graph, batches))
    return graph.with_nodes(
        replace(
            node,
            rounding=ranges.get(node.name),
            weight_bits=weight_bits if ops.TABLE[node.kind].convolves else None,
        )
        for node in graph.nodes
    )


def observed_ranges(graph: Graph, batches: Iterable[NDArray[np.float32]]) -> dict[str, Rounding]:
    """Return the range of each value that makes a scale, as calibration images show it; zero lies in it."""
    names = [node.name for node in graph.nodes if _measured(graph, node)]
    observe = probe(graph, names, lambda value: tf.stack([tf.reduce_min(value), tf.reduce_max(value)]))
    low, high = np.zeros(len(names)), np.full(len(names), 1e-3)
    for batch in batches:
        seen = np.array([np.asarray(ends) for ends in observe(batch)], dtype=np.float64)
        low, high = np.minimum(low, seen[:, 0]), np.maximum(high, seen[:, 1])
    return {name: Rounding(float(a), float(b)) for name, a, b in zip(names, low, high, strict=True)}


def shared_ranges(graph: Graph, observed: Mapping[str, Rounding]) -> dict[str, Rounding]:
    """Return the range of every value that is rounded: one for all that share a scale, over what each of them was seen to reach."""
    group = scale_groups(graph)
    members: dict[str, list[Rounding]] = {}
    for name, seen in observed.items():
        members.setdefault(group[name], []).append(seen)
    fixed = {group[node.name]: UNIT_RANGE for node in graph.nodes if ops.TABLE[node.kind].scale == "fixed"}
    fixed[group[graph.input.name]] = INPUT_RANGE
    whole = {
        of: Rounding(min(seen.low for seen in ranges), max(seen.high for seen in ranges))
        for of, ranges in members.items()
    }
    whole |= fixed
    return {node.name: whole[group[node.name]] for node in graph.nodes if is_rounded(graph, node)}


def scale_groups(graph: Graph) -> dict[str, str]:
    """Return for each value one that stands for all that have its scale."""
    parent = {node.name: node.name for node in graph.nodes}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for node in graph.nodes:
        scale = ops.TABLE[node.kind].scale
        for read in node.inputs[:1] if scale == "through" else node.inputs if scale == "shared" else ():
            parent[root(read)] = root(node.name)
    return {name: root(name) for name in parent}


def is_rounded(graph: Graph, node: Node) -> bool:
    """Whether a value is rounded: not where its operator only moves values, nor where the ReLU behind it is part of it.

    Probabilities that are put out are left as they are: their scale is fixed, and nothing reads them.
    """
    if ops.TABLE[node.kind].moves or fused_relu(graph, node) is not None:
        return False
    return node.kind != "softmax"


def fused_relu(graph: Graph, node: Node) -> Node | None:
    """Return the ReLU that a device computes in the same operator as `node`; None where there is none."""
    reader = graph.sole_reader(node.name)
    return reader if ops.TABLE[node.kind].fuses and reader is not None and reader.kind == "relu" else None


def _measured(graph: Graph, node: Node) -> bool:
    """Whether calibration decides about a value's range."""
    return is_rounded(graph, node) and node.kind != "input" and ops.TABLE[node.kind].scale == "own"


def unrounded(graph: Graph) -> list[dict[str, str]]:
    """List what is not rounded though no ReLU behind it is, each with the reason: `layer`, `kind`, `reason`."""
    return [
        {"layer": node.name, "kind": node.kind, "reason": ops.TABLE[node.kind].why}
        for node in graph.nodes
        if ops.TABLE[node.kind].why and node.rounding is None
    ]


def weight_bits_of(graph: Graph) -> int:
    """Return the bits of a network's kernels; 8 where none is rounded."""
    return next((node.weight_bits for node in graph.nodes if node.weight_bits), WEIGHT_BITS)


def as_float(graph: Graph) -> Graph:
    """Return a network that rounds nothing, with the kernels and biases of one that does; kernels below 8 bits are rounded here."""
    weights = {
        node.name: (_rounded_kernel(node, graph.weights[node.name][0]), *graph.weights[node.name][1:])
        for node in graph.nodes
        if node.weight_bits and node.weight_bits < WEIGHT_BITS
    }
    plain = (replace(node, rounding=None, weight_bits=None) for node in graph.nodes)
    return graph.with_nodes(plain).with_weights(weights)


def _rounded_kernel(node: Node, kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    largest = along_outputs(node, kernel, largest_of(node, kernel))
    scale = np.where(largest > 0.0, largest, 1.0) / np.float32(full_range(node.weight_bits or WEIGHT_BITS))
    return np.asarray(np.rint(kernel / scale) * scale, dtype=np.float32)
