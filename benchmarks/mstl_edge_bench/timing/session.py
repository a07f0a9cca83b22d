"""Several subjects timed in turns, with the machine looked at before, between and after their blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mstl_edge.schemas.bench import Conditions, Protocol
from mstl_edge_bench.machine.clock import Clock
from mstl_edge_bench.timing import latency
from mstl_edge_bench.timing.latency import Subject, Times, Watch
from mstl_edge_bench.timing.validity import Judgement, judge


@dataclass(frozen=True)
class Session:
    """What was timed together, and how the machine was meanwhile.

    Attributes:
        times: Of each subject.
        readings: The machine before the first block that counts and after each round of them, all under load.
        rounds: How many blocks of each subject were taken, those included that do not count.
    """

    times: tuple[Times, ...]
    readings: tuple[Conditions, ...]
    rounds: int

    def judge(self, times: Times) -> Judgement:
        """Return what is to be thought of one subject's times."""
        return judge(times.infer, times.overhead, self.readings)

    @property
    def stable(self) -> bool:
        """Whether the blocks of every subject agree."""
        return all(times.infer.stable is not False for times in self.times)


def time_in_turns(
    subjects: Sequence[Subject],
    protocol: Protocol,
    *,
    clock: Clock,
    conditions: Callable[[], Conditions],
    watch: Watch | None = None,
    most_repeats: Sequence[int] | None = None,
) -> Session:
    """Warm the subjects up, then time a block of each in turn, until `protocol.blocks` in a row agree or its patience ends.

    Args:
        subjects: What to time.
        protocol: How many blocks of how many repeats, and for how long others are added.
        clock: Nanoseconds.
        conditions: Looks at the machine.
        watch: Who is told meanwhile.
        most_repeats: Per subject, a bound on the repeats in a block, for kernels that take a quarter of a second.
    """
    repeats = latency.warm_up(subjects, protocol, clock)
    if most_repeats is not None:
        repeats = [min(pair) for pair in zip(repeats, most_repeats, strict=True)]
    # Read while the machine is warm and busy: an idle clock says nothing about the clock under load.
    watch, readings = watch or Watch(), [conditions()]
    told = watch.after_round

    def look() -> None:
        readings.append(conditions())
        told()

    measured = latency.measure(subjects, repeats, protocol, clock, Watch(look, watch.unsettled))
    counted = measured.counted
    return Session(measured.times, tuple(readings[counted.start : counted.stop + 1]), measured.rounds)
