"""One form for many spellings: how each Keras layer is written in operators of the table.

A separable convolution is a depthwise and a pointwise one, an activation inside a layer is an operator behind it, a global pool
is a pool over everything, swish and its hard kin are products. What does nothing at inference is left out. A spelling that is
not here is an error that names it, before anything is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mstl_edge.training._keras import keras
from mstl_edge.training.network import layers
from mstl_edge.training.network.writing import INPUT, Named, Writing, refused, shape_of


def write_layer(graph: Writing, layer: Any, inputs: list[str]) -> None:
    """Write one Keras layer that reads `inputs`.

    Raises:
        MstlEdgeError: The table has no such operator, or not in this form.
    """
    write = _SPELLINGS.get(type(layer))
    if write is None:
        raise refused(layer, type(layer).__name__)
    graph.values[layer.name] = write(graph, Named(layer, graph.own_name(layer)), inputs)


def write_arithmetic(graph: Writing, layer: Any, function: str, read: str, named: Mapping[str, Any]) -> None:
    """Write what Keras makes of `x + 3.0` in plain Python.

    Raises:
        MstlEdgeError: It is no sum or product of a value and a number.
    """
    kind, value = _ARITHMETIC.get(function, ""), named.get("y")
    if not kind or not isinstance(value, int | float):
        raise refused(layer, f"tf.{function}")
    made = graph.add(graph.own_name(layer), kind, [read], shape_of(layer), value=float(value))
    graph.values[layer.name] = made


def _input(graph: Writing, layer: Any, inputs: list[str]) -> str:
    return graph.add(INPUT, "input", inputs, shape_of(layer))


def _nothing(graph: Writing, layer: Any, inputs: list[str]) -> str:
    return inputs[0]


def _conv(graph: Writing, layer: Any, inputs: list[str]) -> str:
    config = {"kernel_size": layer.kernel_size, "strides": layer.strides, "padding": layer.padding}
    config |= {"dilation": layer.dilation_rate, "groups": layer.groups}
    made = graph.add(layer.name, "conv", inputs, shape_of(layer), layer.get_weights(), **config)
    return _activated(graph, layer, made)


def _depthwise(graph: Writing, layer: Any, inputs: list[str]) -> str:
    if layer.depth_multiplier != 1:
        raise refused(layer, f"a depthwise convolution with depth_multiplier={layer.depth_multiplier}")
    config = {"kernel_size": layer.kernel_size, "strides": layer.strides, "padding": layer.padding}
    config |= {"dilation": layer.dilation_rate}
    made = graph.add(layer.name, "depthwise", inputs, shape_of(layer), layer.get_weights(), **config)
    return _activated(graph, layer, made)


def _separable(graph: Writing, layer: Any, inputs: list[str]) -> str:
    if layer.depth_multiplier != 1:
        raise refused(layer, f"a separable convolution with depth_multiplier={layer.depth_multiplier}")
    depthwise, pointwise, *bias = layer.get_weights()
    config = {"kernel_size": layer.kernel_size, "strides": layer.strides, "padding": layer.padding}
    shape = (*shape_of(layer)[:2], depthwise.shape[2])
    name = f"{layer.name}_depthwise"
    first = graph.add(name, "depthwise", inputs, shape, [depthwise], **config, dilation=layer.dilation_rate)
    plain: dict[str, Any] = {
        "kernel_size": (1, 1),
        "strides": (1, 1),
        "padding": "valid",
        "dilation": (1, 1),
        "groups": 1,
    }
    made = graph.add(layer.name, "conv", [first], shape_of(layer), [pointwise, *bias], **plain)
    return _activated(graph, layer, made)


def _dense(graph: Writing, layer: Any, inputs: list[str]) -> str:
    made = graph.add(layer.name, "dense", inputs, shape_of(layer), layer.get_weights())
    return _activated(graph, layer, made)


def _batch_norm(graph: Writing, layer: Any, inputs: list[str]) -> str:
    if list(layer.axis) != [len(layer.output_shape) - 1]:
        raise refused(layer, f"a BatchNorm over axis {list(layer.axis)}")
    *affine, mean, variance = layer.get_weights()
    gamma = affine.pop(0) if layer.scale else np.ones_like(mean)
    beta = affine.pop(0) if layer.center else np.zeros_like(mean)
    weights = [gamma, beta, mean, variance]
    return graph.add(layer.name, "batch_norm", inputs, shape_of(layer), weights, epsilon=float(layer.epsilon))


def _relu(graph: Writing, layer: Any, inputs: list[str]) -> str:
    if layer.negative_slope or layer.threshold:
        raise refused(layer, "a leaky or thresholded ReLU")
    return graph.add(layer.name, "relu", inputs, shape_of(layer), limit=_number(layer.max_value))


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _activation(graph: Writing, layer: Any, inputs: list[str]) -> str:
    return _apply(graph, layer, layer.name, inputs[0])


def _activated(graph: Writing, layer: Any, made: str) -> str:
    """Write the activation inside a layer as an operator behind it."""
    activation = keras.activations.serialize(layer.activation)
    return made if activation == "linear" else _apply(graph, layer, f"{layer.name}_{activation}", made)


def _apply(graph: Writing, layer: Any, name: str, read: str) -> str:
    activation, shape = keras.activations.serialize(layer.activation), shape_of(layer)
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
        made = graph.add(name, kind, [made, read], shape_of(layer))
    return made


def _concat(graph: Writing, layer: Any, inputs: list[str]) -> str:
    if layer.axis not in (-1, len(layer.output_shape) - 1):
        raise refused(layer, f"a concatenation along axis {layer.axis}")
    return graph.add(layer.name, "concat", inputs, shape_of(layer))


def _pool(kind: str) -> Callable[[Writing, Any, list[str]], str]:
    def write(graph: Writing, layer: Any, inputs: list[str]) -> str:
        config = {"size": layer.pool_size, "strides": layer.strides, "padding": layer.padding}
        return graph.add(layer.name, kind, inputs, shape_of(layer), **config)

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
        return graph.add(layer.name, "crop", inputs, shape_of(layer), cropping=((above, below), (left, right)))
    # With channels first, what it crops of our maps are columns and channels.
    if above or below:
        raise refused(layer, "a crop of columns and channels")
    shape = shape_of(layer)
    return graph.add(layer.name, "slice", inputs, shape, start=left, count=shape[-1])


def _pad(graph: Writing, layer: Any, inputs: list[str]) -> str:
    return graph.add(layer.name, "pad", inputs, shape_of(layer), padding=tuple(map(tuple, layer.padding)))


def _reshape(graph: Writing, layer: Any, inputs: list[str]) -> str:
    return graph.add(layer.name, "reshape", inputs, shape_of(layer))


def _transpose(graph: Writing, layer: Any, inputs: list[str]) -> str:
    return graph.add(layer.name, "transpose", inputs, shape_of(layer), order=tuple(layer.dims))


def _shift(graph: Writing, layer: Any, inputs: list[str]) -> str:
    return graph.add(layer.name, "add_constant", inputs, shape_of(layer), value=float(layer.value))


def _gain(graph: Writing, layer: Any, inputs: list[str]) -> str:
    return graph.add(layer.name, "multiply_constant", inputs, shape_of(layer), value=float(layer.value))


def _channels(graph: Writing, layer: Any, inputs: list[str]) -> str:
    return graph.add(layer.name, "slice", inputs, shape_of(layer), start=layer.start, count=layer.count)


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
    keras.layers.Softmax: lambda graph, layer, inputs: graph.add(layer.name, "softmax", inputs, shape_of(layer)),
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
