"""Several subjects timed in turns, with the machine looked at before, between and after their blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mstl_edge_bench import latency
from mstl_edge_bench.clock import Clock
from mstl_edge_bench.latency import Subject, Times
from mstl_edge_bench.result import Conditions, Protocol
from mstl_edge_bench.validity import invalid_because, timing_warnings


@dataclass(frozen=True)
class Session:
    """What was timed together, and how the machine was meanwhile.

    Attributes:
        times: Of each subject.
        readings: The machine before the first block and after each round of blocks, all under load.
    """

    times: tuple[Times, ...]
    readings: tuple[Conditions, ...]

    @property
    def invalid_because(self) -> str | None:
        """What spoiled the times, with the remedy; None where nothing did."""
        return invalid_because(self.readings)

    def warnings_of(self, times: Times) -> list[str]:
        """Return what makes one subject's times less certain."""
        return timing_warnings(times.infer, times.overhead, self.readings)


def time_in_turns(
    subjects: Sequence[Subject],
    protocol: Protocol,
    *,
    clock: Clock,
    conditions: Callable[[], Conditions],
    after_round: Callable[[], None] = lambda: None,
    most_repeats: Sequence[int] | None = None,
) -> Session:
    """Warm the subjects up, then time a block of each in turn, `protocol.blocks` times.

    Args:
        subjects: What to time.
        protocol: How many blocks of how many repeats.
        clock: Nanoseconds.
        conditions: Looks at the machine.
        after_round: Called after one block of everything; for progress.
        most_repeats: Per subject, a bound on the repeats in a block, for kernels that take a quarter of a second.
    """
    repeats = latency.warm_up(subjects, protocol, clock)
    if most_repeats is not None:
        repeats = [min(pair) for pair in zip(repeats, most_repeats, strict=True)]
    # Read while the machine is warm and busy: an idle clock says nothing about the clock under load.
    readings = [conditions()]

    def look() -> None:
        readings.append(conditions())
        after_round()

    times = latency.measure(subjects, repeats, protocol, clock, after_round=look)
    return Session(tuple(times), tuple(readings))
