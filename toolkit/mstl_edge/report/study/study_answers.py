"""A study's out-of-fold answers, pooled over folds: `answers.csv` in its folder, `NAME-answers.csv` beside a bare JSON."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mstl_edge.errors import RunError
from mstl_edge.report.answers.answers import Answered, class_numbers
from mstl_edge.report.answers.records import Grid, read_grid
from mstl_edge.schemas.study import Study

PLACE = (
    "arm",
    "scheme",
    "repeat",
    "fold",
    "training_images",
    "image",
    "label",
    "answer",
    "threshold",
    "temperature",
    "epoch",
)
EVERYTHING = "all"
"""What `training_images` says where a whole training part was used; other rows are points of a learning curve."""

ArmAnswers = dict[str, Answered]
"""Arm and scheme, as comparisons call them → its answers."""


def answers_file(result: Path) -> Path:
    """Return where the answers to a study's JSON are kept."""
    if result.name == "study.json":
        return result.with_name("answers.csv")
    return result.with_name(f"{result.stem}-answers.csv")


def read_arm_answers(result: Path, study: Study) -> ArmAnswers | None:
    """Return every arm's pooled out-of-fold answers; None where none are kept beside the study's JSON.

    Raises:
        RunError: The table is damaged, or belongs to another study.
    """
    path = answers_file(result)
    if not path.is_file():
        return None
    grid = read_grid(path)
    labels = _labels(grid)
    if study.positive is not None and study.positive not in labels:
        raise _foreign(path, result, f"classes {', '.join(labels)}")
    positive = None
    if len(labels) == 2:
        positive = labels.index(study.positive) if study.positive else len(labels) - 1
    rows: dict[tuple[str, str], list[tuple[str, ...]]] = defaultdict(list)
    for row in grid.rows:
        if row[PLACE.index("training_images")] == EVERYTHING:
            rows[row[0], row[1]].append(row)
    answers = {}
    for arm in study.arms:
        found = rows.get((arm.name, arm.scheme), [])
        if not found:
            raise _foreign(path, result, f"no answers of {arm.title}")
        pooled = _pooled(Grid(path, grid.head, tuple(found)), labels, positive)
        if pooled.n != arm.n or (arm.confusion and pooled.confusion != [list(row) for row in arm.confusion]):
            raise _foreign(path, result, f"other answers of {arm.title}")
        answers[arm.title] = pooled
    return answers


def _labels(grid: Grid) -> tuple[str, ...]:
    given = grid.head[len(PLACE) :]
    if grid.head[: len(PLACE)] != PLACE or len(given) < 2 or not all(_is_probability(name) for name in given):
        raise RunError(f"columns {', '.join(PLACE)}, p(CLASS) …", received=f"{grid.path}: {', '.join(grid.head)}")
    return tuple(name[2:-1] for name in given)


def _is_probability(column: str) -> bool:
    return column.startswith("p(") and column.endswith(")")


def _foreign(path: Path, result: Path, received: str) -> RunError:
    return RunError(
        f"the answers of {result.name}",
        received=f"{path}: {received}",
        hint="mstl-edge study --resume STUDY writes both anew.",
    )


def _pooled(grid: Grid, labels: tuple[str, ...], positive: int | None) -> Answered:
    """Return one arm's answers, repeat after repeat, the images of each sorted by name."""
    image, repeat = PLACE.index("image"), PLACE.index("repeat")
    by_repeat: dict[int, list[tuple[str, ...]]] = defaultdict(list)
    for row, number in zip(grid.rows, grid.floats([repeat])[:, 0], strict=True):
        by_repeat[int(number)].append(row)
    ordered = [sorted(by_repeat[number], key=lambda row: row[image]) for number in sorted(by_repeat)]
    names = [tuple(row[image] for row in rows) for rows in ordered]
    if any(one != names[0] for one in names) or len(set(names[0])) < len(names[0]):
        raise RunError("every image once in every repeat", received=f"{grid.path}, arm {grid.rows[0][0]}")
    rows = Grid(grid.path, grid.head, tuple(row for part in ordered for row in part))
    return Answered(
        images=names[0],
        labels=labels,
        positive=positive,
        classes=class_numbers(rows, PLACE.index("label"), labels),
        probabilities=rows.floats(range(len(PLACE), len(PLACE) + len(labels))),
        decided=class_numbers(rows, PLACE.index("answer"), labels),
        threshold=None if positive is None else _threshold(rows.column("threshold")),
        repeats=len(ordered),
        called="image",
    )


def _threshold(given: NDArray[np.float64]) -> float | None:
    """Return the threshold where all folds have the same."""
    return float(given[0]) if np.ptp(given) == 0 else None
