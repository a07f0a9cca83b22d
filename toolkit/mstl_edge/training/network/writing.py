"""A graph while it is written: its nodes in order, none of them twice, and names that do not hang on what Keras counted before."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.errors import MstlEdgeError
from mstl_edge.training.network.graph import Node

INPUT = "image"
"""Name of the node that stands for what a network is given; Keras would number it."""


class Writing:
    """A graph while it is written: nodes, weights, and which value stands for which Keras layer."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.weights: dict[str, tuple[NDArray[np.float32], ...]] = {}
        self.values: dict[str, str] = {}
        self._unnamed: Counter[str] = Counter()
        self._known: dict[tuple[str, tuple[str, ...], tuple[int, ...], str], str] = {}

    def add(
        self,
        name: str,
        kind: str,
        inputs: Sequence[str],
        shape: Sequence[int],
        weights: Sequence[Any] = (),
        **config: Any,
    ) -> str:
        """Append a node, and return its name; what is computed already, such as a second ReLU of a value, is not written again."""
        node = Node(name, kind, tuple(inputs), tuple(shape), config)
        if weights:
            self.weights[name] = tuple(np.asarray(array, dtype=np.float32) for array in weights)
        else:
            known = self._known.setdefault((kind, node.inputs, node.shape, repr(sorted(config.items()))), name)
            if known != name:
                return known
        self.nodes.append(node)
        return name

    def own_name(self, layer: Any) -> str:
        """Return a layer's name; one that Keras numbered over the whole process is numbered by its place in the network."""
        kind = re.sub(r"_\d+$", "", layer.name)
        if not kind.startswith("tf.") and kind != _snake(type(layer).__name__):
            return str(layer.name)
        self._unnamed[kind] += 1
        return f"{kind}_{self._unnamed[kind]}"


def _snake(name: str) -> str:
    """Return a class's name as Keras numbers its layers: `ZeroPadding2D` is `zero_padding2d`."""
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)).lower()


class Named:
    """A Keras layer under another name."""

    def __init__(self, layer: Any, name: str) -> None:
        self._layer = layer
        self.name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._layer, attribute)


def refused(layer: Any, what: str) -> MstlEdgeError:
    """Return the error for what cannot be written in operators of the table."""
    return MstlEdgeError(
        "a network of operators that an int8 file can hold",
        received=f"{what} in layer {layer.name}",
        hint="docs/backbones.md lists the operators, and how another one is added.",
    )


def shape_of(layer: Any) -> tuple[int, ...]:
    """Return the shape of what a layer gives, without the batch."""
    shape = layer.output_shape
    return tuple((shape[0] if isinstance(shape, list) else shape)[1:])
