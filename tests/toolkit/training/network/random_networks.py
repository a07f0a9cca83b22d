"""Small networks of random topology: residuals, branches, shuffles, gates, paddings, strides, BatchNorm anywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from mstl_edge.training._keras import keras
from mstl_edge.training.network.classifier import fresh_head, with_head, with_softmax
from mstl_edge.training.network.graph import Graph
from mstl_edge.training.network.keras import from_keras
from mstl_edge.training.network.layers import Channels, Gain, Shift

L = keras.layers
SIDE, CLASSES = 12, 3


class Named:
    """Names for layers, the same in every process: Keras' own numbers go on from model to model."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, kind: str) -> str:
        self.number += 1
        return f"{kind}{self.number}"


def _conv_bn(x: Any, name: Named, filters: int, size: int = 1, *, relu: bool = True, **options: Any) -> Any:
    x = L.Conv2D(filters, size, padding="same", use_bias=False, name=name("conv"), **options)(x)
    x = L.BatchNormalization(name=name("bn"), scale=name.number % 3 != 0)(x)
    return L.ReLU(6.0, name=name("relu"))(x) if relu else x


def _plain(choice: int, x: Any, name: Named) -> Any:
    filters, stride = (4, 6, 8, 8)[choice], (1, 2, 1, 2)[choice]
    if choice == 3 and x.shape[1] > 3:
        x = L.ZeroPadding2D(((0, 1), (0, 1)), name=name("pad"))(x)
        x = L.Conv2D(filters, 3, strides=2, padding="valid", use_bias=False, name=name("conv"))(x)
        return L.Activation("relu", name=name("act"))(L.BatchNormalization(name=name("bn"))(x))
    return _conv_bn(x, name, filters, 3, strides=stride)


def _depthwise(choice: int, x: Any, name: Named) -> Any:
    stride = 1 + choice % 2
    x = L.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False, name=name("dw"))(x)
    x = L.ReLU(6.0, name=name("relu"))(L.BatchNormalization(name=name("bn"))(x))
    return _conv_bn(x, name, 4 + 2 * choice)


def _residual(choice: int, x: Any, name: Named) -> Any:
    inner = _conv_bn(x, name, 2 * x.shape[-1])
    inner = _conv_bn(inner, name, x.shape[-1], 3, relu=False)
    x = L.Add(name=name("add"))([x, inner])
    return L.Activation("relu", name=name("act"))(x) if choice % 2 else x


def _branches(choice: int, x: Any, name: Named) -> Any:
    pooled = L.AveragePooling2D(3, 1, padding="same", name=name("pool"))(x)
    made = [_conv_bn(x, name, 4), _conv_bn(pooled, name, 4)]
    if choice % 2:
        made.append(x)
    return L.Concatenate(name=name("cat"))(made)


def _shuffled(choice: int, x: Any, name: Named) -> Any:
    height, width, channels = x.shape[1:]
    if channels % 2:
        return x
    x = L.Reshape((height, width, 2, channels // 2), name=name("reshape"))(x)
    x = L.Permute((1, 2, 4, 3), name=name("permute"))(x)
    x = L.Reshape((height, width, channels), name=name("reshape"))(x)
    kept = Channels(0, channels // 2, name=name("channels"))(x)
    other = Channels(channels // 2, channels // 2, name=name("channels"))(x)
    return L.Concatenate(name=name("cat"))([kept, _conv_bn(other, name, channels // 2)])


def _gated(choice: int, x: Any, name: Named) -> Any:
    gate = L.GlobalAveragePooling2D(keepdims=True, name=name("squeeze"))(x)
    gate = L.Conv2D(4, 1, activation="relu", name=name("conv"))(gate)
    gate = L.Conv2D(x.shape[-1], 1, activation="sigmoid", name=name("conv"))(gate)
    return L.Multiply(name=name("gate"))([x, gate])


def _hard_swish(choice: int, x: Any, name: Named) -> Any:
    gate = L.ReLU(6.0, name=name("relu"))(Shift(3.0, name=name("shift"))(x))
    return L.Multiply(name=name("swish"))([x, Gain(1 / 6, name=name("gain"))(gate)])


def _norm_first(choice: int, x: Any, name: Named) -> Any:
    inner = L.Activation("relu", name=name("act"))(L.BatchNormalization(name=name("bn"))(x))
    inner = L.Conv2D(4, 3, padding="same", use_bias=False, name=name("conv"))(inner)
    return L.Concatenate(name=name("cat"))([x, inner])


def _pooled(choice: int, x: Any, name: Named) -> Any:
    if x.shape[1] < 2:
        return x
    kind = L.MaxPooling2D if choice % 2 else L.AveragePooling2D
    return kind(2, name=name("pool"))(x)


def _separable(choice: int, x: Any, name: Named) -> Any:
    x = L.SeparableConv2D(8, 3, padding="same", use_bias=False, name=name("separable"))(x)
    return L.Activation("relu", name=name("act"))(L.BatchNormalization(name=name("bn"))(x))


BLOCKS: dict[str, Callable[[int, Any, Named], Any]] = {
    "plain": _plain,
    "depthwise": _depthwise,
    "residual": _residual,
    "branches": _branches,
    "shuffled": _shuffled,
    "gated": _gated,
    "hard swish": _hard_swish,
    "norm first": _norm_first,
    "pooled": _pooled,
    "separable": _separable,
}


@dataclass(frozen=True)
class Plan:
    """What decides a network: its blocks, each with a choice of its own from 0 to 3, and a seed of its weights."""

    blocks: tuple[tuple[str, int], ...]
    seed: int

    def backbone(self) -> Any:
        """Return a flat Keras model without a head, whose weights and statistics leave nothing idle."""
        name = Named()
        image = L.Input((SIDE, SIDE, 3), name="given")
        x = _conv_bn(image, name, 4, 3)
        for block, choice in self.blocks:
            x = BLOCKS[block](choice, x, name)
        model = keras.Model(image, _conv_bn(x, name, 8), name="random")
        randomize(model, self.seed)
        return model


plans = st.builds(
    Plan,
    st.lists(st.tuples(st.sampled_from(sorted(BLOCKS)), st.integers(0, 3)), min_size=1, max_size=4).map(tuple),
    st.integers(0, 2**16),
)


def randomize(model: Any, seed: int) -> None:
    """Give a Keras model weights and statistics that leave nothing idle."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        layer.set_weights([_drawn(variable, rng) for variable in layer.weights])


def _drawn(variable: Any, rng: np.random.Generator) -> np.ndarray:
    kind, shape = variable.name.split(":")[0].rsplit("/", 1)[-1], tuple(variable.shape)
    bounds = {"gamma": (0.7, 1.5), "beta": (-0.2, 0.4), "moving_mean": (-0.1, 0.1), "moving_variance": (0.5, 1.5)}
    if kind in bounds:
        return rng.uniform(*bounds[kind], shape)
    if kind == "bias":
        return rng.uniform(-0.3, 0.3, shape)
    inputs = np.prod(shape[:2]) if "depthwise" in kind else np.prod(shape[:-1])
    return rng.normal(0.0, np.sqrt(2.0 / inputs), shape)


def network_of(backbone: Any) -> Graph:
    """Return a backbone with a head, as a graph of logits."""
    return fresh_head(with_head(from_keras(backbone), CLASSES), 0)


def probabilities_of(backbone: Any) -> Graph:
    """Return a backbone with a head, as a graph of probabilities."""
    return with_softmax(network_of(backbone), 1.0)


def rewired(graph: Graph) -> Graph | None:
    """Return the graph with one edge moved to another value of the same shape; None where there is none to move it to."""
    for position, node in enumerate(graph.nodes):
        for slot, read in enumerate(node.inputs):
            others = [n.name for n in graph.nodes[:position] if n.name != read and n.shape == graph[read].shape]
            if others:
                inputs = [*node.inputs[:slot], others[0], *node.inputs[slot + 1 :]]
                nodes = [*graph.nodes[:position], replace(node, inputs=tuple(inputs)), *graph.nodes[position + 1 :]]
                return graph.with_nodes(nodes)
    return None
