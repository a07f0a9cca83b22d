"""Post-training quantization, without learning: channels equalized, ranges calibrated, biases corrected.

What fine-tuning under fake quantization (`qat`) begins with, too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mstl_edge.artifact.inspection import WEIGHT_BITS
from mstl_edge.preprocess import normalize
from mstl_edge.training.network.graph import Graph
from mstl_edge.training.network.passes.biases import with_corrected_biases
from mstl_edge.training.network.passes.equalize import equalized
from mstl_edge.training.network.passes.quantized import fake_quantized

CALIBRATION_BATCH = 16
CORRECTION_IMAGES = 64


def calibrated(
    absorbed: Graph,
    pixels: NDArray[np.uint8],
    beside: NDArray[np.uint8] | None = None,
    *,
    weight_bits: int = WEIGHT_BITS,
) -> Graph:
    """Return a network under fake quantization: channels equalized, ranges set, biases corrected on calibration images.

    Args:
        absorbed: Image → probabilities, without BatchNorm.
        pixels: `(n, height, width, 3) uint8` of the training split; alone they set the ranges.
        beside: Views of them whose ranges equalization minds, and whose mean error the biases balance, as well.
        weight_bits: See `QuantizeSpec`.
    """
    views = pixels[:0] if beside is None else beside
    equal = equalized(absorbed, np.concatenate([pixels, views]))
    quantized = ranged(equal, pixels, weight_bits)
    return with_corrected_biases(quantized, equal, normalize(np.concatenate([pixels[:CORRECTION_IMAGES], views])))


def ranged(absorbed: Graph, pixels: NDArray[np.uint8], weight_bits: int = WEIGHT_BITS) -> Graph:
    """Return a network under fake quantization with ranges set by calibration images, and nothing else done to it."""
    starts = range(0, len(pixels), CALIBRATION_BATCH)
    batches = (normalize(pixels[start : start + CALIBRATION_BATCH]) for start in starts)
    return fake_quantized(absorbed, batches, weight_bits)
