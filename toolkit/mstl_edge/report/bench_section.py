"""Benchmarks as figures and tables, those of several devices together."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mstl_edge.report import wording
from mstl_edge.report.axis import Axis, linear_axis, log_axis
from mstl_edge.report.bench_record import Bench, Host, Result, Timing
from mstl_edge.report.blocks import Figure, Key, Part, Section, Table
from mstl_edge.report.chart import Frame, band, chart, dot, level_bar, line, upright_bar
from mstl_edge.report.markup import Markup, join, tag

STYLES = ("a", "b", "c", "d", "e")
_HISTOGRAM_BINS = 48
_ROW_HEIGHT = 40.0

Row = tuple[Host, Result]


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
        blocks.append(_trade_off(pictured))
    else:
        missing.append(
            "accuracy against latency: the benchmark has no row with both; mstl-edge bench --data SOURCE --out FILE"
        )
    distributed = [(host, result) for host, result in timed if result.latency_ms and len(result.latency_ms.raw) > 1]
    if distributed:
        blocks.append(_distributions(distributed))
    remarks = _remarks(benches)
    if remarks:
        blocks.append(tag("ul", [tag("li", remark) for remark in remarks]))
    return Part(_headline(benches), (Section("On the device", tuple(blocks)),), tuple(missing))


def _headline(benches: Sequence[Bench]) -> tuple[str, ...]:
    sentences = []
    for bench in benches:
        fastest = min(
            (row for row in bench.results if row.latency_ms and row.valid and row.scheme == "int8"),
            key=lambda row: row.latency_ms.median if row.latency_ms else math.inf,
            default=None,
        )
        if fastest is None or fastest.latency_ms is None:
            continue
        ratios = {entry.threads: entry.speedup for entry in bench.comparison.by_threads} if bench.comparison else {}
        compared = ratios.get(fastest.threads)
        faster = f", {compared:.2f} times as fast as float32" if compared else ""
        sentences.append(
            f"On {bench.host.name}, int8 answers in {wording.milliseconds(fastest.latency_ms.median)} ms (median, "
            f"{wording.count_of(fastest.threads, 'thread')}){faster}."
        )
    return tuple(sentences)


def _table(rows: Sequence[Row]) -> Table:
    head = ("Model", "Device", "Median, ms", "Accuracy, %", "n", "Size, MB", "Peak memory, MB", "Valid")
    shown = []
    for host, result in rows:
        timing, accuracy = result.latency_ms, result.accuracy
        where = f"{result.runtime}, {wording.count_of(result.threads, 'thread')}"
        shown.append(
            (
                _lines(result.scheme, result.model),
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
    times = f"{_either(counts)} times each, batch 1; " if counts else ""
    caption = (
        f"Latency of one inference ({times}input set, invoked, output read; below it the 90th and the 99th percentile), "
        "accuracy with its 95 % interval on n images, and size of the file. Times on an emulated processor are not shown."
    )
    return Table(head, tuple(shown), caption, words=frozenset((0, 1, 7)))


def _lines(first: str, second: str) -> Markup:
    return join(first, tag("br"), tag("small", second))


def _spread(timing: Timing) -> str:
    return f"{wording.milliseconds(timing.p90)}; {wording.milliseconds(timing.p99)}"


def _either(counts: Sequence[int]) -> str:
    return f"n = {' or '.join(f'{count:,}' for count in counts)}"


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


def _trade_off(rows: Sequence[Row]) -> Figure:
    """Accuracy over latency; the area of a disc is the size of the file, its colour the device, its fill the scheme."""
    styles = _device_styles(rows)
    medians = [result.latency_ms.median for _, result in rows if result.latency_ms]
    bounds = [bound for _, result in rows if result.accuracy for bound in (result.accuracy.low, result.accuracy.high)]
    x = log_axis("median latency, ms (logarithmic)", medians)
    frame = Frame(x, linear_axis("accuracy, %", bounds, percent=True), height=300)
    largest = max(result.size_bytes for _, result in rows)
    bars, discs = [], []
    for host, result in rows:
        if result.latency_ms is None or result.accuracy is None:
            continue
        style, median, accuracy = styles[host.name], result.latency_ms.median, result.accuracy
        bars.append(upright_bar(frame, median, accuracy.low, accuracy.high, f"{style} pale"))
        fill = f"disc {style}" if result.scheme == "int8" else f"ring {style}"
        note = (
            f"{result.model}, {result.runtime}, {wording.count_of(result.threads, 'thread')}, {host.name}: "
            f"{wording.milliseconds(median)} ms, {wording.interval_in_words(accuracy.interval)}, "
            f"{wording.megabytes(result.size_bytes)} MB"
        )
        radius = 12 * math.sqrt(result.size_bytes / largest)
        discs.append(dot(frame, median, accuracy.value, fill, note=note, radius=radius))
    counts = sorted({result.accuracy.n for _, result in rows if result.accuracy})
    caption = (
        f"Accuracy, latency and size of {wording.count_of(len(rows), 'measurement')}. The area of a disc is the size of the file "
        f"(the largest is {wording.megabytes(largest)} MB); filled discs are int8, rings other schemes; bars are 95 % intervals "
        f"on {_either(counts)} images. Up and to the left is better."
    )
    seen = f"{len(rows)} discs; medians from {wording.milliseconds(min(medians))} to {wording.milliseconds(max(medians))} ms"
    drawing = chart(frame, [*bars, *discs], heading="Accuracy, latency, size", description=seen)
    return Figure((drawing,), caption, _device_legend(styles))


def _device_legend(styles: dict[str, str]) -> tuple[Key, ...]:
    return tuple(Key("dot", f"disc {style}", name) for name, style in styles.items())


def _device_styles(rows: Sequence[Row]) -> dict[str, str]:
    names = dict.fromkeys(host.name for host, _ in rows)
    return {name: STYLES[number % len(STYLES)] for number, name in enumerate(names)}


def _distributions(rows: Sequence[Row]) -> Figure:
    """A histogram per measurement on one logarithmic axis, cut above the 99.5th percentile of all."""
    styles = _device_styles(rows)
    times = [np.asarray(result.latency_ms.raw) for _, result in rows if result.latency_ms]
    top = max(float(np.quantile(values, 0.995)) for values in times)
    x = log_axis("latency, ms (logarithmic)", [min(float(values.min()) for values in times), top])
    y = Axis("", 0.0, float(len(rows)), ())
    frame = Frame(x, y, height=len(rows) * _ROW_HEIGHT + 64, left=6.0)
    marks = []
    for number, ((host, result), values) in enumerate(zip(rows, times, strict=True)):
        marks += _ridge(frame, len(rows) - 1 - number, values, styles[host.name])
        label = f"{result.scheme}, {result.runtime}, {wording.count_of(result.threads, 'thread')}"
        top_of_row = frame.down(len(rows) - number) + 11
        marks.append(tag("text", wording.short(label, 60), x=frame.left, y=top_of_row, class_="note"))
    counts = sorted({len(values) for values in times})
    caption = (
        f"Latency of single inferences, {wording.count_of(len(rows), 'measurement')} of {_either(counts)} times each. "
        "Thick line: median; thin line: 10th to 90th percentile. What lies beyond the axis stands at its end."
    )
    drawing = chart(frame, marks, heading="Latency distributions", description=f"{len(rows)} histograms")
    return Figure((drawing,), caption, _device_legend(styles))


def _ridge(frame: Frame, row: int, values: NDArray[np.float64], style: str) -> list[Markup]:
    edges = np.geomspace(frame.x.low, frame.x.high, _HISTOGRAM_BINS + 1)
    counts, _ = np.histogram(np.clip(values, frame.x.low, frame.x.high), edges)
    heights = row + 0.62 * counts / counts.max()
    xs = np.repeat(edges, 2)[1:-1]
    ys = np.repeat(heights, 2)
    low, median, high = (float(value) for value in np.quantile(values, (0.1, 0.5, 0.9)))
    return [
        band(frame, list(xs), [float(row)] * len(xs), list(ys), f"{style} strong"),
        level_bar(frame, row, low, high, style),
        line(frame, (median, median), (row, row + 0.66), f"{style} thick"),
    ]
