"""Biases that balance what rounding does to the mean of each channel (Nagel et al. 2019, arXiv:1906.04721, 4.2).

Rounded kernels move the mean of a channel, and a depthwise network has nothing to average that out. Operators are gone through in
order, so each one compensates what the corrected ones before it left over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.training._keras import tf
from mstl_edge.training.network import ops
from mstl_edge.training.network.graph import Graph
from mstl_edge.training.network.keras import layers_of, probe, to_keras, weights_of

BLOCK = 16
"""Images that go through an operator at once."""


def with_corrected_biases(quantized: Graph, exact: Graph, batch: NDArray[np.float32]) -> Graph:
    """Return a network under fake quantization with each bias shifted by the mean error of its channel.

    Args:
        quantized: From `fake_quantized`.
        exact: The same network, not rounded.
        batch: `(n, height, width, 3) float32` images.
    """
    blocks = [tf.constant(batch[start : start + BLOCK]) for start in range(0, len(batch), BLOCK)]
    means = _channel_means(exact, blocks)
    model = to_keras(quantized)
    layers = layers_of(model)
    values: dict[str, list[Any]] = {}
    unread = Counter(name for node in quantized.nodes for name in dict.fromkeys(node.inputs))
    for node in quantized.nodes:
        layer = layers[node.name]
        if node.kind == "input":
            values[node.name] = blocks if node.rounding is None else [layer(block, training=False) for block in blocks]
            continue
        values[node.name] = _through(layer, [values[name] for name in node.inputs])
        if node.name in means:
            error = (_mean(values[node.name]) - means[node.name]).astype(np.float32)
            _bias_of(layer).assign_sub(error)
            if node.rounding is None:
                values[node.name] = [value - error for value in values[node.name]]
            else:  # a shifted bias is rounded anew
                values[node.name] = _through(layer, [values[name] for name in node.inputs])
        for name in dict.fromkeys(node.inputs):
            unread[name] -= 1
            if not unread[name]:  # the activations of a whole network would not fit into memory
                del values[name]
    return quantized.with_weights(weights_of(model))


def _through(layer: Any, read: Sequence[list[Any]]) -> list[Any]:
    """Return what a layer makes of each block of the values that it reads."""
    blocks = zip(*read, strict=True)
    return [layer(list(values) if len(values) > 1 else values[0], training=False) for values in blocks]


def _bias_of(layer: Any) -> Any:
    return getattr(layer, "layer", layer).bias


def _channel_means(exact: Graph, blocks: Iterable[Any]) -> dict[str, NDArray[np.float64]]:
    """Return what each operator with a kernel puts out in the mean, `(channels,)`, by its name."""
    names = [node.name for node in exact.nodes if ops.TABLE[node.kind].convolves]
    observe = probe(exact, names, _image_means)
    seen = zip(*(observe(block) for block in blocks), strict=True)
    return {name: _over_images(means) for name, means in zip(names, seen, strict=True)}


def _mean(blocks: Iterable[Any]) -> NDArray[np.float64]:
    return _over_images([_image_means(block) for block in blocks])


def _image_means(values: Any) -> Any:
    return tf.reduce_mean(values, axis=list(range(1, len(values.shape) - 1)))


def _over_images(means: Iterable[Any]) -> NDArray[np.float64]:
    """Return the mean over all images, in double precision: in single, its error would be as large as some corrections."""
    return np.asarray(np.concatenate([np.asarray(block, dtype=np.float64) for block in means]).mean(axis=0))
