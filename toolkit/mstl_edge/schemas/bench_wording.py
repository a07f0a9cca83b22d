"""How a benchmark's times and speed-ups read, wherever they are shown: one form for each."""

from __future__ import annotations

from mstl_edge import bounded
from mstl_edge.counted import counted
from mstl_edge.metrics import Interval
from mstl_edge.schemas.bench import Timing

UNSTABLE = "~"
"""Stands in front of a time whose blocks do not agree; behind it is by how much."""


def milliseconds(ms: float) -> str:
    """Return a time with about three digits that count, without its unit."""
    if ms < 1:
        return f"{ms:.3f}".removesuffix("0")
    return f"{ms:.2f}" if ms < 10 else f"{ms:.1f}" if ms < 100 else f"{ms:,.0f}"


def marked(text: str, *, stable: bool | None, spread: float | None = None) -> str:
    """Return a written time as it is where its blocks agree or that is not known, else as `~2.08 (193 %)`."""
    if stable is not False:
        return text
    return f"{UNSTABLE}{text}" if spread is None else f"{UNSTABLE}{text} ({percent(spread)})"


def median_ms(timing: Timing) -> str:
    """Return the median of a timing, marked where its blocks do not agree."""
    return marked(milliseconds(timing.median), stable=timing.stable, spread=timing.spread)


def percent(share: float) -> str:
    """Return a share as whole per cent, `193 %`."""
    return f"{100 * share:,.0f} %"


def speedup(ratio: Interval) -> str:
    """Return `2.4 times as fast (2.1 to 2.7)`; a ratio below one turned round, and one that could be one with what that means.

    Args:
        ratio: Latency of the one / latency of the other, above 0, with its interval.
    """
    slower = ratio.value < 1
    shown = Interval(1 / ratio.value, 1 / ratio.high, 1 / ratio.low) if slower else ratio
    numbers = (shown.value, shown.low, shown.high)
    # With one decimal, 1.04 would read as no difference.
    digits = 2 if any(f"{number:.1f}" == "1.0" for number in numbers) else 1
    value, low, high = (f"{number:,.{digits}f}" for number in numbers)
    times = f"{value} times {'slower' if slower else 'as fast'}"
    tells = ": cannot tell" if ratio.low <= 1 <= ratio.high else ""
    return f"{bounded.bounded(times, low, high)}{tells}"


def threads_of(count: int) -> str:
    """Return `1 thread` or `4 threads`."""
    return counted(count, "thread")
