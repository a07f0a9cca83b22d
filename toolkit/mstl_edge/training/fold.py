"""BatchNorm folded into the convolution in front of it, as a device's converter would.

A frozen BatchNorm is an affine map per channel (Ioffe and Szegedy 2015), so the folded network answers the same;
without those layers there is nothing left in fake quantization whose statistics could drift.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.training import graph
from mstl_edge.training._keras import keras

SMALLEST_KERNEL = 5e-6
"""Largest |kernel| over |bias|, below which a bias would need more than 31 bits at an input scale of 6/255."""


def fold_batch_norm(model: Any) -> Any:
    """Return a flat model without BatchNorm layers that computes the same as `model` at inference.

    Args:
        model: A flat functional model; each BatchNorm follows a convolution that nothing else reads.
    """
    weights: graph.Weights = {}
    source = {graph_input.name: layer_input for graph_input, layer_input in _inputs(model)}
    tensors = dict(source)
    for layer in model.layers:
        if layer.name in tensors:
            continue
        before = [tensors[name] for name in _feeding(layer)]
        fed = before[0] if len(before) == 1 else before
        if isinstance(layer, keras.layers.BatchNormalization):
            (convolution,) = _feeding(layer)
            weights[convolution] = _folded(weights[convolution], layer)
            tensors[layer.name] = fed
        else:
            tensors[layer.name] = _with_bias(layer)(fed)
            weights[layer.name] = [np.asarray(array) for array in layer.get_weights()]
    folded = keras.Model(list(source.values()), tensors[model.layers[-1].name], name=model.name)
    graph.set_weights(folded, weights)
    return folded


def _inputs(model: Any) -> list[tuple[Any, Any]]:
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.InputLayer)]
    return [(layer, keras.Input(layer.input_shape[0][1:], name="image")) for layer in layers]


def _feeding(layer: Any) -> list[str]:
    inbound = layer.inbound_nodes[0].inbound_layers
    return [fed.name for fed in (inbound if isinstance(inbound, list) else [inbound])]


def _convolves(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D)


def _with_bias(layer: Any) -> Any:
    config = layer.get_config()
    if _convolves(layer):
        config["use_bias"] = True
    return type(layer).from_config(config)


def _folded(convolution: list[Any], batch_norm: Any) -> list[Any]:
    gamma, beta, mean, variance = (np.asarray(array, dtype=np.float64) for array in batch_norm.get_weights())
    scale = gamma / np.sqrt(variance + batch_norm.epsilon)
    kernel = convolution[0].astype(np.float64)
    # A depthwise kernel is (height, width, channels, 1), any other ends in its output channels.
    kernel = kernel * (scale if kernel.shape[-1] == len(scale) else scale[:, np.newaxis])
    bias = convolution[1].astype(np.float64) if len(convolution) > 1 else 0.0
    bias = beta + (bias - mean) * scale
    return [_without_dead_channels(kernel, bias).astype(np.float32), bias.astype(np.float32)]


def smallest_kernel(bias: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Return the largest magnitude per channel that a kernel must keep beside `bias`, so that the bias fits into int32."""
    return np.asarray(SMALLEST_KERNEL * np.maximum(np.abs(bias), 0.1))


def _without_dead_channels(kernel: NDArray[np.float64], bias: NDArray[np.float64]) -> NDArray[np.float64]:
    """Set kernels to zero that pruned themselves in training (gamma near zero) beside a bias that did not.

    An int8 file stores a bias as int32 in units of input scale times kernel scale: beside such a kernel it would not fit, and
    the converter would silently clip it.
    """
    by_channel = (
        np.abs(kernel).reshape(-1, len(bias))
        if kernel.shape[-1] == len(bias)
        else np.abs(kernel[..., 0]).reshape(-1, len(bias))
    )
    dead = by_channel.max(axis=0) < smallest_kernel(bias)
    alive = (~dead).astype(np.float64)
    return np.asarray(kernel * (alive if kernel.shape[-1] == len(bias) else alive[:, np.newaxis]))
