"""One form for many spellings: how each Keras layer is written in operators of the table.

A separable convolution is a depthwise and a pointwise one, an activation inside a layer is an operator behind it, a global pool
is a pool over everything, swish and its hard kin are products. What does nothing at inference is left out. A spelling that is
not here is an error that names it, before anything is trained.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.errors import MstlEdgeError
from mstl_edge.training._keras import keras
from mstl_edge.training.network import layers
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
        self._known: dict[tuple[str, tuple[str, ...], str], str] = {}

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
            known = self._known.setdefault((kind, node.inputs, repr(sorted(config.items()))), name)
            if known != name:
                return known
        self.nodes.append(node)
        return name

    def layer(self, layer: Any, inputs: Sequence[str]) -> None:
        """Write one Keras layer that reads `inputs`.

        Raises:
            MstlEdgeError: The table has no such operator, or not in this form.
        """
        write = _SPELLINGS.get(type(layer))
        if write is None:
            raise refused(layer, type(layer).__name__)
        self.values[layer.name] = write(self, Named(layer, self._own_name(layer)), list(inputs))

    def arithmetic(self, layer: Any, function: str, read: str, named: Mapping[str, Any]) -> None:
        """Write what Keras makes of `x + 3.0` in plain Python.

        Raises:
            MstlEdgeError: It is no sum or product of a value and a number.
        """
        kind, value = _ARITHMETIC.get(function, ""), named.get("y")
        if not kind or not isinstance(value, int | float):
            raise refused(layer, f"tf.{function}")
        self.values[layer.name] = self.add(self._own_name(layer), kind, [read], _shape(layer), value=float(value))

    def _own_name(self, layer: Any) -> str:
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


def _shape(layer: Any) -> tuple[int, ...]:
    shape = layer.output_shape
    return tuple((shape[0] if isinstance(shape, list) else shape)[1:])


def _input(graph: Writing, layer: Any, inputs: list[str]) -> str:
    return graph.add(INPUT, "input", inputs, _shape(layer))


def _nothing(graph: Writing, layer: Any, inputs: list[str]) -> str:
    return inputs[0]


def _conv(graph: Writing, layer: Any, inputs: list[str]) -> str:
    config = {"kernel_size": layer.kernel_size, "strides": layer.strides, "padding": layer.padding}
    config |= {"dilation": layer.dilation_rate, "groups": layer.groups}
    made = graph.add(layer.name, "conv", inputs, _shape(layer), layer.get_weights(), **config)
    return _activated(graph, layer, made)


def _depthwise(graph: Writing, layer: Any, inputs: list[str]) -> str:
    if layer.depth_multiplier != 1:
        raise refused(layer, f"a depthwise convolution with depth_multiplier={layer.depth_multiplier}")
    config = {"kernel_size": layer.kernel_size, "strides": layer.strides, "padding": layer.padding}
    config |= {"dilation": layer.dilation_rate}
    made = graph.add(layer.name, "depthwise", inputs, _shape(layer), layer.get_weights(), **config)
    return _activated(graph, layer, made)


def _separable(graph: Writing, layer: Any, inputs: list[str]) -> str:
    if layer.depth_multiplier != 1:
        raise refused(layer, f"a separable convolution with depth_multiplier={layer.depth_multiplier}")
    depthwise, pointwise, *bias = layer.get_weights()
    config = {"kernel_size": layer.kernel_size, "strides": layer.strides, "padding": layer.padding}
    shape = (*_shape(layer)[:2], depthwise.shape[2])
    name = f"{layer.name}_depthwise"
    first = graph.add(name, "depthwise", inputs, shape, [depthwise], **config, dilation=layer.dilation_rate)
    plain: dict[str, Any] = {
        "kernel_size": (1, 1),
        "strides": (1, 1),
        "padding": "valid",
        "dilation": (1, 1),
        "groups": 1,
    }
    made = graph.add(layer.name, "conv", [first], _shape(layer), [pointwise, *bias], **plain)
    return _activated(graph, layer, made)


def _dense(graph: Writing, layer: Any, inputs: list[str]) -> str:
    made = graph.add(layer.name, "dense", inputs, _shape(layer), layer.get_weights())
    return _activated(graph, layer, made)


def _batch_norm(graph: Writing, layer: Any, inputs: list[str]) -> str:
    if list(layer.axis) != [len(layer.output_shape) - 1]:
        raise refused(layer, f"a BatchNorm over axis {list(layer.axis)}")
    *affine, mean, variance = layer.get_weights()
    gamma = affine.pop(0) if layer.scale else np.ones_like(mean)
    beta = affine.pop(0) if layer.center else np.zeros_like(mean)
    weights = [gamma, beta, mean, variance]
    return graph.add(layer.name, "batch_norm", inputs, _shape(layer), weights, epsilon=float(layer.epsilon))


def _relu(graph: Writing, layer: Any, inputs: list[str]) -> str:
    if layer.negative_slope or layer.threshold:
        raise refused(layer, "a leaky or thresholded ReLU")
    return graph.add(layer.name, "relu", inputs, _shape(layer), limit=_number(layer.max_value))


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _activation(graph: Writing, layer: Any, inputs: list[str]) -> str:
    return _apply(graph, layer, layer.name, inputs[0])


def _activated(graph: Writing, layer: Any, made: str) -> str:
    """Write the activation inside a layer as an operator behind it."""
    activation = keras.activations.serialize(layer.activation)
    return made if activation == "linear" else _apply(graph, layer, f"{layer.name}_{activation}", made)


def _apply(graph: Writing, layer: Any, name: str, read: str) -> str:
    activation, shape = keras.activations.serialize(layer.activation), _shape(layer)
    if activation == "linear":
        return read
    if activation in ("relu", "relu6"):
        return graph.add(name, "relu", [read], shape, limit=6.0 if activation == "relu6" else None)
    if activation in ("sigmoid", "softmax"):
        return graph.add(name, activation, [read], shape)
    if activation in ("swish", "silu"):
        gate = graph.add(f"{name}_gate", "sigmoid", [read], shape)
        return graph.add(name, "multiply", [read, gate], shape)
    raise refused(layer, f"the activation {activation}")


def _add(graph: Writing, layer: Any, inputs: list[str]) -> str:
    return _joined(graph, layer, "add", inputs)


def _multiply(graph: Writing, layer: Any, inputs: list[str]) -> str:
    return _joined(graph, layer, "multiply", inputs)


def _joined(graph: Writing, layer: Any, kind: str, inputs: list[str]) -> str:
    """Write a sum or product of several values as one of two after the other, as runtimes have it."""
    made = inputs[0]
    for number, read in enumerate(inputs[1:], 2):
        name = layer.name if number == len(inputs) else f"{layer.name}_{number}"
        made = graph.add(name, kind, [made, read], _shape(layer))
    return made


def _concat(graph: Writing, layer: Any, inputs: list[str]) -> str:
    if layer.axis not in (-1, len(layer.output_shape) - 1):
        raise refused(layer, f"a concatenation along axis {layer.axis}")
    return graph.add(layer.name, "concat", inputs, _shape(layer))


def _pool(kind: str) -> Callable[[Writing, Any, list[str]], str]:
    def write(graph: Writing, layer: Any, inputs: list[str]) -> str:
        config = {"size": layer.pool_size, "strides": layer.strides, "padding": layer.padding}
        return graph.add(layer.name, kind, inputs, _shape(layer), **config)

    return write


def _global_pool(kind: str) -> Callable[[Writing, Any, list[str]], str]:
    # Not MEAN, which tflite-runtime rounds differently on ARM and on x86.
    def write(graph: Writing, layer: Any, inputs: list[str]) -> str:
        size, channels = tuple(layer.input_shape[1:3]), layer.input_shape[3]
        config = {"size": size, "strides": size, "padding": "valid"}
        if layer.keepdims:
            return graph.add(layer.name, kind, inputs, (1, 1, channels), **config)
        pooled = graph.add(f"{layer.name}_pool", kind, inputs, (1, 1, channels), **config)
        return graph.add(layer.name, "reshape", [pooled], (channels,))

    return write


def _crop(graph: Writing, layer: Any, inputs: list[str]) -> str:
    (above, below), (left, right) = layer.cropping
    if layer.data_format == "channels_last":
        return graph.add(layer.name, "crop", inputs, _shape(layer), cropping=((above, below), (left, right)))
    # With channels first, what it crops of our maps are columns and channels.
    if above or below:
        raise refused(layer, "a crop of columns and channels")
    shape = _shape(layer)
    return graph.add(layer.name, "slice", inputs, shape, start=left, count=shape[-1])


def _pad(graph: Writing, layer: Any, inputs: list[str]) -> str:
    return graph.add(layer.name, "pad", inputs, _shape(layer), padding=tuple(map(tuple, layer.padding)))


def _reshape(graph: Writing, layer: Any, inputs: list[str]) -> str:
    return graph.add(layer.name, "reshape", inputs, _shape(layer))


def _transpose(graph: Writing, layer: Any, inputs: list[str]) -> str:
    return graph.add(layer.name, "transpose", inputs, _shape(layer), order=tuple(layer.dims))


def _shift(graph: Writing, layer: Any, inputs: list[str]) -> str:
    return graph.add(layer.name, "add_constant", inputs, _shape(layer), value=float(layer.value))


def _gain(graph: Writing, layer: Any, inputs: list[str]) -> str:
    return graph.add(layer.name, "multiply_constant", inputs, _shape(layer), value=float(layer.value))


def _channels(graph: Writing, layer: Any, inputs: list[str]) -> str:
    return graph.add(layer.name, "slice", inputs, _shape(layer), start=layer.start, count=layer.count)


_ARITHMETIC = {
    "__operators__.add": "add_constant",
    "math.add": "add_constant",
    "math.multiply": "multiply_constant",
}

_SPELLINGS: dict[type, Callable[[Writing, Any, list[str]], str]] = {
    keras.layers.InputLayer: _input,
    keras.layers.Dropout: _nothing,
    keras.layers.SpatialDropout2D: _nothing,
    keras.layers.Conv2D: _conv,
    keras.layers.DepthwiseConv2D: _depthwise,
    keras.layers.SeparableConv2D: _separable,
    keras.layers.Dense: _dense,
    keras.layers.BatchNormalization: _batch_norm,
    keras.layers.ReLU: _relu,
    keras.layers.Activation: _activation,
    keras.layers.Softmax: lambda graph, layer, inputs: graph.add(layer.name, "softmax", inputs, _shape(layer)),
    keras.layers.Add: _add,
    keras.layers.Multiply: _multiply,
    keras.layers.Concatenate: _concat,
    keras.layers.AveragePooling2D: _pool("average_pool"),
    keras.layers.MaxPooling2D: _pool("max_pool"),
    keras.layers.GlobalAveragePooling2D: _global_pool("average_pool"),
    keras.layers.GlobalMaxPooling2D: _global_pool("max_pool"),
    keras.layers.ZeroPadding2D: _pad,
    keras.layers.Cropping2D: _crop,
    keras.layers.Reshape: _reshape,
    keras.layers.Flatten: _reshape,
    keras.layers.Permute: _transpose,
    layers.Shift: _shift,
    layers.Gain: _gain,
    layers.Channels: _channels,
}
