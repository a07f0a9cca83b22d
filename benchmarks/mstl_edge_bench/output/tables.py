"""A report as rows: for a terminal, CSV and Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from mstl_edge import bounded
from mstl_edge.counted import counted
from mstl_edge.metrics import Interval
from mstl_edge.schemas.bench import Accuracy, BenchReport, Comparison, Host, Result, Timing
from mstl_edge.schemas.bench_steadiness import unstable_remark, unstable_rows
from mstl_edge.schemas.bench_wording import UNSTABLE, marked, median_ms, milliseconds, speedup, threads_of

Row = tuple[str, ...]
NOTHING = "–"

DECIDING_COLUMNS = ("model", "threads", "accuracy % (95 %), n", "kB", "median ms", "valid")
"""What a person decides by; within 80 columns, so that no number is cut."""
SPEED_COLUMNS = (
    "model", "threads", "scheme", "runtime", "median ms", "p90", "p99", "decode+resize ms",
    "end to end ms", "load ms", "first ms", "harness %", "valid",
)  # fmt: skip
ACCURACY_COLUMNS = ("model", "scheme", "accuracy %", "images", "sensitivity %", "specificity %", "AUC", "macro-F1")
CLASS_COLUMNS = ("model", "scheme", "class", "images", "recall %", "precision %", "AUC against the rest")
FOOTPRINT_COLUMNS = (
    "model", "scheme", "parameters", "trainable", "MACs (M)", "file kB", "load MB", "allocate MB", "first MB", "peak MB",
)  # fmt: skip
"""`load`, `allocate` and `first` are what resident memory grew by at each step of a fresh process, `peak` is all of it."""
LEAST_VALUES = {"p90": 10, "p99": 100}
"""How many times a percentile must rest on to be shown: with fewer it is the maximum by another name."""


def deciding_rows(report: BenchReport) -> list[Row]:
    """Return one row per model and number of threads, of what a person decides by."""
    return [
        (
            row.model.removesuffix(".tflite"),
            str(row.threads),
            f"{_percent(row.accuracy)}, {row.accuracy.n:,}" if row.accuracy else NOTHING,
            f"{row.size_bytes / 1e3:,.0f}",
            median_ms(row.latency_ms) if row.latency_ms else NOTHING,
            "yes" if row.valid else "no",
        )
        for row in report.results
    ]


def speed_rows(report: BenchReport) -> list[Row]:
    """Return one row of times per model and number of threads."""
    return [
        (
            row.model, str(row.threads), row.candidate or row.scheme, row.runtime, _median(row.latency_ms),
            _ms(row.latency_ms, "p90"), _ms(row.latency_ms, "p99"), _median(row.decode_resize_ms), _median(row.end_to_end_ms),
            _number(row.startup.load_ms + row.startup.allocate_ms if row.startup else None),
            _number(row.startup.first_inference_ms if row.startup else None),
            f"{100 * row.overhead.share:.1f}" if row.overhead else NOTHING,
            "yes" if row.valid else "no",
        )
        for row in report.results
    ]  # fmt: skip


def accuracy_rows(report: BenchReport) -> list[Row]:
    """Return one row of scores per model that was scored, with 95 % intervals."""
    return [
        (
            row.model, row.candidate or row.scheme, _percent(row.accuracy), str(row.accuracy.n),
            _percent(row.accuracy.sensitivity), _percent(row.accuracy.specificity), _area(row.accuracy.auc),
            _area(row.accuracy.macro_f1),
        )
        for row in _first_of_each_model(report)
        if row.accuracy is not None
    ]  # fmt: skip


def class_rows(report: BenchReport) -> list[Row]:
    """Return one row per model and class where there are more than two: each class against all others."""
    return [
        (
            row.model, row.candidate or row.scheme, label, str(scores.n), _percent(scores.recall), _percent(scores.precision),
            _area(scores.auc),
        )
        for row in _first_of_each_model(report)
        if row.accuracy is not None and len(row.accuracy.classes) > 2
        for label, scores in row.accuracy.classes.items()
    ]  # fmt: skip


def footprint_rows(report: BenchReport) -> list[Row]:
    """Return one row of parameters, work, size and memory per model."""
    rows = []
    for row in _first_of_each_model(report):
        startup = row.startup
        grown = (
            (startup.load_rss_bytes, startup.allocate_rss_bytes, startup.first_inference_rss_bytes) if startup else ()
        )
        rows.append((
            row.model, row.candidate or row.scheme, f"{row.parameters:,}",
            NOTHING if row.trainable_parameters is None else f"{row.trainable_parameters:,}",
            f"{row.macs / 1e6:,.1f}", f"{row.size_bytes / 1e3:,.0f}",
            *([f"{size / 1e6:.1f}" for size in grown] or [NOTHING] * 3),
            f"{row.peak_rss_bytes / 1e6:.0f}" if row.peak_rss_bytes else NOTHING,
        ))  # fmt: skip
    return rows


def _first_of_each_model(report: BenchReport) -> list[Result]:
    firsts = {row.model: row for row in reversed(report.results)}
    return [firsts[name] for name in dict.fromkeys(row.model for row in report.results)]


def _percent(share: Interval | Accuracy | None) -> str:
    return NOTHING if share is None else bounded.percent(share)


def _area(auc: Interval | None) -> str:
    return NOTHING if auc is None else bounded.decimal(auc)


def describe_host(host: Host) -> str:
    """Return the machine in one line."""
    memory = f", {host.memory_bytes / 1e9:.1f} GB" if host.memory_bytes else ""
    board = f"{host.board}, " if host.board != "unknown" else ""
    governor = f", governor {host.governor}" if host.governor else ""
    emulated = f", EMULATED ({host.emulated})" if host.emulated else ""
    return (
        f"{board}{host.cpu}, {counted(host.cores, 'core')}, {host.bits} bit{memory}, {host.system}{governor}{emulated}"
    )


def describe_host_in_short(host: Host) -> str:
    """Return the machine in a few words."""
    emulated = f", EMULATED ({host.emulated})" if host.emulated else ""
    return f"{host.name}, {counted(host.cores, 'core')}{emulated}"


def comparison_lines(comparison: Comparison) -> list[str]:
    """Return what a comparison says, a sentence per line."""
    against = f"{comparison.model} against {comparison.float_model}"
    lines = [f"{against}, {threads_of(at.threads)}: {speedup(at.interval)}" for at in comparison.by_threads]
    lines += [f"{against}, {because}" for because in comparison.not_compared]
    # Said once: threads seldom change it.
    lines += dict.fromkeys(at.because for at in comparison.by_threads if at.because)
    if words := paired_words(comparison):
        lines.append(f"{comparison.model}: {words}")
    return lines


def size_lines(comparison: Comparison) -> list[str]:
    """Return how large the quantized file is beside the float one, where that is known."""
    if comparison.size_ratio is None:
        return []
    return [f"{comparison.model}: {100 * comparison.size_ratio:.1f} % of the float model's size"]


def paired_words(comparison: Comparison) -> str:
    """Return whether both models answer alike, and what that costs in accuracy; nothing where no images were scored."""
    if comparison.agreement is None or comparison.accuracy_drop is None:
        return ""
    low, high = comparison.accuracy_drop_low or 0.0, comparison.accuracy_drop_high or 0.0
    drop = bounded.bounded(f"{100 * comparison.accuracy_drop:.1f} points", f"{100 * low:.1f}", f"{100 * high:.1f}")
    tells = "the data can't tell them apart" if low <= 0 <= high else "a difference beyond chance"
    return (
        f"{100 * comparison.agreement:.1f} % of labels agree with the float model; accuracy drop {drop}, "
        f"McNemar p = {comparison.mcnemar_p:.2g}: {tells}"
    )


def to_csv(report: BenchReport) -> str:
    """Return one line per model and number of threads, plain numbers."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(_flat(report.results[0], report.host)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(_flat(row, report.host) for row in report.results)
    return text.getvalue()


def to_markdown(report: BenchReport) -> str:
    """Return tables and sentences for a README."""
    lines = [describe_host(report.host), "", *_markdown(SPEED_COLUMNS, speed_rows(report)), ""]
    if scored := accuracy_rows(report):
        lines += [*_markdown(ACCURACY_COLUMNS, scored), ""]
    if by_class := class_rows(report):
        lines += [*_markdown(CLASS_COLUMNS, by_class), ""]
    lines += [*_markdown(FOOTPRINT_COLUMNS, footprint_rows(report)), ""]
    lines += [f"- {line}" for one in report.comparisons for line in (*comparison_lines(one), *size_lines(one))]
    lines += [f"- {line}" for line in remarks(report)]
    return "\n".join(lines).rstrip() + "\n"


def remarks(report: BenchReport) -> list[str]:
    """Return what a reader has to know: why times are invalid or uncertain, what files don't tell, what was not measured."""
    unstable = unstable_rows(report.results)
    said = [f"invalid ({UNSTABLE}): {unstable_remark(unstable)}"] if unstable else []
    for row in report.results:
        threads = f"{row.model}, {threads_of(row.threads)}"
        if row.invalid_because and row not in unstable:
            said.append(f"{threads}: invalid: {row.invalid_because}")
        said += [f"{threads}: {warning}" for warning in row.warnings]
        if row.unknown:
            said.append(f"{row.model}: no card, so unknown: {', '.join(row.unknown)}")
    return list(dict.fromkeys([*said, *report.notes]))


def _markdown(columns: Sequence[str], rows: Sequence[Row]) -> list[str]:
    ruled = ["---" if position < 2 else "---:" for position in range(len(columns))]
    return [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in (columns, ruled, *rows)]


def _flat(row: Result, host: Host) -> dict[str, object]:
    scored, startup = row.accuracy, row.startup
    return {
        "model": row.model, "name": row.name, "scheme": row.scheme, "candidate": row.candidate or "",
        "runtime": row.runtime, "threads": row.threads,
        **{f"latency_{key}_ms": _value(row.latency_ms, key) for key in ("median", "p90", "p99", "mean", "std", "min", "max")},
        "latency_spread": _value(row.latency_ms, "spread"), "blocks": _value(row.latency_ms, "blocks"),
        "blocks_taken": len(row.block_medians_ms) or "",
        "decode_resize_median_ms": _value(row.decode_resize_ms, "median"),
        "end_to_end_median_ms": _value(row.end_to_end_ms, "median"),
        "harness_overhead_share": row.overhead.share if row.overhead else "",
        "load_ms": startup.load_ms + startup.allocate_ms if startup else "",
        "first_inference_ms": startup.first_inference_ms if startup else "",
        **_bounds("accuracy", scored), "images": scored.n if scored else "",
        **_bounds("sensitivity", scored.sensitivity if scored else None),
        **_bounds("specificity", scored.specificity if scored else None),
        **_bounds("auc", scored.auc if scored else None), **_bounds("macro_f1", scored.macro_f1 if scored else None),
        "parameters": row.parameters, "trainable_parameters": _blank(row.trainable_parameters), "macs": row.macs,
        "size_bytes": row.size_bytes, "load_rss_bytes": startup.load_rss_bytes if startup else "",
        "allocate_rss_bytes": startup.allocate_rss_bytes if startup else "",
        "first_inference_rss_bytes": startup.first_inference_rss_bytes if startup else "",
        "peak_rss_bytes": _blank(row.peak_rss_bytes),
        "board": host.board, "cpu": host.cpu, "bits": host.bits,
        "valid": str(row.valid).lower(), "invalid_because": row.invalid_because or "",
    }  # fmt: skip


def _bounds(name: str, share: Interval | Accuracy | None) -> dict[str, float | str]:
    return {
        name: share.value if share else "",
        f"{name}_low": share.low if share else "",
        f"{name}_high": share.high if share else "",
    }


def _value(timing: Timing | None, key: str) -> float | str:
    value = None if timing is None or len(timing.raw) < LEAST_VALUES.get(key, 1) else getattr(timing, key)
    return "" if value is None else value


def _median(timing: Timing | None) -> str:
    return NOTHING if timing is None else median_ms(timing)


def _blank(value: int | None) -> int | str:
    return "" if value is None else value


def _ms(timing: Timing | None, key: str) -> str:
    value = _value(timing, key)
    if timing is None or not isinstance(value, float):
        return NOTHING
    return marked(milliseconds(value), stable=timing.stable)


def _number(ms: float | None) -> str:
    return NOTHING if ms is None else milliseconds(ms)
