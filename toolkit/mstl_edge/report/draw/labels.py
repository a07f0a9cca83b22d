"""Names beside the points of a drawing, placed so that none covers another name or a point."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mstl_edge.report.draw.chart import Frame
from mstl_edge.report.html.markup import Markup, tag

LETTER_WIDTH = 6.0
"""Of 10-unit sans-serif writing, on the generous side."""
LINE_HEIGHT = 11.0
_DESCENT = 2.5
_GAP = 3.0
_DIRECTIONS = ((0, -1), (0, 1), (1, -1), (1, 1), (-1, -1), (-1, 1), (1, 0), (-1, 0))
"""Above and below first: the lines of a drawing run level more often than not."""
_DISTANCES = tuple(range(0, 280, 7))
_LEADER_FROM = 6.0
"""A name that stands farther than this from its point is joined to it by a line."""


@dataclass(frozen=True)
class Point:
    """A point with its name and the colour of both; places and radius in units of the drawing."""

    x: float
    y: float
    radius: float
    name: str
    style: str


@dataclass(frozen=True)
class Box:
    """A rectangle; y counts from the top."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Return whether the two have a common point inside."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


@dataclass(frozen=True)
class Placed:
    """Where a name stands, and how far from its point."""

    point: Point
    box: Box
    distance: float


def place_labels(frame: Frame, points: Sequence[Point]) -> list[Placed]:
    """Return places inside the frame for the points' names, the first first; a name without room is left out."""
    taken = [Box(one.x - one.radius, one.y - one.radius, one.x + one.radius, one.y + one.radius) for one in points]
    inside = Box(frame.left, frame.top, frame.width, frame.height - frame.bottom)
    placed: list[Placed] = []
    for point in points:
        found = next(
            (
                (box, distance)
                for box, distance in _candidates(point)
                if _holds(inside, box) and not any(box.meets(other) for other in taken)
            ),
            None,
        )
        if found is not None:
            placed.append(Placed(point, *found))
            taken.append(found[0])
    return placed


def _candidates(point: Point) -> Iterator[tuple[Box, float]]:
    """Yield places around a point, the nearest first."""
    width = LETTER_WIDTH * len(point.name)
    for distance in _DISTANCES:
        reach = point.radius + _GAP + distance
        for across, down in _DIRECTIONS:
            step = reach if not across or not down else reach / math.sqrt(2)
            left = point.x + across * step - (0 if across > 0 else width if across < 0 else width / 2)
            top = point.y + down * step - (0 if down > 0 else LINE_HEIGHT if down < 0 else LINE_HEIGHT / 2)
            yield Box(left, top, left + width, top + LINE_HEIGHT), float(distance)


def _holds(outer: Box, inner: Box) -> bool:
    return (
        outer.left <= inner.left
        and inner.right <= outer.right
        and outer.top <= inner.top
        and inner.bottom <= outer.bottom
    )


def draw_labels(placed: Sequence[Placed]) -> list[Markup]:
    """Return the names, and lines to those that stand far from their points."""
    marks = []
    for entry in placed:
        box, point = entry.box, entry.point
        if entry.distance > _LEADER_FROM:
            end_x, end_y = min(max(point.x, box.left), box.right), min(max(point.y, box.top), box.bottom)
            marks.append(tag("line", x1=point.x, y1=point.y, x2=end_x, y2=end_y, class_=f"leader {point.style}"))
        middle = (box.left + box.right) / 2
        marks.append(
            tag(
                "text",
                point.name,
                x=middle,
                y=box.bottom - _DESCENT,
                class_=f"note {point.style}",
                text_anchor="middle",
            )
        )
    return marks
