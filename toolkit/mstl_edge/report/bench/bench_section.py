"""Benchmarks as a table and figures, those of several devices together."""

from __future__ import annotations

from collections.abc import Sequence

from mstl_edge.report.bench.bench_figures import Row, distributions, either, trade_off
from mstl_edge.report.html import wording
from mstl_edge.report.html.blocks import Figure, Part, Section, Table
from mstl_edge.report.html.markup import Markup, join, tag
from mstl_edge.schemas.bench import BenchReport, Result, SpeedupAt, Timing
from mstl_edge.schemas.bench_steadiness import BLOCK_SPREAD, unstable_remark, unstable_rows
from mstl_edge.schemas.bench_wording import UNSTABLE, marked, median_ms, milliseconds, percent, speedup, threads_of


def bench_part(benches: Sequence[BenchReport]) -> Part:
    """Return what benchmarks give to the page; nothing where there are none."""
    rows: list[Row] = [(bench.host, result) for bench in benches for result in bench.results]
    if not rows:
        return Part()
    timed = [(host, result) for host, result in rows if result.latency_ms is not None]
    pictured = [(host, result) for host, result in timed if result.accuracy is not None]
    blocks: list[Figure | Table | Markup] = [_table(rows)]
    missing = []
    if pictured:
        blocks.append(trade_off(pictured))
    else:
        missing.append(
            "accuracy against latency: the benchmark has no row with both; mstl-edge bench --data SOURCE --out FILE"
        )
    distributed = [(host, result) for host, result in timed if result.latency_ms and len(result.latency_ms.raw) > 1]
    if distributed:
        blocks.append(distributions(distributed))
    remarks = _remarks(benches)
    if remarks:
        blocks.append(tag("ul", [tag("li", wording.minus(remark)) for remark in remarks]))
    return Part(_headline(benches), (Section("On the device", tuple(blocks)),), tuple(missing))


def _headline(benches: Sequence[BenchReport]) -> tuple[str, ...]:
    """Return what stands at the top: times that are valid, and speed-ups between such."""
    return tuple(sentence for bench in benches if (sentence := _in_short(bench)) is not None)


def _in_short(bench: BenchReport) -> str | None:
    int8 = [row for row in bench.results if row.is_int8 and row.candidate is None]
    timed = [(row, row.latency_ms) for row in int8 if row.latency_ms is not None]
    if not timed:
        return None
    valid = [(row, timing) for row, timing in timed if row.valid]
    if not valid:
        return f"On {bench.host.name}, no time of an int8 file is valid; why, and what to do, stands below the table."
    fastest, timing = min(valid, key=lambda one: one[1].median)
    several = len({row.model for row in int8}) > 1
    which = f"the fastest int8 file, {fastest.model}," if several else "int8"
    compared = _speedup(bench, fastest)
    against = f"; against float32: {speedup(compared.interval)}" if compared else ""
    return f"On {bench.host.name}, {which} answers in {median_ms(timing)} ms (median, {threads_of(fastest.threads)}){against}."


def _speedup(bench: BenchReport, row: Result) -> SpeedupAt | None:
    """Return how many times as fast as its float twin a model is, where both have valid times."""
    known = bench.comparisons or ((bench.comparison,) if bench.comparison else ())
    for compared in known:
        if compared.model in ("", row.model):
            return next((entry for entry in compared.by_threads if entry.threads == row.threads), None)
    return None


def _table(rows: Sequence[Row]) -> Table:
    head = ("Model", "Device", "Median, ms", "Accuracy, %", "n", "Size, MB", "Peak memory, MB", "Valid")
    shown = []
    for host, result in rows:
        timing, accuracy = result.latency_ms, result.accuracy
        where = f"{result.runtime}, {threads_of(result.threads)}"
        shown.append(
            (
                _lines(result.candidate or result.scheme, result.model),
                _lines(host.name, where),
                _lines(median_ms(timing), _percentiles(timing)) if timing else wording.NOT_MEASURED,
                wording.percent_cell(accuracy.interval) if accuracy else wording.NOT_MEASURED,
                accuracy.n if accuracy else wording.NOT_MEASURED,
                wording.megabytes(result.size_bytes),
                f"{result.peak_rss_bytes / 1e6:,.0f}" if result.peak_rss_bytes else wording.NOT_MEASURED,
                "yes" if result.valid else "no",
            )
        )
    counts = sorted({len(result.latency_ms.raw) for _, result in rows if result.latency_ms and result.latency_ms.raw})
    times = f"{either(counts)} times each, batch 1; " if counts else ""
    caption = (
        f"Latency of one inference ({times}one invoke of the interpreter; below it the 90th and the 99th percentile), "
        "accuracy with its 95 % interval on n images, and size of the file. Times on an emulated processor are not shown."
    )
    if any(result.latency_ms and result.latency_ms.stable is False for _, result in rows):
        caption += (
            f" {UNSTABLE}: medians of the blocks of times differ by more than {percent(BLOCK_SPREAD)}, in brackets by how much; "
            "such a time is good for an order of magnitude."
        )
    return Table(head, tuple(shown), caption, words=frozenset((0, 1, 7)))


def _lines(first: str, second: str) -> Markup:
    return join(first, tag("br"), tag("small", second))


def _percentiles(timing: Timing) -> str:
    return "; ".join(marked(milliseconds(ms), stable=timing.stable) for ms in (timing.p90, timing.p99))


def _remarks(benches: Sequence[BenchReport]) -> list[str]:
    """Return why rows are not valid, or less certain, or give no speed-up, and the benchmarks' own notes, each once."""
    remarks = [note for bench in benches for note in bench.notes]
    for bench in benches:
        if bench.host.emulated:
            remarks.append(f"{bench.host.name}: emulated, {bench.host.emulated}")
        if unstable := unstable_rows(bench.results):
            remarks.append(f"Not valid: {bench.host.name}: {unstable_remark(unstable)}")
        for row in bench.results:
            where = f"{row.model}, {threads_of(row.threads)}, {bench.host.name}"
            if row.invalid_because and row not in unstable:
                remarks.append(f"Not valid: {where}: {row.invalid_because}")
            remarks += [f"{where}: {warning}" for warning in row.warnings]
        remarks += [
            f"{one.model} against {one.float_model}, {because}"
            for one in bench.comparisons
            for because in one.not_compared
        ]
    return list(dict.fromkeys(remarks))
