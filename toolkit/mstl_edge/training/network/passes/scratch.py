"""A starting point for networks that nothing was learned in, so that training from nothing is no straw man.

BatchNorm is frozen in this toolkit. Over random kernels a frozen, empty BatchNorm normalizes nothing: the signal of a depthwise
network fades within a few layers, that of a residual one explodes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.training._keras import tf
from mstl_edge.training.network import ops
from mstl_edge.training.network.graph import Graph, Node
from mstl_edge.training.network.keras import layers_of, to_keras
from mstl_edge.training.network.passes.absorb import along_outputs

LEAST_SHARE = 1e-3
"""Of the largest spread of a layer's channels; one below it is silent on the batch, and would shout at other images."""


def normalized_from_data(network: Graph, batch: NDArray[np.float32]) -> Graph:
    """Return a network with random kernels scaled so that channels behind a convolution have mean 0 and variance 1 on `batch`.

    Data-dependent initialization (Salimans and Kingma 2016, arXiv:1602.07868, section 3), operator by operator from the input. The
    scale goes into the kernel, the mean into the BatchNorm that alone reads the convolution, else into its bias.

    Args:
        network: The network; a BatchNorm elsewhere, a convolution with neither, and the head are left as they are.
        batch: `(n, height, width, 3) float32` training images.
    """
    layers = layers_of(to_keras(network))
    weights: dict[str, list[NDArray[np.float32]]] = {}
    values: dict[str, Any] = {network.input.name: tf.constant(batch)}
    head = [node for node in network.nodes if ops.TABLE[node.kind].convolves][-1]
    for node in network.nodes[1:]:
        read = [values[name] for name in node.inputs]
        made = network[node.inputs[0]]
        if node is not head and _has_its_own_bias(network, node):
            given = np.asarray(layers[node.name](read[0]), dtype=np.float64).reshape(-1, node.shape[-1])
            spread = _spread(given)
            kernel, shift = network.weights[node.name]
            shift = (shift - given.mean(axis=0)).astype(np.float32) / spread
            weights[node.name] = [kernel / along_outputs(node, kernel, spread), shift]
            layers[node.name].set_weights(weights[node.name])
        if node.kind == "batch_norm" and ops.TABLE[made.kind].convolves and network.sole_reader(made.name) is node:
            measured = np.asarray(read[0], dtype=np.float64).reshape(-1, node.shape[-1])
            spread = _spread(measured)
            kernel, *bias = network.weights[made.name]
            weights[made.name] = [kernel / along_outputs(made, kernel, spread), *(array / spread for array in bias)]
            gamma, beta, _, variance = network.weights[node.name]
            weights[node.name] = [
                gamma,
                beta,
                (measured.mean(axis=0) / spread).astype(np.float32),
                np.ones_like(variance),
            ]
            layers[node.name].set_weights(weights[node.name])
            read = [read[0] / spread]
        values[node.name] = layers[node.name](read if len(read) > 1 else read[0], training=False)
    return network.with_weights(weights)


def _spread(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return what each channel of `(n, channels)` is divided by."""
    spread = values.std(axis=0)
    largest = spread.max() or 1.0
    return np.where(spread > LEAST_SHARE * largest, spread, largest).astype(np.float32)


def _has_its_own_bias(network: Graph, node: Node) -> bool:
    """Return whether a layer's mean can only go into its bias."""
    if not ops.TABLE[node.kind].convolves or len(network.weights[node.name]) != 2:
        return False
    reader = network.sole_reader(node.name)
    return reader is None or reader.kind != "batch_norm"
