"""Ratios of latencies with an interval that comes from how much blocks and processes differ."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mstl_edge.metrics import Interval
from mstl_edge.schemas.bench import Startup, Timing

RESAMPLES = 2000
LEAST_BETWEEN_RUNS = 0.03
"""Two runs of one model within this share of each other are taken for equal however well their processes agree: they do not
see what changes between two days, such as where the kernel puts pages or what else the machine does."""
_T_95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306}
"""Student's t, 97.5 %, by degrees of freedom."""
_SEED = 2020


def latency_ratio(numerator: Timing, denominator: Timing) -> Interval:
    """Return median / median of one process with its 95 % bootstrap interval.

    Whole blocks are drawn, since times within one share the machine's mood (block bootstrap; Kalibera and Jones, "Rigorous
    benchmarking in reasonable time", ISMM 2013, resample at the highest level of repetition likewise).
    """
    draw = np.random.default_rng(_SEED)
    ratios = _resampled_medians(numerator, draw) / _resampled_medians(denominator, draw)
    low, high = np.percentile(ratios, (2.5, 97.5))
    value = numerator.median / denominator.median
    return Interval(value, min(float(low), value), max(float(high), value))


def ratio_between_runs(now: tuple[Timing, Startup | None], earlier: tuple[Timing, Startup | None]) -> Interval:
    """Return median now / median then with a 95 % interval that two runs of the same model, on the same machine, lie within.

    Blocks of one process share its layout in memory, so their bootstrap knows nothing of the next process. What processes differ
    by is estimated from the fresh ones that each report has timed, and added in squares, on the logarithm of the ratio.
    """
    ratio = latency_ratio(now[0], earlier[0])
    spread = between_runs(now[1], earlier[1])
    above = math.hypot(math.log(ratio.high / ratio.value), spread)
    below = math.hypot(math.log(ratio.value / ratio.low), spread)
    return Interval(ratio.value, ratio.value * math.exp(-below), ratio.value * math.exp(above))


def between_runs(*startups: Startup | None) -> float:
    """Return the half width of the 95 % interval of log(one process / another one), from the medians of fresh processes.

    The variance is pooled over the reports, each about its own mean, and doubled, since either run is one process; at least
    `LEAST_BETWEEN_RUNS`, which also stands in where a report timed no processes.
    """
    logs = [np.log(startup.process_medians_ms) for startup in startups if startup and startup.process_medians_ms]
    freedom = sum(len(of_one) - 1 for of_one in logs)
    if freedom < 1:
        return LEAST_BETWEEN_RUNS
    variance = sum(float(((of_one - of_one.mean()) ** 2).sum()) for of_one in logs) / freedom
    return max(_T_95.get(freedom, 2.3) * math.sqrt(2 * variance), LEAST_BETWEEN_RUNS)


def _resampled_medians(timing: Timing, draw: np.random.Generator) -> NDArray[np.float64]:
    blocks = np.reshape(timing.raw, (timing.blocks, -1))
    # A few hundred quantiles stand for a block: the median of the resample moves by less than the clock's own resolution.
    if blocks.shape[1] > 101:
        blocks = np.quantile(blocks, np.linspace(0, 1, 101), axis=1).T
    chosen = draw.integers(0, timing.blocks, (RESAMPLES, timing.blocks))
    return np.asarray(np.median(blocks[chosen].reshape(RESAMPLES, -1), axis=1))
