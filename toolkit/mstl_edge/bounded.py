"""A value with the bounds of its interval, in words: one form for each kind of number, wherever it is shown."""

from __future__ import annotations

from typing import Protocol


class Bounded(Protocol):
    """A share with the bounds of its interval, such as `metrics.Interval`."""

    @property
    def value(self) -> float:
        """What was found."""

    @property
    def low(self) -> float:
        """The lower bound."""

    @property
    def high(self) -> float:
        """The upper bound."""


def bounded(value: str, low: str, high: str) -> str:
    """Return `VALUE (LOW to HIGH)` of numbers that are written already."""
    return f"{value} ({between(low, high)})"


def between(low: str, high: str) -> str:
    """Return `LOW to HIGH`, for a line of its own."""
    return f"{low} to {high}"


def percent(share: Bounded, unit: str = "") -> str:
    """Return `87.5 (74 to 95)`, as a person reads it; `unit` stands behind the value."""
    return bounded(f"{100 * share.value:.1f}{unit}", f"{100 * share.low:.0f}", f"{100 * share.high:.0f}")


def fine_percent(share: Bounded) -> str:
    """Return `87.5 (74.1 to 95.3)`."""
    return bounded(f"{100 * share.value:.1f}", f"{100 * share.low:.1f}", f"{100 * share.high:.1f}")


def with_signs(share: Bounded) -> str:
    """Return `87.5% (74.1% to 95.3%)`."""
    return bounded(f"{share.value:.1%}", f"{share.low:.1%}", f"{share.high:.1%}")


def decimal(share: Bounded) -> str:
    """Return `0.875 (0.741 to 0.953)`."""
    return bounded(f"{share.value:.3f}", f"{share.low:.3f}", f"{share.high:.3f}")


def points(value: float, low: float, high: float, unit: str = " points") -> str:
    """Return a difference of shares as `+1.0 points (-2.0 to +4.0)`; `unit` stands behind the value."""
    return bounded(f"{100 * value:+.1f}{unit}", f"{100 * low:+.1f}", f"{100 * high:+.1f}")
