"""A forest plot: a row per interval, its name and its numbers above it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mstl_edge.metrics import Interval
from mstl_edge.report.draw.axis import Axis
from mstl_edge.report.draw.chart import Frame, chart, dot, level_bar
from mstl_edge.report.html import wording
from mstl_edge.report.html.markup import Markup, tag

ROW_HEIGHT = 34.0
_BAR_DOWN = 21.0
_BAR_ROOM = 6.5
_MOST_LETTERS = 40


@dataclass(frozen=True)
class Row:
    """One interval: what it is of, the numbers as they are written, and its colour."""

    name: str
    told: str
    interval: Interval
    style: str = "a"


def forest(axis: Axis, rows: Sequence[Row], heading: str, *, reference: float | None = None) -> Markup:
    """Return the plot. Lines of the grid are drawn beside the bars only, so that no writing stands on a line.

    Args:
        axis: Holds every bound.
        rows: From top to bottom.
        heading: Its name.
        reference: A value whose line is drawn darker, such as no difference.
    """
    height = len(rows) * ROW_HEIGHT + 66
    frame = Frame(replace(axis, ticks=()), Axis("", 0.0, float(len(rows)), ()), height=height, left=10.0, right=16.0)
    base = frame.height - frame.bottom
    marks: list[Markup] = [
        tag("text", text, x=frame.across(value), y=base + 14, class_="tick", text_anchor="middle")
        for value, text in axis.ticks
    ]
    for number, row in enumerate(rows):
        top = frame.top + number * ROW_HEIGHT
        bar = top + _BAR_DOWN
        for value in dict.fromkeys([*(value for value, _ in axis.ticks), *([] if reference is None else [reference])]):
            style = "axis" if value == reference else "grid"
            place = frame.across(value)
            marks.append(tag("line", x1=place, x2=place, y1=bar - _BAR_ROOM, y2=bar + _BAR_ROOM, class_=style))
        level = frame.y.high - (bar - frame.top) / ROW_HEIGHT
        marks += [
            level_bar(frame, level, row.interval.low, row.interval.high, row.style),
            dot(frame, row.interval.value, level, row.style, note=f"{row.name}: {row.told}"),
            tag("text", wording.short(row.name, _MOST_LETTERS), x=frame.left, y=top + 10, class_="note"),
            tag("text", row.told, x=frame.width - frame.right, y=top + 10, class_="note", text_anchor="end"),
        ]
    seen = "; ".join(f"{row.name}: {row.told}" for row in rows)
    return chart(frame, marks, heading=heading, description=seen)
