"""What a benchmark's JSON holds for a report; the rest of schema `mstl-edge/bench/1` is passed over.

The report stands below `mstl_edge_bench` and reads its files by their schema, as any other program would.
"""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from mstl_edge.metrics import Interval
from mstl_edge.schemas.versioned import Schema

BENCH_SCHEMA = "mstl-edge/bench/1"


class Timing(Struct, frozen=True, kw_only=True):
    """Times in milliseconds; `raw` holds all of them."""

    median: float
    p90: float
    p99: float
    raw: tuple[float, ...] = ()


class Accuracy(Struct, frozen=True, kw_only=True):
    """Share of right answers on `n` images, with its 95 % interval."""

    n: int
    value: float
    low: float
    high: float

    @property
    def interval(self) -> Interval:
        """Value and bounds."""
        return Interval(self.value, self.low, self.high)


class Result(Struct, frozen=True, kw_only=True):
    """One model in one runtime with one number of threads; `candidate` is what the export calls one that it did not choose."""

    model: str
    scheme: str
    candidate: str | None = None
    runtime: str
    threads: int
    parameters: int
    macs: int
    size_bytes: int
    latency_ms: Timing | None = None
    accuracy: Accuracy | None = None
    peak_rss_bytes: int | None = None
    valid: bool = True
    invalid_because: str | None = None

    @property
    def is_int8(self) -> bool:
        """Whether it is fully quantized."""
        return self.scheme.startswith("int8")


class SpeedupAt(Struct, frozen=True, kw_only=True):
    """How many times as fast the quantized model is at one number of threads."""

    threads: int
    speedup: float


class Comparison(Struct, frozen=True, kw_only=True):
    """A quantized model against its float twin; `model` is its file's name."""

    model: str = ""
    by_threads: tuple[SpeedupAt, ...] = ()


class Host(Struct, frozen=True, kw_only=True):
    """The machine."""

    board: str = "unknown"
    cpu: str = "unknown"
    architecture: str = ""
    emulated: str | None = None

    @property
    def name(self) -> str:
        """Its board where that says something, else its CPU."""
        known = [text for text in (self.board, self.cpu, self.architecture) if text not in ("", "unknown")]
        return known[0] if known else "unknown machine"


class Bench(Struct, frozen=True, kw_only=True):
    """A benchmark report."""

    host: Host
    results: tuple[Result, ...]
    comparison: Comparison | None = None
    comparisons: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = ()


def read_bench(path: Path) -> Bench:
    """Read a benchmark's JSON.

    Raises:
        RunError: Unreadable, of another schema, or a field is missing or wrong.
    """
    return Schema("bench", 1, Bench).read(path, hint="Write one with 'mstl-edge bench --out FILE'.")
