"""Scores with their intervals as cells of a table, and tables of each class by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mstl_edge import bounded
from mstl_edge_cli.console import print_table

if TYPE_CHECKING:
    from mstl_edge.metrics import ClassificationMetrics, ClassScores, Interval
    from mstl_edge.schemas.study import ClassResult

CLASS_COLUMNS = ("class", "images", "recall %", "precision %", "AUC against the rest")
NOTHING = "–"


def percent(interval: Interval | Mapping[str, float] | None) -> str:
    """Return an interval of shares as `87.5 (74 to 95)`."""
    if interval is None:
        return NOTHING
    return bounded.percent(_interval(interval))


def share(interval: Interval | Mapping[str, float] | None) -> str:
    """Return an interval of shares as `0.875 (0.741 to 0.953)`."""
    if interval is None:
        return NOTHING
    return bounded.decimal(_interval(interval))


def _interval(given: Interval | Mapping[str, float]) -> Interval:
    if not isinstance(given, Mapping):
        return given
    from mstl_edge.metrics import Interval

    return Interval(given["value"], given["low"], given["high"])


def class_cells(label: str, scores: ClassScores | ClassResult) -> tuple[object, ...]:
    """Return one class's cells under `CLASS_COLUMNS`."""
    return label, scores.n, percent(scores.recall), percent(scores.precision), share(scores.auc)


def print_classes(title: str, scored: ClassificationMetrics, *, answers: bool) -> None:
    """Print each class by itself, a row per class; with `answers`, also what its images were answered."""
    print_table(f"\n{title}", CLASS_COLUMNS, [class_cells(label, scores) for label, scores in scored.classes.items()])
    if answers:
        labels: Sequence[str] = list(scored.classes)
        rows = [(label, *counts) for label, counts in zip(labels, scored.confusion, strict=True)]
        print_table(
            "\nwhat the images of each class were answered", ("class", *(f"→ {label}" for label in labels)), rows
        )
