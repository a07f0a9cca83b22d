"""Times for pytest-benchmark by `mstl-edge bench`'s own measurement: what stands in one row is timed in turns, block by block.

pytest-benchmark runs one test after the other, so a machine whose mood changes would favour one of two that are compared. Here the
first test of a row measures all of them, and each hands its own times to pytest-benchmark, whose JSON stays as it is; `extra_info`
holds the judgement of `mstl-edge bench`, how far the blocks differ, and whether clock, temperature and throttling held still.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mstl_edge.artifact import open_artifact
from mstl_edge.runtime import RuntimeChoice
from mstl_edge.schemas.bench_steadiness import block_medians
from mstl_edge_bench.lineup import trainable_parameters
from mstl_edge_bench.loaded import Loaded, load
from mstl_edge_bench.machine.clock import MONOTONIC
from mstl_edge_bench.machine.host import read_conditions
from mstl_edge_bench.timing import latency
from mstl_edge_bench.timing.session import Session, time_in_turns
from mstl_edge_bench.timing.subjects import inference_of
from mstl_edge_bench.timing.validity import disturbed_because

WARMUP_MS = 200.0
MOST_REPEATS = {"reference": 4}
"""Reference kernels take a quarter of a second a time."""
REPEATS = 60
"""Times in a block: in five blocks enough for a 99th percentile, and few enough that a file of 100 tests can be committed."""


@dataclass(frozen=True)
class Member:
    """One model in one runtime with one number of threads."""

    path: Path
    threads: int
    runtime: RuntimeChoice = "auto"


class Replay:
    """A timer for pytest-benchmark that repeats durations which were measured before."""

    __name__ = "mstl_edge_bench.timing.latency"

    def __init__(self) -> None:
        self._left: list[float] = []
        self._running = False

    def load(self, seconds: Sequence[float]) -> None:
        """Take the durations of the rounds to come."""
        self._left = list(reversed(seconds))
        self._running = False

    def __call__(self) -> float:
        """Return 0 when a round begins, and its duration when it ends."""
        self._running = not self._running
        return 0.0 if self._running else self._left.pop()


REPLAY = Replay()


class Turns:
    """Remembers what was timed together, for the tests of the row that come later."""

    def __init__(self, patience_s: float = latency.PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._rows: dict[Any, dict[str, dict[str, Any]]] = {}

    def record(self, benchmark: Any, row: Any, name: str, members: Callable[[], Mapping[str, Member]]) -> None:
        """Hand the times of one test to pytest-benchmark, after timing its whole row where that was not done yet.

        Args:
            benchmark: pytest-benchmark's fixture, with `REPLAY` for its timer.
            row: Equal for tests whose models are to be timed in turns.
            name: Of this test in its row.
            members: Makes the row: name → what to time.
        """
        if benchmark.disabled:
            benchmark.pedantic(_loaded(members()[name]).runtime.interpreter.invoke)
            return
        if row not in self._rows:
            self._rows[row] = time_row(members(), self._patience_s)
        found = self._rows[row].pop(name)
        seconds = found.pop("seconds")
        benchmark.extra_info.update(found)
        REPLAY.load(seconds)
        benchmark.pedantic(latency.nothing, rounds=len(seconds))


def time_row(members: Mapping[str, Member], patience_s: float) -> dict[str, dict[str, Any]]:
    """Time some models in turns; return for each the `seconds` of every inference, and what else a result file says of it.

    Args:
        members: Name → what to time.
        patience_s: How long blocks are added, at most, until they agree.
    """
    loaded = {name: _loaded(member) for name, member in members.items()}
    session = time_in_turns(
        [inference_of(model.runtime) for model in loaded.values()],
        latency.protocol(warmup_ms=WARMUP_MS, patience_s=patience_s),
        clock=MONOTONIC,
        conditions=read_conditions,
        most_repeats=[MOST_REPEATS.get(model.runtime.kind, REPEATS) for model in loaded.values()],
    )
    return {
        name: _told(model, times, session)
        for (name, model), times in zip(loaded.items(), session.times, strict=True)
    }  # fmt: skip


def _loaded(member: Member) -> Loaded:
    return load(open_artifact(member.path), member.runtime, member.threads)


def _told(model: Loaded, times: latency.Times, session: Session) -> dict[str, Any]:
    facts, judgement = model.artifact.facts, session.judge(times)
    return {
        # Whole nanoseconds, as the clock gave them.
        "seconds": [round(ms / 1000, 9) for ms in times.infer.raw],
        "runtime": model.runtime.name,
        "threads": model.runtime.threads,
        "parameters": facts.parameters,
        "trainable_parameters": trainable_parameters(model.artifact),
        "macs": facts.macs,
        "size_bytes": facts.size_bytes,
        "blocks": times.infer.blocks,
        "blocks_taken": session.rounds,
        "block_medians_ms": block_medians(times.infer),
        "spread": times.infer.spread,
        "stable": times.infer.stable,
        "held_still": disturbed_because(session.readings) is None,
        "overhead_share": times.overhead.share,
        "valid": judgement.invalid_because is None,
        "invalid_because": judgement.invalid_because,
        "warnings": list(judgement.warnings),
        "before": msgspec.to_builtins(session.readings[0]),
        "after": msgspec.to_builtins(session.readings[-1]),
    }
