"""Whether blocks of times agree, and what is said where they do not: the one rule, for what is measured and for older files."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from mstl_edge.schemas.bench import Result, Timing
from mstl_edge.schemas.bench_wording import percent, threads_of

BLOCK_SPREAD = 0.15
"""Largest `Timing.spread` at which times are stable."""
REMEDY = "Stop other work on this machine, or let bench try for longer (--patience SECONDS), and measure again."


def spread_of(medians: Sequence[float]) -> float:
    """Return by how much the largest median of some blocks exceeds the smallest, as a share."""
    return max(medians) / min(medians) - 1 if min(medians) > 0 else 0.0


def block_medians(timing: Timing) -> list[float]:
    """Return the median of each block in milliseconds."""
    medians: list[float] = np.median(np.reshape(timing.raw, (timing.blocks, -1)), axis=1).tolist()
    return medians


def judged(timing: Timing) -> Timing:
    """Return a timing with its `spread` and whether it is `stable`; as it is where it has one block alone."""
    medians = block_medians(timing)
    if len(medians) < 2:
        return timing
    spread = spread_of(medians)
    return msgspec.structs.replace(timing, spread=spread, stable=spread <= BLOCK_SPREAD)


def unstable_because(timing: Timing) -> str | None:
    """Return why a timing is not stable, and what to do; None where it is."""
    if timing.stable is not False or timing.spread is None:
        return None
    return f"medians of the blocks differ by {percent(timing.spread)} (bound {percent(BLOCK_SPREAD)}). {REMEDY}"


def unstable_rows(rows: Sequence[Result]) -> list[Result]:
    """Return those that are not valid for no other reason than blocks that do not agree."""
    return [row for row in rows if row.latency_ms and row.invalid_because == (unstable_because(row.latency_ms) or "")]


def unstable_remark(rows: Sequence[Result]) -> str:
    """Return one sentence on several `unstable_rows`, at least one, and what to do."""
    told = [
        f"{percent(row.latency_ms.spread)} ({row.model}, {threads_of(row.threads)})"
        for row in rows
        if row.latency_ms and row.latency_ms.spread is not None
    ]
    return f"medians of the blocks differ by {', '.join(told)}; bound {percent(BLOCK_SPREAD)}. {REMEDY}"


def not_compared_because(rows: Sequence[Result]) -> str | None:
    """Return why some rows of one number of threads give no speed-up; None where all their times are valid."""
    spoiled = [row for row in rows if not row.valid]
    if not spoiled:
        return None
    names = " and ".join(row.model for row in spoiled)
    return f"{threads_of(spoiled[0].threads)}: no speed-up, since the times of {names} are not valid"
