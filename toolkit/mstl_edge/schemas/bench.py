"""The JSON of `mstl-edge bench`: schema `mstl-edge/bench/1` (docs/bench-schema.md), what it found as frozen data."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from mstl_edge.metrics import ClassAgreement, ClassScores, Interval
from mstl_edge.schemas.versioned import Schema

BENCH_SCHEMA: Literal["mstl-edge/bench/1"] = "mstl-edge/bench/1"


class Timing(Struct, frozen=True, kw_only=True):
    """Times of one kind in milliseconds: `raw` holds all of them in order, `blocks` blocks of equal length one after the other.

    `spread` is by how much the slowest block's median exceeds the fastest one's, as a share, and `stable` whether that is within
    the bound, judged when it was measured; both are None where one block alone, or an older version, told nothing.
    """

    median: float
    p90: float
    p99: float
    mean: float | None = None
    std: float | None = None
    min: float | None = None
    max: float | None = None
    blocks: int = 1
    raw: tuple[float, ...]
    spread: float | None = None
    stable: bool | None = None

    def __post_init__(self) -> None:
        """Refuse times that do not divide into their blocks."""
        if self.blocks < 1 or not self.raw or len(self.raw) % self.blocks:
            raise ValueError(f"raw with {self.blocks} blocks of equal length, not {len(self.raw)} times")


class Overhead(Struct, frozen=True, kw_only=True):
    """What the harness adds: medians of its blocks against a bare loop around the interpreter's `invoke`, in turns.

    `share` is the median over the pairs of blocks of harness / bare − 1, of each of the two orders, and the mean of both.
    """

    bare_median_ms: float
    share: float


class Startup(Struct, frozen=True, kw_only=True):
    """A fresh process that loads the model and answers once: times, and how resident memory grew at each step.

    Medians over `processes` processes. `peak_rss_bytes` is the whole process's, interpreter of Python included.
    `process_medians_ms` holds what each of them then took for one of a block of warm inferences.
    """

    processes: int
    load_ms: float
    allocate_ms: float
    first_inference_ms: float
    imported_rss_bytes: int
    load_rss_bytes: int
    allocate_rss_bytes: int
    first_inference_rss_bytes: int
    peak_rss_bytes: int
    process_medians_ms: tuple[float, ...] = ()


class Accuracy(Struct, frozen=True, kw_only=True):
    """Scores on labelled images with 95 % intervals; the positive class is the card's, and more than two have none.

    `data_sha256` names the images and their order, `correct` says for each by `1` or `0` whether the answer was right, so that
    two reports on the same images can be compared in pairs. `classes` is empty and `macro_f1` None in older reports.
    """

    data: str = "unknown"
    n: int
    value: float
    low: float
    high: float
    sensitivity: Interval | None = None
    specificity: Interval | None = None
    auc: Interval | None = None
    classes: dict[str, ClassScores] = {}
    macro_f1: Interval | None = None
    confusion: tuple[tuple[int, ...], ...] = ()
    threshold: float | None = None
    unreadable: int = 0
    data_sha256: str = ""
    correct: str = ""

    @property
    def interval(self) -> Interval:
        """Value and bounds."""
        return Interval(self.value, self.low, self.high)


class Conditions(Struct, frozen=True, kw_only=True):
    """The machine at one moment; None where it does not tell.

    `clock_mhz` is that of the fastest core that this process may run on; `throttled` holds the bits of
    `vcgencmd get_throttled`.
    """

    clock_mhz: float | None = None
    temperature_c: float | None = None
    throttled: int | None = None
    load_1min: float | None = None


class Host(Struct, frozen=True, kw_only=True):
    """The machine; nothing in here names it or its owner. `bits` are those of a pointer of this Python."""

    board: str = "unknown"
    cpu: str = "unknown"
    architecture: str = ""
    bits: int = 64
    cores: int = 1
    features: tuple[str, ...] = ()
    governor: str | None = None
    max_clock_mhz: float | None = None
    memory_bytes: int | None = None
    system: str = ""
    kernel: str = ""
    python: str = ""
    versions: dict[str, str] = {}
    emulated: str | None = None

    @property
    def name(self) -> str:
        """Its board where that says something, else its CPU."""
        known = [text for text in (self.board, self.cpu, self.architecture) if text not in ("", "unknown")]
        return known[0] if known else "unknown machine"


class Result(Struct, frozen=True, kw_only=True):
    """One model in one runtime with one number of threads, batch 1.

    `model` is the file's name, `name` the card's (the file's without a card); `candidate` is what the export calls a candidate
    that it did not choose, such as `int8-ptq`. `latency_ms` is one `invoke` of the interpreter, which is what TFLite's own
    benchmark publishes; setting the input and reading the output belong to `end_to_end_ms`. Where the CPU is emulated, times
    and memory are None. `before`, `between` and `after` are read under load: in front of the blocks, after each round of them,
    after the last. `valid` speaks of the times: the machine held still and the blocks of `latency_ms` agree; `invalid_because`
    says what was wrong and what to do. `block_medians_ms` holds the median latency of every block that was taken, in order, those
    too that `latency_ms` leaves out. `operators_elsewhere` counts by kind the operators that XNNPACK left to the runtime, where it
    took any. `unknown` lists what a file without a card does not tell.
    """

    model: str
    name: str = ""
    scheme: str
    candidate: str | None = None
    sha256: str = ""
    input_shape: tuple[int, ...] = ()
    runtime: str
    runtime_kind: str = ""
    runtime_because: str = ""
    threads: int
    latency_ms: Timing | None = None
    decode_resize_ms: Timing | None = None
    end_to_end_ms: Timing | None = None
    block_medians_ms: tuple[float, ...] = ()
    overhead: Overhead | None = None
    startup: Startup | None = None
    accuracy: Accuracy | None = None
    parameters: int
    trainable_parameters: int | None = None
    macs: int
    size_bytes: int
    flatbuffer_bytes: int = 0
    peak_rss_bytes: int | None = None
    operators: int = 0
    operators_in_xnnpack: int = 0
    operators_elsewhere: dict[str, int] = {}
    golden_lsb: float | None = None
    before: Conditions = Conditions()
    between: tuple[Conditions, ...] = ()
    after: Conditions = Conditions()
    valid: bool = True
    invalid_because: str | None = None
    warnings: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def is_int8(self) -> bool:
        """Whether it is fully quantized."""
        return self.scheme.startswith("int8")


class SpeedupAt(Struct, frozen=True, kw_only=True):
    """How many times as fast the quantized model is at one number of threads, with a 95 % interval over blocks, and why."""

    threads: int
    speedup: float
    low: float
    high: float
    because: str = ""

    @property
    def interval(self) -> Interval:
        """Ratio and bounds."""
        return Interval(self.speedup, self.low, self.high)


class Comparison(Struct, frozen=True, kw_only=True):
    """A quantized model against the float model, in the same runtime, on the same images.

    `speedup` is float latency / quantized latency at the first number of threads. `by_threads` holds the numbers of threads at
    which the times of both are valid, `not_compared` says of each other one why it has no speed-up. `agreement` is the share of
    images that both label alike; `accuracy_drop` accuracy of the float model minus that of the quantized one, as a share;
    `mcnemar_p` the exact McNemar test. None where something was not measured, or a time is not valid.
    """

    model: str = ""
    float_model: str = ""
    runtime_kind: str = ""
    speedup: float | None = None
    by_threads: tuple[SpeedupAt, ...] = ()
    not_compared: tuple[str, ...] = ()
    size_ratio: float | None = None
    agreement: float | None = None
    agreement_low: float | None = None
    agreement_high: float | None = None
    accuracy_drop: float | None = None
    accuracy_drop_low: float | None = None
    accuracy_drop_high: float | None = None
    float_only_correct: int | None = None
    quantized_only_correct: int | None = None
    mcnemar_p: float | None = None
    largest_difference: float | None = None
    agreement_by_class: tuple[ClassAgreement, ...] = ()


class Protocol(Struct, frozen=True, kw_only=True):
    """How it was measured; equal in everything that is compared.

    `blocks` in a row have to agree; until they do, more are taken, for at most `patience_s` seconds at each number of threads.
    """

    blocks: int = 5
    repeats: int | None = None
    warmup_calls: int = 0
    warmup_ms: float = 0.0
    patience_s: float = 0.0
    batch: int = 1
    end_to_end_image: str = "drawn 512×512 PNG"


Verdict = Literal[
    "better", "unchanged", "within noise", "worse", "within tolerance", "undecided", "regression", "invalid"
]


class Change(Struct, frozen=True, kw_only=True):
    """One number against its `baseline`. `change` is what got worse, as a share: growth of latency, or loss of accuracy.

    `low` and `high` are its 95 % interval. With a `tolerance` the verdict is `regression` where the whole interval lies beyond it,
    `undecided` where it holds it, `within tolerance` otherwise; without one it is `worse` or `within noise`. Where one of two
    times is not valid the verdict is `invalid`, and the numbers tell nothing.
    """

    model: str
    scheme: str
    candidate: str | None = None
    threads: int
    what: Literal["latency", "accuracy"]
    baseline: float
    now: float
    change: float
    low: float
    high: float
    tolerance: float | None = None
    verdict: Verdict


class BenchReport(Struct, frozen=True, kw_only=True):
    """Everything one `mstl-edge bench` found; `comparison` is the first of `comparisons`, `changes` are against `--compare`."""

    schema: str = "mstl-edge/bench/1"
    created: str = ""
    host: Host
    protocol: Protocol = Protocol()
    results: tuple[Result, ...]
    comparison: Comparison | None = None
    comparisons: tuple[Comparison, ...] = ()
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()


BENCH = Schema("bench", 1, BenchReport)


def encode_report(report: BenchReport) -> bytes:
    """Return the report as JSON on one line: indented, `raw` times would fill thousands."""
    return msgspec.json.encode(report) + b"\n"
