"""Small charts as inline SVG: a frame with two axes, and the marks that are put into it.

Colours come from classes (`a` … `e`, `faint`) that the page's style sheet defines for light, dark and print. A chart is 340
units wide, about what a phone shows, so that its writing stays readable there; several stand side by side on a wide page. Many
of a kind are drawn on 214 units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mstl_edge.report.draw.axis import Axis, unit_axis
from mstl_edge.report.html.markup import Markup, number, tag

WIDTH = 340.0
HEIGHT = 252.0
SQUARE_HEIGHT = 344.0
MOST_LARGE = 2
"""Drawings of one figure up to which each is drawn large; more are drawn small, so that two share a phone's width."""


@dataclass(frozen=True)
class Frame:
    """Where values become places; lengths in units of the drawing."""

    x: Axis
    y: Axis
    width: float = WIDTH
    height: float = HEIGHT
    left: float = 48.0
    right: float = 10.0
    top: float = 24.0
    bottom: float = 38.0

    def across(self, value: float) -> float:
        """Return the horizontal place of a value."""
        return self.left + self.x.share(value) * (self.width - self.left - self.right)

    def down(self, value: float) -> float:
        """Return the vertical place of a value; it counts from the top."""
        return self.height - self.bottom - self.y.share(value) * (self.height - self.top - self.bottom)


def square_frame(x: str, y: str, panels: int) -> Frame:
    """Return a frame for two shares between 0 and 1, as one of `panels` of its kind."""
    if panels <= MOST_LARGE:
        return Frame(unit_axis(x), unit_axis(y), height=SQUARE_HEIGHT)
    ends = ((0.0, "0"), (0.5, "50"), (1.0, "100"))
    across, upright = Axis(x, 0.0, 1.0, ends), Axis(y, 0.0, 1.0, ends)
    return Frame(across, upright, width=214.0, height=216.0, left=40.0, right=12.0, top=22.0, bottom=36.0)


def chart(frame: Frame, marks: Sequence[Markup], *, heading: str, description: str) -> Markup:
    """Return the drawing.

    Args:
        frame: Its axes.
        marks: What is in it, from back to front.
        heading: Written above it; also what a screen reader calls it.
        description: What there is to see, for those who don't see it.
    """
    return tag(
        "svg",
        tag("title", heading),
        tag("desc", description),
        tag("text", heading, x=0, y=12, class_="heading"),
        _grid(frame),
        marks,
        _axis_names(frame),
        viewBox=f"0 0 {number(frame.width)} {number(frame.height)}",
        role="img",
        class_="chart",
    )


def _grid(frame: Frame) -> Markup:
    base, left, right = frame.height - frame.bottom, frame.left, frame.width - frame.right
    parts = []
    for value, text in frame.x.ticks:
        place = frame.across(value)
        parts.append(tag("line", x1=place, x2=place, y1=frame.top, y2=base, class_="grid"))
        parts.append(tag("text", text, x=place, y=base + 14, class_="tick", text_anchor="middle"))
    for value, text in frame.y.ticks:
        place = frame.down(value)
        parts.append(tag("line", x1=left, x2=right, y1=place, y2=place, class_="grid"))
        parts.append(tag("text", text, x=left - 6, y=place + 3.5, class_="tick", text_anchor="end"))
    parts.append(tag("line", x1=left, x2=right, y1=base, y2=base, class_="axis"))
    if frame.y.ticks:
        parts.append(tag("line", x1=left, x2=left, y1=frame.top, y2=base, class_="axis"))
    return tag("g", parts, aria_hidden="true")


def _axis_names(frame: Frame) -> Markup:
    middle_x = (frame.left + frame.width - frame.right) / 2
    middle_y = (frame.top + frame.height - frame.bottom) / 2
    across = tag("text", frame.x.label, x=middle_x, y=frame.height - 6, class_="name", text_anchor="middle")
    if not frame.y.label:
        return across
    turn = f"rotate(-90 11 {number(middle_y)})"
    upright = tag("text", frame.y.label, x=11, y=middle_y, class_="name", text_anchor="middle", transform=turn)
    return tag("g", across, upright)


def line(frame: Frame, xs: Sequence[float], ys: Sequence[float], style: str) -> Markup:
    """Return a line through points in order."""
    places = [f"{number(frame.across(x))} {number(frame.down(y))}" for x, y in zip(xs, ys, strict=True)]
    return tag("path", d="M" + "L".join(places), class_=f"line {style}")


def band(frame: Frame, xs: Sequence[float], lows: Sequence[float], highs: Sequence[float], style: str) -> Markup:
    """Return the area between two lines."""
    there = [f"{number(frame.across(x))} {number(frame.down(y))}" for x, y in zip(xs, highs, strict=True)]
    back = [f"{number(frame.across(x))} {number(frame.down(y))}" for x, y in zip(xs, lows, strict=True)]
    return tag("path", d="M" + "L".join([*there, *reversed(back)]) + "Z", class_=f"band {style}")


def dot(frame: Frame, x: float, y: float, style: str, *, note: str = "", radius: float = 3.4) -> Markup:
    """Return a point; `note` shows where a pointer rests on it."""
    told = tag("title", note) if note else None
    return tag("circle", told, cx=frame.across(x), cy=frame.down(y), r=radius, class_=f"dot {style}")


def upright_bar(frame: Frame, x: float, low: float, high: float, style: str) -> Markup:
    """Return a vertical bar from `low` to `high`, the bounds of an interval."""
    place = frame.across(x)
    return tag("line", x1=place, x2=place, y1=frame.down(low), y2=frame.down(high), class_=f"whisker {style}")


def level_bar(frame: Frame, y: float, low: float, high: float, style: str) -> Markup:
    """Return a horizontal bar from `low` to `high`."""
    place = frame.down(y)
    return tag("line", x1=frame.across(low), x2=frame.across(high), y1=place, y2=place, class_=f"whisker {style}")


def inside_note(frame: Frame, text: str, *, row: int) -> Markup:
    """Return writing at the lower right inside the frame; rows count upwards from 0."""
    place = frame.down(frame.y.low) - 12 - 13 * row
    return tag("text", text, x=frame.width - frame.right - 4, y=place, class_="note", text_anchor="end")
