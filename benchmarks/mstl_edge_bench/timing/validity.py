"""Whether times can be trusted: each thing that spoils them, its bound, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import reduce
from operator import or_

from mstl_edge.schemas.bench import Conditions, Overhead, Timing
from mstl_edge.schemas.bench_steadiness import unstable_because

CLOCK_CHANGE = 0.10
HOTTEST_C = 80.0
"""A Raspberry Pi lowers its clock from here on."""
WARMING_C = 20.0
OVERHEAD_SHARE = 0.03
BUSY_LOAD = 0.5
"""Load average per core from which other work is taken to disturb."""
_NOW = {0: "under-voltage", 1: "a capped clock", 2: "throttling", 3: "the soft temperature limit"}
"""Bits of `vcgencmd get_throttled`; the same 16 higher mean that it happened since boot."""


class Spoiler(Enum):
    """What makes times worth less, with its remedy; the first four make them invalid, the others are told beside them.

    What else makes them invalid are blocks that do not agree (`bench_steadiness`).
    """

    CLOCK = "Fix the clock: echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
    HOT = "Cool the board (heat sink, fan), wait until it is below 60 °C, and measure again."
    WARMED = "Let it run for some minutes first, or cool it, and measure again."
    THROTTLED = "Use the board's own power supply and cool it; 'vcgencmd get_throttled' should say 0x0 after a reboot."
    EARLIER = (
        "Whether it happened again while measuring can't be told: reboot, which clears the flags, and measure again."
    )
    UNSTEADY = "Stop other work on this machine and measure again."
    BUSY = "Stop other work on this machine and measure again."
    OVERHEAD = "Take overhead.bare_median_ms for this model: an inference this short feels the clock itself."


@dataclass(frozen=True)
class Judgement:
    """What is to be thought of one model's times: why they are not valid, None where they are, and what makes them less certain."""

    invalid_because: str | None
    warnings: tuple[str, ...]


def judge(latency: Timing, overhead: Overhead, readings: Sequence[Conditions]) -> Judgement:
    """Judge the times of one model, once for whoever shows them.

    Args:
        latency: Its inferences.
        overhead: What the harness adds.
        readings: The machine before, between and after the blocks, in order.
    """
    reasons = (disturbed_because(readings), unstable_because(latency))
    return Judgement(
        " ".join(reason for reason in reasons if reason) or None, tuple(timing_warnings(overhead, readings))
    )


def disturbed_because(readings: Sequence[Conditions]) -> str | None:
    """Return how the machine spoiled times between some moments under load, with the remedy; None where it held still.

    Args:
        readings: The machine before, between and after the blocks, in order.
    """
    found = [*_clock(readings), *_temperature(readings), *_throttling(readings)]
    return " ".join(f"{what}. {spoiler.value}" for spoiler, what in found) or None


def _clock(readings: Sequence[Conditions]) -> list[tuple[Spoiler, str]]:
    told = [reading.clock_mhz for reading in readings if reading.clock_mhz]
    if not told or max(told) / min(told) - 1 <= CLOCK_CHANGE:
        return []
    changed = f"clock between {min(told):.0f} and {max(told):.0f} MHz (bound {CLOCK_CHANGE:.0%})"
    return [(Spoiler.CLOCK, changed)]


def _temperature(readings: Sequence[Conditions]) -> list[tuple[Spoiler, str]]:
    told = [reading.temperature_c for reading in readings if reading.temperature_c is not None]
    if not told:
        return []
    if max(told) >= HOTTEST_C:
        return [(Spoiler.HOT, f"CPU at {max(told):.0f} °C (bound {HOTTEST_C:.0f} °C)")]
    if max(told) - told[0] > WARMING_C:
        return [(Spoiler.WARMED, f"CPU went from {told[0]:.0f} to {max(told):.0f} °C (bound {WARMING_C:.0f} °C more)")]
    return []


def _throttling(readings: Sequence[Conditions]) -> list[tuple[Spoiler, str]]:
    """Flags that are set at any reading count, and those of the past that were not there at the first."""
    told = [reading.throttled for reading in readings if reading.throttled is not None]
    if not told:
        return []
    ever = reduce(or_, told)
    since = ever & ~told[0]
    named = [name for bit, name in _NOW.items() if ever >> bit & 1 or since >> (bit + 16) & 1]
    flags = f"0x{told[0]:x} before, 0x{told[-1]:x} after"
    return [(Spoiler.THROTTLED, f"{' and '.join(named)} while measuring ({flags})")] if named else []


def _throttled_earlier(readings: Sequence[Conditions]) -> list[tuple[Spoiler, str]]:
    """A flag of the past stays set until a reboot, so a second time between two readings would leave no trace."""
    told = [reading.throttled for reading in readings if reading.throttled is not None]
    named = [name for bit, name in _NOW.items() if told and told[0] >> (bit + 16) & 1]
    return [(Spoiler.EARLIER, f"{' and '.join(named)} since boot, before the times (0x{told[0]:x})")] if named else []


def timing_warnings(overhead: Overhead, readings: Sequence[Conditions] = ()) -> list[str]:
    """Return what makes one model's times less certain without spoiling them."""
    found = _throttled_earlier(readings)
    if overhead.share > OVERHEAD_SHARE:
        found.append((Spoiler.OVERHEAD, f"the harness adds {overhead.share:.1%} (bound {OVERHEAD_SHARE:.0%})"))
    elif overhead.share < -OVERHEAD_SHARE:
        faster = f"the bare loop was {-overhead.share:.1%} slower than the harness (bound {OVERHEAD_SHARE:.0%})"
        found.append((Spoiler.UNSTEADY, faster))
    return [f"{what}. {spoiler.value}" for spoiler, what in found]


def busy_because(start: Conditions, cores: int) -> str | None:
    """Return a warning where other work ran before anything was measured, None where the machine was idle."""
    if start.load_1min is None or start.load_1min <= cores * BUSY_LOAD:
        return None
    return f"load average {start.load_1min:.1f} on {cores} cores before measuring. {Spoiler.BUSY.value}"
