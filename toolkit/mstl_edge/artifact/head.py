"""The head of a classifier as its file holds it: where it is linear after the pooling, class maps follow from the feature map.

Zhou et al. 2016 (arXiv:1512.04150): of a network that ends in average pooling, a linear layer and softmax, the logit of a class is
the mean over the map of that layer's response to each cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mstl_edge.artifact.tflite_graph import Operator, Tensor, TfliteGraph

_PASSED_OVER = ("RESHAPE", "SQUEEZE", "QUANTIZE", "DEQUANTIZE")
"""Operators that change the form of numbers, and nothing that they stand for beyond rounding."""


@dataclass(frozen=True)
class LinearHead:
    """What stands behind the pooling of a classifier.

    Attributes:
        features: Number of the tensor that is pooled, `(1, height, width, channels)`.
        kernel: `(classes, channels) float32`, the real numbers that the file's weights stand for.
        bias: `(classes,) float32`.
    """

    features: int
    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]

    def class_maps(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what each cell says for each class: the mean of a map plus the class's bias is its logit.

        Args:
            features: `(height, width, channels)` real numbers of the feature map.

        Returns:
            `(classes, height, width) float32`, in units of the logits.
        """
        return np.asarray(np.einsum("hwc,kc->khw", features, self.kernel, optimize=True), np.float32)

    def probabilities(self, maps: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the `(classes,)` probabilities that follow from class maps."""
        logits = maps.mean(axis=(1, 2), dtype=np.float64) + self.bias
        shares = np.exp(logits - logits.max())
        return np.asarray(shares / shares.sum(), np.float32)


def linear_head(graph: TfliteGraph) -> LinearHead | None:
    """Return a classifier's head; None where it is another one than average pooling, one linear layer and softmax."""
    try:
        return _linear_head(graph)
    except (IndexError, ValueError):  # operators that lack what theirs have, scales that do not fit
        return None


def _linear_head(graph: TfliteGraph) -> LinearHead | None:
    made_by = {number: operator for operator in graph.operators for number in operator.outputs}

    def back_to(number: int, *names: str) -> Operator | None:
        """Return the operator of one of these names that `number` comes from."""
        operator = made_by.get(number)
        while operator is not None and operator.name in _PASSED_OVER and operator.inputs:
            operator = made_by.get(operator.inputs[0])
        return operator if operator is not None and operator.name in names else None

    answer = next((number for number in graph.outputs if len(graph.tensors[number].shape) == 2), None)
    softmax = None if answer is None else back_to(answer, "SOFTMAX")
    linear = None if softmax is None else back_to(softmax.inputs[0], "CONV_2D", "FULLY_CONNECTED")
    pooled = None if linear is None else back_to(linear.inputs[0], "AVERAGE_POOL_2D", "MEAN")
    if linear is None or pooled is None or len(linear.inputs) < 2:
        return None
    source, mean = graph.tensors[pooled.inputs[0]], graph.tensors[pooled.outputs[0]]
    kernel = _real(graph, made_by, linear.inputs[1])
    if len(source.shape) != 4 or kernel is None or kernel.size != kernel.shape[0] * source.shape[3]:
        return None
    if int(np.prod(mean.shape)) != source.shape[3]:  # pooled over a part of the map
        return None
    bias = _real(graph, made_by, linear.inputs[2]) if len(linear.inputs) > 2 and linear.inputs[2] >= 0 else None
    classes = kernel.shape[0]
    return LinearHead(
        pooled.inputs[0],
        kernel.reshape(classes, source.shape[3]),
        np.zeros(classes, np.float32) if bias is None else bias.reshape(classes),
    )


def _real(graph: TfliteGraph, made_by: dict[int, Operator], number: int) -> NDArray[np.float32] | None:
    """Return the real numbers of a constant, which in a float16 file stands behind an operator; None where it is none."""
    behind = made_by.get(number)
    tensor = graph.tensors[behind.inputs[0] if behind is not None and behind.name == "DEQUANTIZE" else number]
    if tensor.constant is None:
        return None
    return dequantized(tensor, tensor.constant)


def dequantized(tensor: Tensor, values: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return the real numbers that values of a tensor stand for, by its own scales."""
    real = values.astype(np.float32)
    if not len(tensor.scales):
        return real
    along = [1] * real.ndim
    if len(tensor.scales) > 1:
        along[tensor.quantized_dimension] = len(tensor.scales)
    offsets = tensor.zero_points.astype(np.float32) if len(tensor.zero_points) else np.zeros(1, np.float32)
    shift = offsets.reshape(along if len(offsets) > 1 else [1] * real.ndim)
    return (real - shift) * tensor.scales.reshape(along)
