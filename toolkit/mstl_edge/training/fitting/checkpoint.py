"""What fine-tuning keeps after every epoch: the history, the weights it may end with, the optimizer, the time spent."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.storage import load_arrays, save_arrays


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to; losses in nats, accuracies as shares."""

    epoch: int
    learning_rate: float
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float


def history_csv(history: Sequence[Epoch]) -> str:
    """Return the history as CSV with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(Epoch)])
    writer.writerows([astuple(record) for record in history])
    return text.getvalue()


def best_epoch(history: Sequence[Epoch]) -> int:
    """Return the number (from 1) of the epoch with the lowest validation loss; 0 for no history."""
    return min(history, key=lambda record: record.validation_loss).epoch if history else 0


def first_averaged(epochs: int) -> int:
    """Return the number (from 1) of the first epoch in an average: the last quarter is in it, at least two where there are two."""
    return max(1, min(epochs * 3 // 4 + 1, epochs - 1))


def seconds_spent(checkpoint: Path) -> float:
    """Return how long training took up to a checkpoint, all sessions together; 0 where there is none."""
    return float(load_arrays(checkpoint)["seconds"]) if checkpoint.is_file() else 0.0


class Checkpoint:
    """The checkpoint in memory: current and best weights, the optimizer's variables and the history.

    Where its file exists already, it begins as that one ended. From epoch `averaged_from` on (None: never) it holds the sum of the
    weights after each epoch, too, as float64.
    """

    def __init__(self, tail: Any, optimizer: Any, path: Path, averaged_from: int | None) -> None:
        self.history: list[Epoch] = []
        self._started = time.monotonic() - seconds_spent(path)
        self._variables = tail.trainable_variables
        self._optimizer = optimizer
        self._path = path
        self._best: list[NDArray[np.generic]] = [variable.numpy() for variable in self._variables]
        self._averaged_from = averaged_from
        self._sum: list[NDArray[Any]] = []
        if path.is_file():
            self._load()

    def _load(self) -> None:
        arrays = load_arrays(self._path)
        self.history = [Epoch(int(row[0]), *map(float, row[1:])) for row in arrays["history"]]
        self._best = [arrays[f"best{i}"] for i in range(len(self._variables))]
        self._sum = [arrays[f"sum{i}"] for i in range(len(self._variables)) if f"sum{i}" in arrays]
        for i, variable in enumerate(self._variables):
            variable.assign(arrays[f"current{i}"])
        for i, variable in enumerate(self._optimizer.variables):
            variable.assign(arrays[f"optimizer{i}"])

    def save(self, record: Epoch) -> None:
        """Add an epoch with the weights that it left, and write everything to disk."""
        self.history.append(record)
        current = [variable.numpy() for variable in self._variables]
        if best_epoch(self.history) == record.epoch:
            self._best = current
        if self._averaged_from is not None and record.epoch >= self._averaged_from:
            doubles = [array.astype(np.float64) for array in current]
            self._sum = [a + b for a, b in zip(self._sum, doubles, strict=True)] if self._sum else doubles
        arrays: dict[str, NDArray[Any]] = {
            "history": np.array([astuple(entry) for entry in self.history], dtype=np.float64)
        }
        arrays["seconds"] = np.array(time.monotonic() - self._started)
        arrays |= {f"current{i}": array for i, array in enumerate(current)}
        arrays |= {f"best{i}": array for i, array in enumerate(self._best)}
        arrays |= {f"sum{i}": array for i, array in enumerate(self._sum)}
        arrays |= {f"optimizer{i}": variable.numpy() for i, variable in enumerate(self._optimizer.variables)}
        save_arrays(self._path, arrays)

    def restore_best(self) -> None:
        """Go back to the weights of the epoch with the lowest validation loss."""
        for variable, array in zip(self._variables, self._best, strict=True):
            variable.assign(array)

    def restore_average(self) -> None:
        """Take the mean of the weights after each epoch from `averaged_from` on."""
        epochs = sum(record.epoch >= (self._averaged_from or 1) for record in self.history)
        for variable, array in zip(self._variables, self._sum, strict=True):
            variable.assign((array / epochs).astype(np.float32))
