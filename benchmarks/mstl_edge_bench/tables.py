"""A report as rows: for a terminal, CSV and Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from mstl_edge_bench.result import BenchReport, Comparison, Host, Result, Timing

Row = tuple[str, ...]
NOTHING = "–"

SPEED_COLUMNS = (
    "model", "scheme", "runtime", "threads", "median ms", "p90", "p99", "decode+resize ms",
    "end to end ms", "load ms", "first ms", "valid",
)  # fmt: skip
SIZE_COLUMNS = (
    "model", "scheme", "accuracy %", "images", "sensitivity %", "specificity %", "AUC", "parameters", "MACs (M)",
    "file kB", "peak MB",
)  # fmt: skip


def speed_rows(report: BenchReport) -> list[Row]:
    """Return one row of times per model and number of threads."""
    return [
        (
            row.model, row.scheme, row.runtime, str(row.threads), _ms(row.latency_ms), _ms(row.latency_ms, "p90"),
            _ms(row.latency_ms, "p99"), _ms(row.decode_resize_ms), _ms(row.end_to_end_ms),
            _number(row.startup.load_ms + row.startup.allocate_ms if row.startup else None),
            _number(row.startup.first_inference_ms if row.startup else None),
            "yes" if row.valid else "no",
        )
        for row in report.results
    ]  # fmt: skip


def size_rows(report: BenchReport) -> list[Row]:
    """Return one row of accuracy and footprint per model."""
    firsts = {row.model: row for row in reversed(report.results)}
    return [_size_row(firsts[name]) for name in dict.fromkeys(row.model for row in report.results)]


def _size_row(row: Result) -> Row:
    scored = row.accuracy
    shares = (scored, scored.sensitivity, scored.specificity) if scored else (None, None, None)
    percents = [f"{100 * s.value:.1f} ({100 * s.low:.0f} to {100 * s.high:.0f})" if s else NOTHING for s in shares]
    auc = f"{scored.auc.value:.3f}" if scored and scored.auc else NOTHING
    return (
        row.model, row.scheme, percents[0], str(scored.n) if scored else NOTHING, percents[1], percents[2], auc,
        f"{row.parameters:,}", f"{row.macs / 1e6:,.1f}", f"{row.size_bytes / 1e3:,.0f}",
        f"{row.peak_rss_bytes / 1e6:.0f}" if row.peak_rss_bytes else NOTHING,
    )  # fmt: skip


def describe_host(host: Host) -> str:
    """Return the machine in one line."""
    memory = f", {host.memory_bytes / 1e9:.1f} GB" if host.memory_bytes else ""
    board = f"{host.board}, " if host.board != "unknown" else ""
    governor = f", governor {host.governor}" if host.governor else ""
    emulated = f", EMULATED ({host.emulated})" if host.emulated else ""
    return f"{board}{host.cpu}, {host.cores} cores, {host.bits} bit{memory}, {host.system}{governor}{emulated}"


def comparison_lines(comparison: Comparison) -> list[str]:
    """Return what a comparison says, a sentence per line."""
    lines = [
        f"{comparison.model}, {at.threads} thread{'s' * (at.threads > 1)}: {at.speedup:.2f} times as fast as "
        f"{comparison.float_model} ({at.low:.2f} to {at.high:.2f}). {at.because}"
        for at in comparison.by_threads
    ]
    if comparison.agreement is not None and comparison.accuracy_drop is not None:
        lines.append(_paired_line(comparison))
    lines.append(f"{comparison.model}: {comparison.size_ratio:.1%} of the float model's size")
    return lines


def _paired_line(comparison: Comparison) -> str:
    low, high = comparison.accuracy_drop_low or 0.0, comparison.accuracy_drop_high or 0.0
    tells = "the data can't tell them apart" if low <= 0 <= high else "a difference beyond chance"
    return (
        f"{comparison.model}: {comparison.agreement:.1%} of labels agree with the float model; accuracy drop "
        f"{100 * (comparison.accuracy_drop or 0.0):.1f} points ({100 * low:.1f} to {100 * high:.1f}), "
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
    lines += [*_markdown(SIZE_COLUMNS, size_rows(report)), ""]
    lines += [f"- {line}" for comparison in report.comparisons for line in comparison_lines(comparison)]
    lines += [f"- {line}" for line in remarks(report)]
    return "\n".join(lines).rstrip() + "\n"


def remarks(report: BenchReport) -> list[str]:
    """Return what a reader has to know: why times are invalid or uncertain, what files don't tell, what was not measured."""
    said = []
    for row in report.results:
        threads = f"{row.model}, {row.threads} thread{'s' * (row.threads > 1)}"
        if row.invalid_because:
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
        "model": row.model, "name": row.name, "scheme": row.scheme, "runtime": row.runtime, "threads": row.threads,
        **{f"latency_{key}_ms": _value(row.latency_ms, key) for key in ("median", "p90", "p99", "mean", "std", "min", "max")},
        "decode_resize_median_ms": _value(row.decode_resize_ms, "median"),
        "end_to_end_median_ms": _value(row.end_to_end_ms, "median"),
        "harness_overhead_share": row.overhead.share if row.overhead else "",
        "load_ms": startup.load_ms + startup.allocate_ms if startup else "",
        "first_inference_ms": startup.first_inference_ms if startup else "",
        "accuracy": scored.value if scored else "", "accuracy_low": scored.low if scored else "",
        "accuracy_high": scored.high if scored else "", "images": scored.n if scored else "",
        "parameters": row.parameters, "trainable_parameters": _blank(row.trainable_parameters), "macs": row.macs,
        "size_bytes": row.size_bytes, "peak_rss_bytes": _blank(row.peak_rss_bytes),
        "board": host.board, "cpu": host.cpu, "bits": host.bits,
        "valid": str(row.valid).lower(), "invalid_because": row.invalid_because or "",
    }  # fmt: skip


def _value(timing: Timing | None, key: str) -> float | str:
    return getattr(timing, key) if timing is not None else ""


def _blank(value: int | None) -> int | str:
    return "" if value is None else value


def _ms(timing: Timing | None, key: str = "median") -> str:
    return _number(getattr(timing, key) if timing is not None else None)


def _number(ms: float | None) -> str:
    if ms is None:
        return NOTHING
    return f"{ms:.3f}" if ms < 1 else f"{ms:.2f}"
