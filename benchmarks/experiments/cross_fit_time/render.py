"""The table of what judging the procedure costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rendered.markdown import read, table


def cross_fit_time() -> str:
    """Return seconds of training and of both exports for each recipe, and what cross-fitting adds in units of `train`."""
    columns = [
        "recipe",
        "parts",
        "training images judged",
        "`train`, s",
        "`export` without, s",
        "with cross-fitting, s",
        "adds, of `train`",
        "by processor time",
    ]
    return table(columns, map(_row, read("cross-fit-time.json")["rows"]))


def _row(row: Any) -> Sequence[object]:
    clock = [f"{row[name]['seconds']:.0f}" for name in ("train", "export_without", "export")]
    ratio = row["ratio"]
    return [
        f"`{row['recipe']}`",
        row["parts"],
        row["images"],
        *clock,
        f"{ratio['seconds']:.1f} times",
        f"{ratio['processor_seconds']:.1f} times",
    ]


TABLES = {"cross-fit-time": cross_fit_time}
