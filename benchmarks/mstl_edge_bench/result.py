"""What a benchmark found, as frozen data; `encode_report` gives the JSON of schema `mstl-edge/bench/1` (docs/bench-schema.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from mstl_edge.errors import MstlEdgeError
from mstl_edge.metrics import ClassAgreement, ClassScores, Interval

BENCH_SCHEMA: Literal["mstl-edge/bench/1"] = "mstl-edge/bench/1"


class Timing(Struct, frozen=True, kw_only=True):
    """Times of one kind in milliseconds: `raw` holds all of them in order, `blocks` blocks of equal length one after the other."""

    median: float
    p90: float
    p99: float
    mean: float
    std: float
    min: float
    max: float
    blocks: int
    raw: tuple[float, ...]


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
    two reports on the same images can be compared in pairs.
    """

    data: str
    n: int
    value: float
    low: float
    high: float
    sensitivity: Interval | None
    specificity: Interval | None
    auc: Interval | None
    confusion: tuple[tuple[int, ...], ...]
    threshold: float | None
    unreadable: int
    data_sha256: str
    correct: str
    macro_f1: Interval | None = None
    classes: dict[str, ClassScores] = {}


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

    board: str
    cpu: str
    architecture: str
    bits: int
    cores: int
    features: tuple[str, ...]
    governor: str | None
    max_clock_mhz: float | None
    memory_bytes: int | None
    system: str
    kernel: str
    python: str
    versions: dict[str, str]
    emulated: str | None


class Result(Struct, frozen=True, kw_only=True):
    """One model in one runtime with one number of threads, batch 1.

    `model` is the file's name, `name` the card's (the file's without a card); `candidate` is what the export calls a candidate
    that it did not choose, such as `int8-ptq`. `latency_ms` is one `invoke` of the interpreter, which is what TFLite's own
    benchmark publishes; setting the input and reading the output belong to `end_to_end_ms`. Where the CPU is emulated, times
    and memory are None. `before`, `between` and `after` are read under load: in front of the blocks, after each round of them,
    after the last. `valid` speaks of the times, `invalid_because` says what was wrong and what to do. `unknown` lists what a
    file without a card does not tell.
    """

    model: str
    name: str
    scheme: str
    candidate: str | None = None
    sha256: str
    input_shape: tuple[int, ...]
    runtime: str
    runtime_kind: str
    runtime_because: str
    threads: int
    latency_ms: Timing | None
    decode_resize_ms: Timing | None
    end_to_end_ms: Timing | None
    overhead: Overhead | None
    startup: Startup | None
    accuracy: Accuracy | None
    parameters: int
    trainable_parameters: int | None
    macs: int
    size_bytes: int
    flatbuffer_bytes: int
    peak_rss_bytes: int | None
    operators: int
    operators_in_xnnpack: int
    golden_lsb: float | None
    before: Conditions
    between: tuple[Conditions, ...] = ()
    after: Conditions
    valid: bool
    invalid_because: str | None
    warnings: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


class SpeedupAt(Struct, frozen=True, kw_only=True):
    """How many times as fast the quantized model is at one number of threads, with a 95 % interval over blocks, and why."""

    threads: int
    speedup: float
    low: float
    high: float
    because: str


class Comparison(Struct, frozen=True, kw_only=True):
    """A quantized model against the float model, in the same runtime, on the same images.

    `speedup` is float latency / quantized latency at the first number of threads (`by_threads` has all); `agreement` the share of
    images that both label alike; `accuracy_drop` accuracy of the float model minus that of the quantized one, as a share;
    `mcnemar_p` the exact McNemar test. None where something was not measured.
    """

    model: str
    float_model: str
    runtime_kind: str
    speedup: float | None
    by_threads: tuple[SpeedupAt, ...]
    size_ratio: float
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
    """How it was measured; equal in everything that is compared."""

    blocks: int
    repeats: int | None
    warmup_calls: int
    warmup_ms: float
    batch: int = 1
    end_to_end_image: str = "drawn 512×512 PNG"


Verdict = Literal[
    "better", "unchanged", "within noise", "worse", "within tolerance", "undecided", "regression", "invalid"
]


class Change(Struct, frozen=True, kw_only=True):
    """One number against its `baseline`. `change` is what got worse, as a share: growth of latency, or loss of accuracy.

    `low` and `high` are its 95 % interval. With a `tolerance` the verdict is `regression` where the whole interval lies beyond it,
    `undecided` where it holds it, `within tolerance` otherwise; without one it is `worse` or `within noise`.
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

    schema: str = BENCH_SCHEMA
    created: str
    host: Host
    protocol: Protocol
    results: tuple[Result, ...]
    comparison: Comparison | None
    comparisons: tuple[Comparison, ...]
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...]


def encode_report(report: BenchReport) -> bytes:
    """Return the report as JSON on as few lines as `raw` times allow to read."""
    return msgspec.json.encode(report) + b"\n"


def load_report(path: Path) -> BenchReport:
    """Read a report that `mstl-edge bench --out` or `--json` wrote.

    Raises:
        MstlEdgeError: It is missing, no JSON, of another schema, or a field is missing or wrong.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MstlEdgeError("a benchmark report that can be read", received=f"{path} ({error.strerror})") from error
    hint = "Write one with 'mstl-edge bench --out FILE'."
    try:
        tree = msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        raise MstlEdgeError("a benchmark report in JSON", received=f"{path} ({error})", hint=hint) from error
    schema = tree.get("schema") if isinstance(tree, dict) else None
    if schema != BENCH_SCHEMA:
        raise MstlEdgeError(f"a benchmark report of schema {BENCH_SCHEMA}", received=f"{path} ({schema})", hint=hint)
    try:
        return msgspec.convert(tree, BenchReport)
    except msgspec.ValidationError as error:
        raise MstlEdgeError(f"a whole benchmark report ({error})", received=path, hint=hint) from error
