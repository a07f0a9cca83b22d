"""A network as data: named operators, what each reads, and their weights.

Everything that changes a network takes a graph and returns another one; Keras is met in `keras.py` alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.storage import digest

Weights = dict[str, list[NDArray[np.float32]]]
"""Node name → its arrays, in the order of the operator table."""


@dataclass(frozen=True)
class Rounding:
    """The range that 256 steps of an activation span."""

    low: float
    high: float


@dataclass(frozen=True)
class Node:
    """One operator, and the one value that it puts out.

    Attributes:
        name: Unique in its graph; the value goes by it, too.
        kind: A row of the operator table.
        inputs: Names of the values that it reads, in order; one may be read twice.
        shape: Of its value, without the batch.
        config: What the kind needs to know, such as `strides`; plain values and tuples only.
        rounding: The steps to which its value is rounded, as an int8 file would; None leaves it as it is.
        weight_bits: The bits to which its kernel is rounded, per output channel; None leaves it as it is.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    config: Mapping[str, Any] = field(default_factory=dict)
    rounding: Rounding | None = None
    weight_bits: int | None = None


@dataclass(frozen=True, eq=False)
class Graph:
    """A network with one input and one output.

    Attributes:
        name: Of the whole network.
        nodes: In topological order, the input first.
        weights: Node name → its arrays; nodes without weights are left out.
        output: Name of the value that is put out.
    """

    name: str
    nodes: tuple[Node, ...]
    weights: Mapping[str, tuple[NDArray[np.float32], ...]]
    output: str

    def __post_init__(self) -> None:
        known: set[str] = set()
        for node in self.nodes:
            if node.name in known or not known.issuperset(node.inputs):
                raise ValueError(f"{node.name} stands twice in {self.name}, or before what it reads")
            known.add(node.name)
        if self.output not in known or self.nodes[0].kind != "input":
            raise ValueError(f"{self.name} does not begin with its input, or lacks its output")
        object.__setattr__(self, "weights", MappingProxyType(dict(self.weights)))

    def __getitem__(self, name: str) -> Node:
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    @property
    def input(self) -> Node:
        """The node that stands for what the network is given."""
        return self.nodes[0]

    @cached_property
    def _by_name(self) -> Mapping[str, Node]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def readers(self) -> Mapping[str, tuple[Node, ...]]:
        """Value → the nodes that read it, each once."""
        found: dict[str, list[Node]] = {node.name: [] for node in self.nodes}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                found[name].append(node)
        return {name: tuple(nodes) for name, nodes in found.items()}

    def sole_reader(self, name: str) -> Node | None:
        """Return the node that alone reads a value; None where several do, or where it is put out as well."""
        readers = self.readers[name]
        return readers[0] if len(readers) == 1 and name != self.output else None

    def descendants(self, name: str) -> frozenset[str]:
        """Return the names of all nodes that a value flows into."""
        found: set[str] = set()
        for node in self.nodes:
            if any(read == name or read in found for read in node.inputs):
                found.add(node.name)
        return frozenset(found)

    def parameters(self, names: Iterable[str] | None = None) -> int:
        """Return how many weights there are, in all nodes or in those named."""
        chosen = self.weights if names is None else [name for name in names if name in self.weights]
        return sum(array.size for name in chosen for array in self.weights[name])

    def with_weights(self, weights: Mapping[str, Iterable[NDArray[np.float32]]]) -> Graph:
        """Return this network with the arrays of the nodes that `weights` names; others keep theirs.

        An array may come in another shape of the same size, such as a pointwise kernel as a matrix. Names of no node here are
        passed over, so that the weights of a whole network fill a part of it.
        """
        given = {
            name: tuple(
                np.asarray(array, dtype=np.float32).reshape(before.shape)
                for array, before in zip(arrays, self.weights[name], strict=True)
            )
            for name, arrays in weights.items()
            if name in self.weights
        }
        return replace(self, weights={**self.weights, **given})

    def with_nodes(self, nodes: Iterable[Node], output: str | None = None) -> Graph:
        """Return a network of other nodes; weights of nodes that are gone are dropped."""
        kept = tuple(nodes)
        names = {node.name for node in kept}
        weights = {name: arrays for name, arrays in self.weights.items() if name in names}
        return replace(self, nodes=kept, weights=weights, output=output or self.output)

    def key(self) -> bytes:
        """Return a digest of operators, edges and weights; equal for equal functions, whatever their nodes are called."""
        positions = {node.name: position for position, node in enumerate(self.nodes)}
        parts: list[bytes | str] = [str(positions[self.output])]
        for node in self.nodes:
            edges = [positions[name] for name in node.inputs]
            parts.append(
                repr((node.kind, edges, node.shape, sorted(node.config.items()), node.rounding, node.weight_bits))
            )
            parts += [np.ascontiguousarray(array).tobytes() for array in self.weights.get(node.name, ())]
        return digest(*parts)


def renamed(inputs: Collection[str], names: Mapping[str, str]) -> tuple[str, ...]:
    """Return inputs with those replaced that `names` maps."""
    return tuple(names.get(name, name) for name in inputs)
