"""Benchmarks as a table and figures, those of several devices together."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mstl_edge.report import wording
from mstl_edge.report.bench_figures import Row, distributions, either, trade_off
from mstl_edge.report.bench_record import Bench, Result, Timing
from mstl_edge.report.blocks import Figure, Part, Section, Table
from mstl_edge.report.markup import Markup, join, tag


def bench_part(benches: Sequence[Bench]) -> Part:
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


def _headline(benches: Sequence[Bench]) -> tuple[str, ...]:
    sentences = []
    for bench in benches:
        int8 = [row for row in bench.results if row.is_int8 and row.candidate is None]
        fastest = min(
            (row for row in int8 if row.latency_ms and row.valid),
            key=lambda row: row.latency_ms.median if row.latency_ms else math.inf,
            default=None,
        )
        if fastest is None or fastest.latency_ms is None:
            continue
        compared = _speedup(bench, fastest)
        faster = f", {compared:.2f} times as fast as float32" if compared else ""
        several = len({row.model for row in int8}) > 1
        which = f"the fastest int8 file, {fastest.model}," if several else "int8"
        sentences.append(
            f"On {bench.host.name}, {which} answers in {wording.milliseconds(fastest.latency_ms.median)} ms (median, "
            f"{wording.count_of(fastest.threads, 'thread')}){faster}."
        )
    return tuple(sentences)


def _speedup(bench: Bench, row: Result) -> float | None:
    """Return how many times as fast as its float twin a model is, where that was measured."""
    known = bench.comparisons or ((bench.comparison,) if bench.comparison else ())
    for compared in known:
        if compared.model in ("", row.model):
            return next((entry.speedup for entry in compared.by_threads if entry.threads == row.threads), None)
    return None


def _table(rows: Sequence[Row]) -> Table:
    head = ("Model", "Device", "Median, ms", "Accuracy, %", "n", "Size, MB", "Peak memory, MB", "Valid")
    shown = []
    for host, result in rows:
        timing, accuracy = result.latency_ms, result.accuracy
        where = f"{result.runtime}, {wording.count_of(result.threads, 'thread')}"
        shown.append(
            (
                _lines(result.candidate or result.scheme, result.model),
                _lines(host.name, where),
                _lines(wording.milliseconds(timing.median), _spread(timing)) if timing else wording.NOT_MEASURED,
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
    return Table(head, tuple(shown), caption, words=frozenset((0, 1, 7)))


def _lines(first: str, second: str) -> Markup:
    return join(first, tag("br"), tag("small", second))


def _spread(timing: Timing) -> str:
    return f"{wording.milliseconds(timing.p90)}; {wording.milliseconds(timing.p99)}"


def _remarks(benches: Sequence[Bench]) -> list[str]:
    """Return why rows are not valid, and the benchmarks' own notes, each once."""
    remarks = [note for bench in benches for note in bench.notes]
    for bench in benches:
        if bench.host.emulated:
            remarks.append(f"{bench.host.name}: emulated, {bench.host.emulated}")
        remarks += [
            f"Not valid: {row.model}, {wording.count_of(row.threads, 'thread')}, {bench.host.name}: {row.invalid_because}"
            for row in bench.results
            if row.invalid_because
        ]
    return list(dict.fromkeys(remarks))
