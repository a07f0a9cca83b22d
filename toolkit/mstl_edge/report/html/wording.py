"""How numbers read in running text and in tables."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mstl_edge import bounded
from mstl_edge.counted import counted
from mstl_edge.metrics import Interval
from mstl_edge.report.html.markup import Markup, join, tag

NOT_MEASURED = "–"
_MOST_LETTERS = 24
_NEGATIVE = re.compile(r"(?<![\w.-])-(?=\.?\d)")


def percent(value: float) -> str:
    """Return a share as `90.6 %`."""
    return f"{100 * value:.1f} %"


def percent_interval(interval: Interval | None) -> str:
    """Return `90.6 (75.8 to 96.8)`, percentages where something else says so."""
    if interval is None:
        return NOT_MEASURED
    return bounded.fine_percent(interval)


def share_interval(interval: Interval) -> str:
    """Return `0.984 (0.845 to 0.998)`."""
    return bounded.decimal(interval)


def percent_cell(interval: Interval | None) -> Markup | str:
    """Return a table's cell: a percentage, and below it its interval."""
    if interval is None:
        return NOT_MEASURED
    return _cell(
        f"{100 * interval.value:.1f}", bounded.between(f"{100 * interval.low:.1f}", f"{100 * interval.high:.1f}")
    )


def share_cell(interval: Interval | float | None) -> Markup | str:
    """Return a table's cell: a share, and below it its interval where there is one."""
    if interval is None:
        return NOT_MEASURED
    if not isinstance(interval, Interval):
        return f"{interval:.3f}"
    return _cell(f"{interval.value:.3f}", bounded.between(f"{interval.low:.3f}", f"{interval.high:.3f}"))


def points_cell(value: float, low: float, high: float) -> Markup:
    """Return a table's cell: a difference in points, and below it its interval."""
    return _cell(points(value), bounded.between(points(low), points(high)))


def _cell(value: str, interval: str) -> Markup:
    return join(value, tag("br"), tag("small", interval))


def interval_in_words(interval: Interval) -> str:
    """Return `90.6 % (95 % interval 75.8 % to 96.8 %)`."""
    return f"{percent(interval.value)} (95 % interval {bounded.between(percent(interval.low), percent(interval.high))})"


def points(value: float) -> str:
    """Return a difference of shares in percentage points with its sign, `+1.0` or `−2.5`."""
    rounded = round(100 * value, 1)
    if rounded == 0:
        return "0.0"
    return f"{'+' if rounded > 0 else '−'}{abs(rounded):.1f}"


def points_interval(value: float, low: float, high: float) -> str:
    """Return `+1.0 (−2.0 to +4.0)`."""
    return bounded.bounded(points(value), points(low), points(high))


def p_value(p: float | None) -> str:
    """Return `0.21`, or `< 0.001`."""
    if p is None:
        return NOT_MEASURED
    return "<\u00a00.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def difference(value: float) -> str:
    """Return a difference of probabilities; one too small for three decimals as `< 0.001`."""
    return f"{value:.3f}" if value >= 0.0005 or value == 0 else "<\u00a00.001"


def megabytes(size_bytes: float) -> str:
    """Return bytes as millions of them, `3.54`."""
    return f"{size_bytes / 1e6:,.2f}"


def minus(text: str) -> str:
    """Return a sentence that a program wrote with minus signs before its negative numbers, in place of hyphens."""
    return _NEGATIVE.sub("−", text)


def short(text: str, most: int = _MOST_LETTERS) -> str:
    """Return a label that fits into a drawing."""
    return text if len(text) <= most else text[: most - 1] + "…"


def count_of(number: int, noun: str) -> str:
    """Return `1 image` or `32 images`."""
    return counted(number, noun)


def enumerated(texts: Sequence[str]) -> str:
    """Return `a`, `a and b`, or `a, b and c`."""
    *most, last = texts
    return f"{', '.join(most)} and {last}" if most else last
