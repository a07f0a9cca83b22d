"""The out-of-fold answers of one arm in one fold and scheme, as a CSV that anyone can recompute the tables from."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.errors import RunError
from mstl_edge.metrics import decide
from mstl_edge.storage import write_text
from mstl_edge.study.decision import Decision

DECIMALS = 9
"""Of probabilities; a high temperature brings them close together."""
FIXED = ("image", "label", "answer", "threshold", "temperature", "epoch")


@dataclass(frozen=True)
class FoldAnswers:
    """Answers to the test part of a fold.

    Attributes:
        images: `n` names, sorted.
        classes: `(n,)` true class numbers.
        answers: `(n,)` answered class numbers.
        probabilities: `(n, classes)`.
        decision: Fitted on the fold's validation part.
        epoch: Number (from 1) of the epoch that validation chose.
    """

    images: tuple[str, ...]
    classes: NDArray[np.int64]
    answers: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    decision: Decision
    epoch: int

    @property
    def correct(self) -> NDArray[np.bool_]:
        """`(n,)` whether the answer is right."""
        return np.asarray(self.classes == self.answers)


def answered(
    images: Sequence[str],
    classes: NDArray[np.int64],
    probabilities: NDArray[Any],
    decision: Decision,
    *,
    positive: int | None,
    epoch: int,
) -> FoldAnswers:
    """Return answers by the fold's decision, rounded as the CSV rounds them."""
    rounded = np.asarray(np.round(probabilities, DECIMALS), dtype=np.float64)
    decided = decide(rounded, positive=positive, threshold=decision.threshold)
    return FoldAnswers(tuple(images), classes, decided, rounded, decision, epoch)


def write_answers(path: Path, given: FoldAnswers, labels: Sequence[str]) -> None:
    """Write answers, whole or not at all; the file's presence means that this fold is done."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*FIXED, *(f"p({label})" for label in labels)])
    decision = given.decision
    for image, truth, answer, row in zip(given.images, given.classes, given.answers, given.probabilities, strict=True):
        fixed = [
            image,
            labels[truth],
            labels[answer],
            "" if decision.threshold is None else repr(decision.threshold),
            repr(decision.temperature),
            given.epoch,
        ]
        writer.writerow([*fixed, *(f"{p:.{DECIMALS}f}" for p in row)])
    write_text(path, text.getvalue())


def read_answers(path: Path, labels: Sequence[str]) -> FoldAnswers:
    """Read what `write_answers` wrote.

    Raises:
        RunError: The file is none of this study's.
    """
    numbers = {label: number for number, label in enumerate(labels)}
    header = [*FIXED, *(f"p({label})" for label in labels)]
    try:
        head, *rows = csv.reader(io.StringIO(path.read_text(encoding="utf-8")))
        if head != header or not rows:
            raise ValueError(f"columns {', '.join(head)}")
        return FoldAnswers(
            tuple(row[0] for row in rows),
            np.array([numbers[row[1]] for row in rows], dtype=np.int64),
            np.array([numbers[row[2]] for row in rows], dtype=np.int64),
            np.array([[float(value) for value in row[len(FIXED) :]] for row in rows], dtype=np.float64),
            # Written before more than two classes had no threshold, 0.5 stands there for them.
            Decision(temperature=float(rows[0][4]), threshold=float(rows[0][3]) if len(labels) == 2 else None),
            int(rows[0][5]),
        )
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise RunError(
            f"the answers of a fold of this study ({error})",
            received=path,
            hint="Delete the file; 'mstl-edge study --resume STUDY' makes it again.",
        ) from error
