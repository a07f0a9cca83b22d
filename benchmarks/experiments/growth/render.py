"""How time and memory grow: a table, and pictures as SVG files that stand alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mstl_edge.report.draw.axis import linear_axis
from mstl_edge.report.draw.chart import Frame, chart, dot, line
from rendered.markdown import read, table

STYLE = (
    "<style>svg{background:#fff}text{font:10.5px system-ui,sans-serif;fill:#5d6167}.heading{font-weight:600;fill:#1d1d1f}"
    ".grid{stroke:#ececee}.axis{stroke:#9a9da3}.line{fill:none;stroke-width:2}.line.a{stroke:#1f5a94}.line.b{stroke:#c2491d}"
    ".dot.a{fill:#1f5a94}.dot.b{fill:#c2491d}</style>"
)


def growth_time() -> str:
    """Return seconds against the number of images: the first run, and the second on stored features."""
    rows = _by_images()
    seconds = [[row["runs"][run]["seconds"] for row in rows] for run in (0, 1)]
    return _drawing(
        "Seconds of a training: empty cache (blue), stored features (red)", rows, seconds, "seconds, two epochs"
    )


def growth_memory() -> str:
    """Return private memory against the number of images."""
    rows = _by_images()
    memory = [[max(run["private_memory_bytes"] for run in row["runs"]) / 1e9 for row in rows]]
    return _drawing("Private memory", rows, memory, "GB (10⁹ bytes)")


def _by_images() -> list[dict[str, Any]]:
    return [row for row in read("growth.json")["rows"] if row["varied"] == "images"]


def _drawing(heading: str, rows: Sequence[dict[str, Any]], series: Sequence[Sequence[float]], label: str) -> str:
    images = [float(row["images"]) for row in rows]
    highest = max(value for values in series for value in values)
    frame = Frame(linear_axis("images", [0.0, *images]), linear_axis(label, [0.0, highest]))
    marks = []
    for values, style in zip(series, "ab", strict=False):
        marks.append(line(frame, images, values, style))
        marks += [dot(frame, x, y, style) for x, y in zip(images, values, strict=True)]
    drawn = chart(frame, marks, heading=heading, description=f"{label} against the number of images").text
    opening, rest = drawn.split(">", 1)
    return f'{opening} xmlns="http://www.w3.org/2000/svg" width="680">{STYLE}{rest}\n'


def growth() -> str:
    """Return time and memory against each varied quantity."""
    rows = []
    for row in read("growth.json")["rows"]:
        first, second = row["runs"]
        memory = max(run["private_memory_bytes"] for run in row["runs"]) / 1e6
        cells = [first["seconds"], second["seconds"]]
        rows.append(
            [
                row["varied"],
                str(row[row["varied"]]),
                *(f"{seconds:.1f}" for seconds in cells),
                f"{memory:,.0f}",
                f"{first['cache_bytes'] / 1e6:,.0f}",
            ]
        )
    return table(["varied", "value", "first run s", "second run s", "private memory MB", "stored MB"], rows)


TABLES = {"growth": growth}
PICTURES = {"docs/growth-time.svg": growth_time, "docs/growth-memory.svg": growth_memory}
