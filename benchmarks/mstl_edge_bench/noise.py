"""Ratios of latencies with an interval that comes from how much the blocks differ."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mstl_edge.metrics import Interval
from mstl_edge_bench.result import Timing

RESAMPLES = 2000
_SEED = 2020


def latency_ratio(numerator: Timing, denominator: Timing) -> Interval:
    """Return median / median with its 95 % bootstrap interval.

    Whole blocks are drawn, since times within one share the machine's mood (block bootstrap; Kalibera and Jones, "Rigorous
    benchmarking in reasonable time", ISMM 2013, resample at the highest level of repetition likewise).
    """
    draw = np.random.default_rng(_SEED)
    ratios = _resampled_medians(numerator, draw) / _resampled_medians(denominator, draw)
    low, high = np.percentile(ratios, (2.5, 97.5))
    value = numerator.median / denominator.median
    return Interval(value, min(float(low), value), max(float(high), value))


def _resampled_medians(timing: Timing, draw: np.random.Generator) -> NDArray[np.float64]:
    blocks = np.reshape(timing.raw, (timing.blocks, -1))
    # A few hundred quantiles stand for a block: the median of the resample moves by less than the clock's own resolution.
    if blocks.shape[1] > 101:
        blocks = np.quantile(blocks, np.linspace(0, 1, 101), axis=1).T
    chosen = draw.integers(0, timing.blocks, (RESAMPLES, timing.blocks))
    return np.asarray(np.median(blocks[chosen].reshape(RESAMPLES, -1), axis=1))
