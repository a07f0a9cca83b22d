"""Axes: where a value lies between two ends, and which round values are written on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mstl_edge.errors import MstlEdgeError

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_ROUNDING = 1e-9
_MULTIPLES = (
    (1.0,),
    (1.0, 3.0),
    (1.0, 2.0, 5.0),
    (1.0, 1.5, 2.0, 3.0, 5.0, 7.0),
    (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0),
)
"""What is tried in each decade of a logarithmic axis, until there are enough ticks."""
_LEAST_TICKS = 4
_LOG_ROOM = 1.2
"""Room beyond the outermost values of a logarithmic axis, as a ratio."""


@dataclass(frozen=True)
class Axis:
    """A range with its name and the values written on it.

    Attributes:
        label: What is measured, with its unit.
        low: Value at the start.
        high: Value at the end, above `low`.
        ticks: Values and what is written there.
        logarithmic: Equal ratios take equal room.
    """

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Return where `value` lies: 0 at `low`, 1 at `high`; values outside are drawn at the ends."""
        bounded = min(max(value, self.low), self.high)
        if self.logarithmic:
            return math.log(bounded / self.low) / math.log(self.high / self.low)
        return (bounded - self.low) / (self.high - self.low)


def linear_axis(label: str, values: Sequence[float], *, count: int = 5, percent: bool = False) -> Axis:
    """Return an axis that holds all values and ends on round ones.

    Args:
        label: Its name.
        values: At least one finite value.
        count: About how many ticks.
        percent: Shares, written as percentages.
    """
    low, high = _bounds(values)
    if math.isclose(low, high):
        pad = abs(low) * 0.1 or 1.0
        low, high = low - pad, high + pad
    step = round_step(high - low, count)
    first, last = math.floor(low / step + _ROUNDING), math.ceil(high / step - _ROUNDING)
    ticks = tuple((k * step, _written(k * step, step, percent)) for k in range(first, last + 1))
    return Axis(label, first * step, last * step, ticks)


def unit_axis(label: str, *, percent: bool = True) -> Axis:
    """Return an axis from 0 to 1."""
    ticks = tuple((k / 4, f"{25 * k}" if percent else f"{k / 4:g}") for k in range(5))
    return Axis(label, 0.0, 1.0, ticks)


def log_axis(label: str, values: Sequence[float], *, room: float = _LOG_ROOM) -> Axis:
    """Return a logarithmic axis from a value just below the smallest to one just above the largest.

    Args:
        label: Its name.
        values: At least one finite value above 0.
        room: Beyond the outermost values, as a ratio; 1 ends the axis at them where they differ.
    """
    low, high = _bounds(values)
    if low <= 0:
        raise MstlEdgeError(f"values above 0 for {label}", received=low)
    room = _LOG_ROOM if math.isclose(low, high) else room
    low, high = low / room, high * room
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for multiples in _MULTIPLES:
        found = [multiple * 10.0**decade for decade in decades for multiple in multiples]
        found = [value for value in found if low <= value <= high]
        if len(found) >= _LEAST_TICKS:
            break
    else:  # less than a factor of two from end to end: steps are as good as ratios
        step = round_step(high - low, 5)
        found = [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return Axis(label, low, high, tuple((value, f"{value:,.6g}") for value in found), logarithmic=True)


def round_step(span: float, count: int) -> float:
    """Return the smallest of 1, 2, 2.5, 5 times a power of ten that cuts `span` into at most `count` pieces."""
    rough = span / count
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in _STEPS if step * power >= rough * (1 - _ROUNDING))


def _bounds(values: Sequence[float]) -> tuple[float, float]:
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        raise MstlEdgeError("at least one finite value to draw", received=list(values)[:3])
    return min(finite), max(finite)


def _written(value: float, step: float, percent: bool) -> str:
    if percent:
        value, step = 100 * value, 100 * step
    decimals = max(0, -math.floor(math.log10(step) + _ROUNDING))
    if not math.isclose(round(step, decimals), step):
        decimals += 1  # 2.5 and 0.25
    return f"{round(value, decimals) + 0.0:,.{decimals}f}".replace("-", "−")
