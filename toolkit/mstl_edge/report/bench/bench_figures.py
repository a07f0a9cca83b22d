"""Benchmarks as figures: accuracy, latency and size of every model on every device, and how latencies are distributed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mstl_edge.report.draw.axis import Axis, linear_axis, log_axis
from mstl_edge.report.draw.chart import Frame, band, chart, dot, level_bar, line, upright_bar
from mstl_edge.report.draw.labels import Point, draw_labels, place_labels
from mstl_edge.report.html import wording
from mstl_edge.report.html.blocks import Figure, Key
from mstl_edge.report.html.markup import Markup, tag
from mstl_edge.schemas.bench import Accuracy, Host, Result, Timing
from mstl_edge.schemas.bench_wording import median_ms, milliseconds, threads_of

STYLES = ("a", "b", "c", "d", "e")
_HISTOGRAM_BINS = 48
_ROW_HEIGHT = 40.0
_LARGEST_RADIUS = 12.0
_LEAST_RADIUS = 2.5
_LABEL_LETTERS = 44
_LEAST_NAME = 8
_AXIS_ENDS = 0.99
"""Share of a measurement's times that the axis of the distributions holds at least."""

Row = tuple[Host, Result]


def model_names(rows: Sequence[Row]) -> dict[str, str]:
    """Return a short name for every model file: what the export calls it where no other has that name, else from its file's."""
    schemes = {result.model: result.candidate or result.scheme for _, result in rows}
    if len(set(schemes.values())) == len(schemes):
        return schemes
    parts = {model: model.removesuffix(".tflite").split("-") for model in schemes}
    shared = 0
    while len({tuple(words[: shared + 1]) for words in parts.values()}) == 1 and shared + 1 < min(
        map(len, parts.values())
    ):
        shared += 1
    return {model: "-".join(words[shared:]) for model, words in parts.items()}


def either(counts: Sequence[int]) -> str:
    """Return `n = 40`, or every n that occurs."""
    return f"n = {' or '.join(f'{count:,}' for count in counts)}"


def _styles(rows: Sequence[Row]) -> dict[str, str]:
    names = dict.fromkeys(host.name for host, _ in rows)
    return {name: STYLES[number % len(STYLES)] for number, name in enumerate(names)}


def _legend(styles: dict[str, str]) -> tuple[Key, ...]:
    return tuple(Key("dot", f"disc {style}", name) for name, style in styles.items())


@dataclass(frozen=True)
class _Measured:
    host: Host
    row: Result
    timing: Timing
    accuracy: Accuracy

    @property
    def note(self) -> str:
        """What a pointer that rests on it is told."""
        return (
            f"{self.row.model}, {self.row.runtime}, {threads_of(self.row.threads)}, {self.host.name}: "
            f"{median_ms(self.timing)} ms, {wording.interval_in_words(self.accuracy.interval)}, "
            f"{wording.megabytes(self.row.size_bytes)} MB"
        )

    @property
    def fill(self) -> str:
        """Its class of mark: filled where it is int8."""
        return "disc" if self.row.is_int8 else "ring"


def trade_off(rows: Sequence[Row]) -> Figure:
    """Return accuracy over latency; a disc's area is the size of its file, its colour the device, its fill the scheme.

    Args:
        rows: Measurements with latency and accuracy.
    """
    measured = [
        _Measured(host, row, row.latency_ms, row.accuracy) for host, row in rows if row.latency_ms and row.accuracy
    ]
    styles, names = _styles(rows), model_names(rows)
    medians = [one.timing.median for one in measured]
    bounds = [bound for one in measured for bound in (one.accuracy.low, one.accuracy.high)]
    x = log_axis("median latency, ms (logarithmic)", medians)
    frame = Frame(x, linear_axis("accuracy, %", bounds, percent=True), height=300)
    largest = max(one.row.size_bytes for one in measured)
    behind, discs, points = [], [], []
    for fastest, *others in _by_model(measured):
        style, place = styles[fastest.host.name], (fastest.timing.median, fastest.accuracy.value)
        radius = max(_LEAST_RADIUS, _LARGEST_RADIUS * math.sqrt(fastest.row.size_bytes / largest))
        behind += _others(frame, fastest, others, style)
        discs.append(dot(frame, *place, f"{fastest.fill} {style}", note=fastest.note, radius=radius))
        name = names[fastest.row.model] + _bracket(fastest, others)
        points.append(Point(frame.across(place[0]), frame.down(place[1]), radius, name, style))
    labels = place_labels(frame, points)
    caption = _trade_off_caption(measured, len(points), len(points) - len(labels))
    seen = f"{len(points)} discs; medians from {milliseconds(min(medians))} to {milliseconds(max(medians))} ms"
    marks = [*behind, *discs, *draw_labels(labels)]
    drawing = chart(frame, marks, heading="Accuracy, latency, size", description=seen)
    return Figure((drawing,), caption, _legend(styles))


def _by_model(measured: Sequence[_Measured]) -> list[list[_Measured]]:
    """Return what was measured of each model on each device, valid times before others, the fastest first."""
    found: dict[tuple[str, str, str], list[_Measured]] = {}
    for one in measured:
        found.setdefault((one.host.name, one.row.model, one.row.runtime), []).append(one)
    return [sorted(several, key=lambda one: (not one.row.valid, one.timing.median)) for several in found.values()]


def _bracket(fastest: _Measured, others: Sequence[_Measured]) -> str:
    told = [str(fastest.row.threads)] if others else []
    told += [] if fastest.row.valid else ["not valid"]
    return f" ({', '.join(told)})" if told else ""


def _trade_off_caption(measured: Sequence[_Measured], discs: int, unnamed: int) -> str:
    largest, counts = max(one.row.size_bytes for one in measured), sorted({one.accuracy.n for one in measured})
    left_out = f" For {wording.count_of(unnamed, 'name')} there was no room." if unnamed else ""
    return (
        f"Accuracy, latency and size: {wording.count_of(discs, 'disc')}, each a model on a device with the number of threads "
        "that was fastest in valid times (in brackets; small dots: other numbers). The area of a disc is the size of the file "
        f"(the largest is {wording.megabytes(largest)} MB); filled discs are int8, rings other schemes; bars are 95 % intervals on "
        f"{either(counts)} images. Up and to the left is better.{left_out}"
    )


def _others(frame: Frame, fastest: _Measured, others: Sequence[_Measured], style: str) -> list[Markup]:
    """Return the interval of the fastest, and the same model's other numbers of threads on a line."""
    accuracy, timing = fastest.accuracy, fastest.timing
    marks = [upright_bar(frame, timing.median, accuracy.low, accuracy.high, f"{style} pale")]
    if others:
        path = [fastest, *others]
        xs, ys = [one.timing.median for one in path], [one.accuracy.value for one in path]
        marks.append(line(frame, xs, ys, f"{style} thin"))
    marks += [
        dot(frame, one.timing.median, one.accuracy.value, style, note=one.note, radius=_LEAST_RADIUS) for one in others
    ]
    return marks


def distributions(rows: Sequence[Row]) -> Figure:
    """Return a histogram per measurement, a drawing per device, on one axis that ends at the slowest one's 99th percentile.

    Args:
        rows: Measurements with all their times.
    """
    styles, names = _styles(rows), model_names(rows)
    by_host: dict[str, list[_Times]] = {}
    for host, row in rows:
        if row.latency_ms:
            told = f", {row.runtime}, {threads_of(row.threads)}{'' if row.valid else ', not valid'}"
            # What is too long is the name's fault, so no number behind it is cut.
            label = wording.short(names[row.model], max(_LABEL_LETTERS - len(told), _LEAST_NAME)) + told
            by_host.setdefault(host.name, []).append(_Times(label, np.asarray(row.latency_ms.raw)))
    every = [one.values for several in by_host.values() for one in several]
    top = max(float(np.quantile(values, _AXIS_ENDS)) for values in every)
    together = np.concatenate(every)
    lowest, longest = float(together.min()), float(together.max())
    x = log_axis("latency, ms (logarithmic)", [lowest, top], room=1.0)
    beyond = int((together > top).sum())
    cut = f"{beyond:,} of all {len(together):,} times lie beyond it, the longest at {milliseconds(longest)} ms"
    counts = sorted({len(values) for values in every})
    caption = (
        f"Latency of single inferences, {wording.count_of(len(every), 'measurement')} of {either(counts)} times each. "
        "Thick line: median; thin line: 10th to 90th percentile. The axis ends at the 99th percentile of the slowest; "
        f"{cut if beyond else 'no time lies beyond it'}."
    )
    drawings = tuple(_histograms(x, top, several, name, styles[name]) for name, several in by_host.items())
    return Figure(drawings, caption, _legend(styles), large=True)


@dataclass(frozen=True)
class _Times:
    label: str
    values: NDArray[np.float64]


def _histograms(x: Axis, top: float, several: Sequence[_Times], host: str, style: str) -> Markup:
    frame = Frame(x, Axis("", 0.0, float(len(several)), ()), height=len(several) * _ROW_HEIGHT + 64, left=6.0)
    marks: list[Markup] = []
    for number, one in enumerate(several):
        row = len(several) - 1 - number
        baseline, beyond = frame.down(row + 1) + 11, int((one.values > top).sum())
        marks += _ridge(frame, row, one.values[one.values <= top], one.values, style)
        marks.append(tag("text", one.label, x=frame.left, y=baseline, class_="note"))
        if beyond:
            told, end = f"{beyond} of {len(one.values):,} beyond", frame.width - frame.right
            marks.append(tag("text", told, x=end, y=baseline, class_="note", text_anchor="end"))
    return chart(frame, marks, heading=f"Latency, {wording.short(host, 36)}", description=f"{len(several)} histograms")


def _ridge(frame: Frame, row: int, shown: NDArray[np.float64], values: NDArray[np.float64], style: str) -> list[Markup]:
    edges = np.geomspace(frame.x.low, frame.x.high, _HISTOGRAM_BINS + 1)
    counts, _ = np.histogram(np.clip(shown, edges[0], edges[-1]), edges)
    heights = row + 0.62 * counts / max(1, counts.max())
    xs = np.repeat(edges, 2)[1:-1]
    ys = np.repeat(heights, 2)
    low, median, high = (float(value) for value in np.quantile(values, (0.1, 0.5, 0.9)))
    return [
        band(frame, list(xs), [float(row)] * len(xs), list(ys), f"{style} strong"),
        level_bar(frame, row, low, high, style),
        line(frame, (median, median), (row, row + 0.66), f"{style} thick"),
    ]
