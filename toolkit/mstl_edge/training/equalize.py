"""Activation ranges made equal across the channels of a tensor, so that one scale per tensor serves all of them.

An int8 activation has one scale for all its channels, and the widest channel sets it: a channel that reaches a tenth of
that range is left with 26 of 256 steps. Multiplying such a channel where it is made and dividing it where it is read
leaves the function as it was and gives the channel more steps (cross-layer equalization, Nagel et al. 2019,
arXiv:1906.04721, 4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.preprocess import normalize
from mstl_edge.training import graph
from mstl_edge.training._keras import keras, tf
from mstl_edge.training.fold import smallest_kernel

HEADROOM = 1.1
"""Room above a channel's largest calibration value; beyond it a lifted channel would be cut off by its ReLU6 too early."""
LARGEST_FACTOR = 16.0
BATCH = 16


def equalized(folded: Any, pixels: NDArray[np.uint8]) -> Any:
    """Return a model that computes what `folded` does, with channels of like range.

    Args:
        folded: Image → probabilities, flat, without BatchNorm.
        pixels: `(n, height, width, 3) uint8`; their activations say how wide a channel is.
    """
    found = _pairs(folded)
    weights = graph.weights_of(folded)
    for (makes, relu, reads), largest in zip(
        found, _largest(folded, [relu for _, relu, _ in found], pixels), strict=True
    ):
        factors = _factors(largest, relu.max_value, weights[reads.name], free=_is_depthwise(reads))
        weights[makes.name] = [array * _along_outputs(makes, array, factors) for array in weights[makes.name]]
        kernel, *rest = weights[reads.name]
        weights[reads.name] = [
            kernel / factors[:, np.newaxis],
            *rest,
        ]  # input channels come second to last in either kind
    model = keras.models.clone_model(folded)
    graph.set_weights(model, weights)
    return model


def _pairs(folded: Any) -> list[tuple[Any, Any, Any]]:
    """Return every convolution whose ReLU is read by one other convolution only: the three layers each."""
    found = []
    for relu in folded.layers:
        if not isinstance(relu, keras.layers.ReLU):
            continue
        makes = relu.inbound_nodes[0].inbound_layers
        reads = _only_reader(relu)
        if isinstance(reads, keras.layers.ZeroPadding2D):
            reads = _only_reader(reads)
        if _convolves(makes) and _only_reader(makes) is relu and reads is not None and _convolves(reads):
            found.append((makes, relu, reads))
    return found


def _only_reader(layer: Any) -> Any:
    readers = [node.outbound_layer for node in layer.outbound_nodes]
    return readers[0] if len(readers) == 1 else None


def _convolves(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D)


def _is_depthwise(layer: Any) -> bool:
    return isinstance(layer, keras.layers.DepthwiseConv2D)


def _largest(folded: Any, relus: Sequence[Any], pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Return the largest value per channel that each ReLU puts out, `(channels,)`."""
    probe = keras.Model(folded.input, [relu.output for relu in relus])
    observe = tf.function(lambda batch: [tf.reduce_max(t, axis=[0, 1, 2]) for t in probe(batch, training=False)])
    largest = [np.zeros(relu.output.shape[-1], dtype=np.float32) for relu in relus]
    for start in range(0, len(pixels), BATCH):
        seen = observe(tf.constant(normalize(pixels[start : start + BATCH])))
        largest = [np.maximum(before, np.asarray(now)) for before, now in zip(largest, seen, strict=True)]
    return largest


def _factors(
    largest: NDArray[np.float32], limit: float | None, read_by: list[NDArray[np.float32]], *, free: bool
) -> NDArray[np.float32]:
    """Return what each channel is multiplied by, at least 1: a smaller factor would lift a ReLU6 above its limit.

    A depthwise kernel has a scale per channel and so is divided for free, as far as its bias still fits into int32. A pointwise
    kernel's scale spans all its input channels: there the gain in activations is balanced against the loss in weights, by the
    square root.
    """
    common = min(float(largest.max()), limit or np.inf)
    wanted = np.clip(common / np.maximum(HEADROOM * largest, 1e-6), 1.0, LARGEST_FACTOR)
    if not free:
        return np.asarray(np.sqrt(wanted), dtype=np.float32)
    kernel, bias = read_by
    bearable = np.abs(kernel).max(axis=(0, 1, 3)) / smallest_kernel(bias)
    return np.asarray(np.clip(wanted, 1.0, np.maximum(bearable, 1.0)), dtype=np.float32)


def _along_outputs(layer: Any, array: NDArray[Any], factors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return `factors` shaped to multiply a kernel's output channels, or a bias."""
    return factors[:, np.newaxis] if array.ndim > 1 and _is_depthwise(layer) else factors
