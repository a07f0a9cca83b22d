"""A starting point for networks that nothing was learned in, so that the arm from scratch is no straw man.

BatchNorm is frozen in this toolkit. Over random kernels a frozen, empty BatchNorm normalizes nothing, and the signal of a depthwise
network fades within a few layers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.training._keras import keras, tf

LEAST_SPREAD = 1e-8


def normalize_from_data(model: Any, batch: NDArray[np.float32]) -> None:
    """Scale random kernels so that every channel in front of a BatchNorm has mean 0 and variance 1 on `batch`.

    Data-dependent initialization (Salimans and Kingma 2016, arXiv:1602.07868, section 3), layer by layer from the input. The scale
    goes into the kernel, the mean into the BatchNorm behind it.

    Args:
        model: A flat network with one input, each BatchNorm behind a convolution; changed in place.
        batch: `(n, height, width, 3) float32` training images.
    """
    tensors: dict[str, Any] = {}
    convolution: Any = None
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            tensors[layer.name] = tf.constant(batch)
            continue
        fed = tensors[layer.inbound_nodes[0].inbound_layers.name]
        if isinstance(layer, keras.layers.BatchNormalization):
            fed = _standardized(convolution, layer, fed)
        tensors[layer.name] = layer(fed, training=False)
        convolution = layer


def _standardized(convolution: Any, batch_norm: Any, values: Any) -> Any:
    """Rescale the kernel of `convolution`, set the mean of `batch_norm`, and return the rescaled `values`."""
    measured = np.asarray(values, dtype=np.float64).reshape(-1, values.shape[-1])
    spread = np.maximum(measured.std(axis=0), LEAST_SPREAD).astype(np.float32)
    (kernel,) = convolution.get_weights()
    # A depthwise kernel is (height, width, channels, 1), any other ends in its output channels.
    depthwise = isinstance(convolution, keras.layers.DepthwiseConv2D)
    convolution.set_weights([kernel / (spread[:, np.newaxis] if depthwise else spread)])
    gamma, beta, _, variance = batch_norm.get_weights()
    batch_norm.set_weights([gamma, beta, (measured.mean(axis=0) / spread).astype(np.float32), np.ones_like(variance)])
    return values / spread
