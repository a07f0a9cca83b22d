"""A starting point for networks that nothing was learned in, so that the arm from scratch is no straw man.

BatchNorm is frozen in this toolkit. Over random kernels a frozen, empty BatchNorm normalizes nothing, and the signal of a depthwise
network fades within a few layers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.training._keras import tf
from mstl_edge.training.network import ops
from mstl_edge.training.network.absorb import along_outputs
from mstl_edge.training.network.graph import Graph
from mstl_edge.training.network.keras import layers_of, to_keras

LEAST_SPREAD = 1e-8


def normalized_from_data(network: Graph, batch: NDArray[np.float32]) -> Graph:
    """Return a network with random kernels scaled so that channels in front of a BatchNorm have mean 0 and variance 1 on `batch`.

    Data-dependent initialization (Salimans and Kingma 2016, arXiv:1602.07868, section 3), operator by operator from the input. The
    scale goes into the kernel, the mean into the BatchNorm that alone reads the convolution.

    Args:
        network: The network; a BatchNorm elsewhere is left as it is.
        batch: `(n, height, width, 3) float32` training images.
    """
    layers = layers_of(to_keras(network))
    weights: dict[str, list[NDArray[np.float32]]] = {}
    values: dict[str, Any] = {network.input.name: tf.constant(batch)}
    for node in network.nodes[1:]:
        read = [values[name] for name in node.inputs]
        made = network[node.inputs[0]]
        if node.kind == "batch_norm" and ops.TABLE[made.kind].convolves and network.sole_reader(made.name) is node:
            measured = np.asarray(read[0], dtype=np.float64).reshape(-1, node.shape[-1])
            spread = np.maximum(measured.std(axis=0), LEAST_SPREAD).astype(np.float32)
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
