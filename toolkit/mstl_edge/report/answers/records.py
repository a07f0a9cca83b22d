"""Reading the tables that other commands wrote, checked, or one clear line."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mstl_edge.errors import RunError


@dataclass(frozen=True)
class Grid:
    """A CSV file: the names of its columns and its rows, as text."""

    path: Path
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def floats(self, columns: Sequence[int]) -> NDArray[np.float64]:
        """Return some columns as numbers, `(rows, columns)`.

        Raises:
            RunError: A cell is no number.
        """
        try:
            return np.array([[float(row[c]) for c in columns] for row in self.rows]).reshape(
                len(self.rows), len(columns)
            )
        except ValueError as error:
            raise RunError("numbers in every row", received=f"{self.path} ({error})") from error

    def column(self, name: str) -> NDArray[np.float64]:
        """Return a column by name as numbers.

        Raises:
            RunError: There is none, or a cell is no number.
        """
        if name not in self.head:
            raise RunError(f"a column {name}", received=f"{self.path} ({', '.join(self.head)})")
        return self.floats([self.head.index(name)])[:, 0]


def read_grid(path: Path) -> Grid:
    """Return a CSV file.

    Raises:
        RunError: It cannot be read, is empty, or its rows differ in length.
    """
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            head, *rows = (tuple(row) for row in csv.reader(handle) if row)
    except OSError as error:
        raise RunError("a table that can be read", received=f"{path} ({error.strerror})") from error
    except (ValueError, csv.Error) as error:  # also UnicodeDecodeError, and no first row
        raise RunError("a CSV table with a header", received=f"{path} ({error})") from error
    if not rows or any(len(row) != len(head) for row in rows):
        raise RunError(f"rows of {len(head)} cells", received=f"{path}, which is cut off or empty")
    return Grid(path, head, tuple(rows))
