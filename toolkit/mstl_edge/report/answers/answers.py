"""Answers to labelled images: those of a run to its test split, or those of a study to every image out of fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mstl_edge.errors import RunError
from mstl_edge.metrics import decide
from mstl_edge.report.answers.records import Grid


@dataclass(frozen=True)
class Answered:
    """What one model, or one arm of a study, answered.

    A study asks about each image once per repeat; the answers then stand one repeat after the other, the images of each in the
    same order. They are no more independent than the images are, so that intervals count `images` and not answers.

    Attributes:
        images: `n` names.
        labels: The classes.
        positive: Column of the class that is looked at against the rest: the positive one of two; None with more.
        classes: `(repeats × n,)` true class numbers.
        probabilities: `(repeats × n, classes)`.
        decided: `(repeats × n,)` answered class numbers.
        threshold: On the probability of the positive class; None where every fold has its own, and with more than two classes.
        repeats: How often each image was answered.
        called: What an image is called where its name is not shown.
    """

    images: tuple[str, ...]
    labels: tuple[str, ...]
    positive: int | None
    classes: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    decided: NDArray[np.int64]
    threshold: float | None
    repeats: int = 1
    called: str = "test row"

    @property
    def n(self) -> int:
        """Number of images."""
        return len(self.images)

    def against_rest(self, number: int) -> Answered:
        """Return the same answers, looked at for one class against all others."""
        return replace(self, positive=number)

    @property
    def column(self) -> int:
        """Column of the class that is looked at.

        Raises:
            ValueError: None is: see `against_rest`.
        """
        if self.positive is None:
            raise ValueError(f"none of {', '.join(self.labels)} is looked at")
        return self.positive

    @property
    def positive_label(self) -> str:
        """Name of the class that is looked at."""
        return self.labels[self.column]

    @property
    def scores(self) -> NDArray[np.float64]:
        """`(repeats × n,)` probability of the class that is looked at."""
        return self.probabilities[:, self.column]

    @property
    def is_positive(self) -> NDArray[np.bool_]:
        """`(repeats × n,)` whether the label is that class."""
        return np.asarray(self.classes == self.column)

    @property
    def has_both(self) -> bool:
        """Whether there are images of that class and others."""
        return 0 < int(self.is_positive.sum()) < len(self.classes)

    @property
    def confusion(self) -> list[list[int]]:
        """Answers counted as `[truth][answer]`."""
        counts = np.zeros((len(self.labels), len(self.labels)), dtype=np.int64)
        np.add.at(counts, (self.classes, self.decided), 1)
        return [[int(count) for count in row] for row in counts]

    def name(self, position: int) -> str:
        """Return the file name of the image behind an answer."""
        return self.images[position % self.n]

    def place(self, position: int) -> str:
        """Return what the image behind an answer is called: a number, no name."""
        repeat = f", repeat {position // self.n + 1}" if self.repeats > 1 else ""
        return f"{self.called} {position % self.n + 1}{repeat}".replace(" ", "\u00a0")


@dataclass(frozen=True)
class Paired:
    """The float32 and the int8 file's answers to the same images, in the same order."""

    float32: Answered
    int8: Answered

    @property
    def labelled_differently(self) -> int:
        """Number of answers that differ."""
        return int(np.count_nonzero(self.float32.decided != self.int8.decided))

    @property
    def alike_by_float(self) -> tuple[int, int]:
        """Answers in which float32 says the class that is looked at: how many int8 gives so too, and how many there are."""
        said = self.float32.decided == self.float32.column
        return int(np.count_nonzero(self.int8.decided[said] == self.float32.column)), int(np.count_nonzero(said))

    @property
    def differences(self) -> NDArray[np.float64]:
        """Absolute differences in probability, over all classes."""
        return np.abs(self.float32.probabilities - self.int8.probabilities)


def answered(
    grid: Grid,
    labels: Sequence[str],
    *,
    positive: int | None,
    threshold: float | None,
    label_column: int,
    first_probability: int,
) -> Answered:
    """Return a table's rows as answers that one threshold decides.

    Args:
        grid: A row per image; its name stands in the first column.
        labels: The classes in the order of their columns.
        positive: Column of the positive class among them; None with more than two.
        threshold: See `metrics.decide`.
        label_column: Where the true label is.
        first_probability: The column of the first class's probability; the others follow.

    Raises:
        RunError: A label that is none of `labels`, no rows, or a cell that is no number.
    """
    classes = class_numbers(grid, label_column, labels)
    probabilities = grid.floats(range(first_probability, first_probability + len(labels)))
    decided = decide(probabilities, positive=positive, threshold=threshold)
    return Answered(
        tuple(row[0] for row in grid.rows), tuple(labels), positive, classes, probabilities, decided, threshold
    )


def class_numbers(grid: Grid, column: int, labels: Sequence[str]) -> NDArray[np.int64]:
    """Return a column of labels as `(rows,)` class numbers.

    Raises:
        RunError: A label that is none of `labels`, or no rows.
    """
    numbers = {label: position for position, label in enumerate(labels)}
    strangers = sorted({row[column] for row in grid.rows} - set(numbers))
    if strangers or not grid.rows:
        raise RunError(f"rows labelled {', '.join(labels)}", received=f"{grid.path}: {', '.join(strangers) or 'none'}")
    return np.array([numbers[row[column]] for row in grid.rows], dtype=np.int64)
