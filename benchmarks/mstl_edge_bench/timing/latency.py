"""Times in blocks: warm-up apart, what is compared takes turns, blocks added until enough of them in a row agree.

Blocks of every subject alternate, so that a machine that slows down while it is measured slows all of them: ratios hold where
milliseconds don't. What counts are the last blocks, as soon as they agree (Georges, Buytaert and Eeckhout, "Statistically rigorous
Java performance evaluation", OOPSLA 2007, wait for a steady state likewise); those before them were of a machine still unsettled.
"""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from mstl_edge.errors import MstlEdgeError
from mstl_edge.schemas.bench import Overhead, Protocol, Timing
from mstl_edge.schemas.bench_steadiness import BLOCK_SPREAD, judged, spread_of
from mstl_edge_bench.machine.clock import NS_PER_MS, NS_PER_S, Clock

LEAST_BLOCKS = 5
PATIENCE_S = 30.0
MOST_PATIENCE_S = 86_400.0
LEAST_REPEATS = 20
"""Five blocks of 20 are the 100 times that a 99th percentile needs."""
MOST_REPEATS = 500
BLOCK_NS = 300e6
"""About how long a block lasts where the number of repeats is left open."""
SETTLING_CALLS = 2
"""Calls in front of each block that are not kept: the subject before has emptied the caches."""

Call = Callable[[], object]


@dataclass(frozen=True)
class Subject:
    """What is timed of one loaded model.

    Attributes:
        invoke: The interpreter's own `invoke`; the harness times this call alone, as TFLite's `benchmark_model` does.
        give: Sets the input, before each timed inference.
        take: Gets the output, after it.
        decode: Encoded image → pixels; None where the model does not say how.
        end_to_end: Encoded image → decision, all of the above; None likewise.
    """

    invoke: Call
    give: Call
    take: Call
    decode: Call | None = None
    end_to_end: Call | None = None


@dataclass(frozen=True)
class Times:
    """What was measured of one subject; `block_medians_ms` of all blocks of `infer`, also those that it leaves out."""

    infer: Timing
    block_medians_ms: tuple[float, ...]
    overhead: Overhead
    decode: Timing | None
    end_to_end: Timing | None


@dataclass(frozen=True)
class Measured:
    """What was measured of all subjects: `rounds` of a block each were taken, and the times are those of the rounds `counted`."""

    times: tuple[Times, ...]
    counted: range
    rounds: int


@dataclass(frozen=True)
class Watch:
    """Who is told of what happens meanwhile: `after_round` of every round, `unsettled` of the spread for which blocks are added."""

    after_round: Callable[[], None] = lambda: None
    unsettled: Callable[[float], None] = lambda spread: None


def protocol(
    blocks: int = LEAST_BLOCKS,
    repeats: int | None = None,
    *,
    warmup_ms: float = 500.0,
    patience_s: float = PATIENCE_S,
) -> Protocol:
    """Return a checked protocol.

    Args:
        blocks: Blocks per subject that have to agree.
        repeats: Times per block; by default as many as take about 0.3 s, at least 20.
        warmup_ms: How long each call is warmed up, and at least 5 times.
        patience_s: How long blocks are added, at most, until they agree; 0 adds none.

    Raises:
        MstlEdgeError: Fewer than 5 blocks, no repeats, or a patience below 0 or without end.
    """
    if blocks < LEAST_BLOCKS:
        raise MstlEdgeError(f"--blocks of at least {LEAST_BLOCKS}", received=blocks)
    if repeats is not None and repeats < 1:
        raise MstlEdgeError("--repeats of at least 1", received=repeats)
    if not 0 <= patience_s <= MOST_PATIENCE_S:
        raise MstlEdgeError(f"--patience from 0 to {MOST_PATIENCE_S:.0f} seconds", received=patience_s)
    return Protocol(blocks=blocks, repeats=repeats, warmup_calls=5, warmup_ms=warmup_ms, patience_s=patience_s)


def warm_up(subjects: Sequence[Subject], protocol: Protocol, clock: Clock) -> list[int]:
    """Run every call of every subject until it is warm; return how many inferences make one block of each subject."""
    repeats = []
    for subject in subjects:
        subject.give()
        for call in (subject.decode, subject.end_to_end):
            if call is not None:
                _warm(call, protocol, clock)
        ns = _warm(subject.invoke, protocol, clock)
        wanted = int(np.clip(BLOCK_NS / max(ns, 1.0), LEAST_REPEATS, MOST_REPEATS))
        repeats.append(protocol.repeats or wanted)
    return repeats


def measure(
    subjects: Sequence[Subject], repeats: Sequence[int], protocol: Protocol, clock: Clock, watch: Watch | None = None
) -> Measured:
    """Time warm subjects, one block of each in turn, harness and bare loop alternating within, until their last blocks agree.

    Where the patience ends before, the blocks in a row count at which most subjects agree.

    Args:
        subjects: What to time.
        repeats: Inferences in a block, per subject; from `warm_up`.
        protocol: How many blocks, and for how long others are added.
        clock: Nanoseconds; also what the patience is measured by.
        watch: Who is told.
    """
    watch, records = watch or Watch(), [_Blocks([], [], [], []) for _ in subjects]
    deadline = 0.0
    with _no_collection():
        for number in itertools.count():
            for subject, count, record in zip(subjects, repeats, records, strict=True):
                record.add(number, subject, count, clock)
            watch.after_round()
            last = range(number + 1 - protocol.blocks, number + 1)
            if last.start < 0:
                continue
            spreads = [record.spread(last) for record in records]
            if last.start == 0:
                deadline = clock() + protocol.patience_s * NS_PER_S
            if max(spreads) <= BLOCK_SPREAD or clock() >= deadline:
                break
            if last.start == 0:
                watch.unsettled(max(spreads))
    counted = last if max(spreads) <= BLOCK_SPREAD else _calmest(records, protocol.blocks, number + 1)
    return Measured(tuple(record.times(counted) for record in records), counted, number + 1)


def _calmest(records: Sequence[_Blocks], blocks: int, rounds: int) -> range:
    """Return the rounds in a row at which most subjects agree with themselves; of several, those where the worst is least apart."""

    def unrest(first: int) -> tuple[int, float]:
        spreads = [record.spread(range(first, first + blocks)) for record in records]
        return sum(spread > BLOCK_SPREAD for spread in spreads), max(spreads)

    first = min(range(rounds - blocks + 1), key=unrest)
    return range(first, first + blocks)


def nothing() -> None:
    """Stand where nothing is to be done before or after a call."""


def time_block(call: Call, repeats: int, clock: Clock, before: Call = nothing, after: Call = nothing) -> list[int]:
    """Return the nanoseconds of each of `repeats` calls, after a few that are not kept; `before` and `after` are not timed."""
    for _ in range(SETTLING_CALLS):
        call()
    times = []
    for _ in range(repeats):
        before()
        start = clock()
        call()
        times.append(clock() - start)
        after()
    return times


def bare_block(invoke: Call, repeats: int, clock: Clock) -> list[int]:
    """Return the nanoseconds of `repeats` calls in the barest loop there is: what the harness is held against."""
    invoke()
    moments = [clock()]
    for _ in range(repeats):
        invoke()
        moments.append(clock())
    return [end - start for start, end in itertools.pairwise(moments)]


def overhead_share(harness: Sequence[Sequence[int]], bare: Sequence[Sequence[int]], first: int = 0) -> float:
    """Return harness / bare − 1: the median over the pairs of blocks of each order, and the mean of both orders.

    With an odd number of blocks one order has a pair more. A median over all pairs would be one of that order's, and carry what a
    machine that warms up or throttles adds to the second of two blocks.

    Args:
        harness: Nanoseconds, block by block.
        bare: The same of the bare loop.
        first: The number of the first of these blocks.
    """
    ratios = [float(np.median(ours) / max(np.median(plain), 1)) for ours, plain in zip(harness, bare, strict=True)]
    orders = [
        [ratio for number, ratio in enumerate(ratios, first) if _harness_first(number) is which]
        for which in (True, False)
    ]
    return float(np.mean([np.median(of_one_order) for of_one_order in orders if of_one_order])) - 1


def _harness_first(number: int) -> bool:
    """Say which of the two comes first in a block: neither always does, since the second finds the warmer caches."""
    return number % 2 == 0


def summarize(blocks: Sequence[Sequence[int]]) -> Timing:
    """Return blocks of nanoseconds, all of one length, as a `Timing` in milliseconds, judged by whether the blocks agree."""
    raw = np.concatenate([np.asarray(block, dtype=np.float64) for block in blocks]) / NS_PER_MS
    median, p90, p99 = np.percentile(raw, (50, 90, 99))
    timing = Timing(
        median=float(median), p90=float(p90), p99=float(p99), mean=float(raw.mean()),
        std=float(raw.std(ddof=1)) if len(raw) > 1 else 0.0, min=float(raw.min()), max=float(raw.max()),
        blocks=len(blocks), raw=tuple(raw.tolist()),
    )  # fmt: skip
    return judged(timing)


@dataclass(frozen=True)
class _Blocks:
    """Nanoseconds of one subject, block by block."""

    infer: list[list[int]]
    bare: list[list[int]]
    decode: list[list[int]]
    end_to_end: list[list[int]]

    def add(self, number: int, subject: Subject, count: int, clock: Clock) -> None:
        """Time the block of this number."""
        for harness in (True, False) if _harness_first(number) else (False, True):
            if harness:
                self.infer.append(time_block(subject.invoke, count, clock, subject.give, subject.take))
            else:
                self.bare.append(bare_block(subject.invoke, count, clock))
        fewer = max(count // 4, 5)
        if subject.decode is not None:
            self.decode.append(time_block(subject.decode, fewer, clock))
        if subject.end_to_end is not None:
            self.end_to_end.append(time_block(subject.end_to_end, fewer, clock))

    def spread(self, counted: range) -> float:
        """Return how far the medians of some blocks of inferences lie apart, as a share."""
        return spread_of([float(np.median(self.infer[number])) for number in counted])

    def times(self, counted: range) -> Times:
        """Return what was measured, of some blocks."""
        chosen = slice(counted.start, counted.stop)
        infer, bare = self.infer[chosen], self.bare[chosen]
        bare_median_ms = float(np.median(np.concatenate(bare)) / NS_PER_MS)
        overhead = Overhead(bare_median_ms=bare_median_ms, share=overhead_share(infer, bare, counted.start))
        decode = summarize(self.decode[chosen]) if self.decode else None
        end_to_end = summarize(self.end_to_end[chosen]) if self.end_to_end else None
        medians = tuple(float(np.median(block)) / NS_PER_MS for block in self.infer)
        return Times(summarize(infer), medians, overhead, decode, end_to_end)


def _warm(call: Call, protocol: Protocol, clock: Clock) -> float:
    """Call until it was both often and long enough; return the shortest time in nanoseconds."""
    started = clock()
    shortest, calls = float("inf"), 0
    while calls < protocol.warmup_calls or clock() - started < protocol.warmup_ms * NS_PER_MS:
        before = clock()
        call()
        shortest = min(shortest, clock() - before)
        calls += 1
    return shortest


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep Python's garbage collector out of the times, as timeit does."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
