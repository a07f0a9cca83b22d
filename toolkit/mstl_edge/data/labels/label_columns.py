"""Which column of a table holds the label, or which ones hold one class each."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from mstl_edge.data.files.labelled import some
from mstl_edge.data.labels.column_names import LABEL_COLUMNS, plain
from mstl_edge.data.labels.values import is_missing
from mstl_edge.errors import DataError


def find_label_columns(
    header: Sequence[str],
    rows: Sequence[tuple[str, ...]],
    left: Sequence[int],
    image: int,
    path: Path,
    *,
    overlapping: bool,
) -> tuple[int, ...]:
    """Return the number of the label column, or those of one column per class.

    Args:
        header: Names of the columns.
        rows: Cells.
        left: Columns that may be meant: neither image nor patient nor split, and not empty.
        image: The image column, for errors.
        path: The table, for errors.
        overlapping: An image may be of several of the classes.

    Raises:
        DataError: A choice that only the user can make.
    """
    named = [number for number in left if plain(header[number]) in LABEL_COLUMNS]
    # A coordinate is called y, too.
    named = [number for number in named if plain(header[number]) != "y"] or named
    if len(named) == 1 or len(left) == 1:
        return tuple(named or left)
    # A class that the set has no image of is no class of it.
    binary = [n for n in left if is_binary(rows, n) and any(row[n].startswith("1") for row in rows)]
    several = sum(sum(row[number].startswith("1") for number in binary) > 1 for row in rows)
    if not named and len(binary) > 1 and (overlapping or not several):
        return tuple(binary)
    example = header[[*named, *binary, *left][0]] if left else "NAME"
    more = f"; {several:,} rows have a 1 in several of {some(header[number] for number in binary)}" if several else ""
    raise DataError(
        f"one label column in {path.name} beside the image column {header[image]!r}",
        received=f"{', '.join(header)}{more}",
        hint=f"Choose it, for example --label-column {shlex.quote(example)}, or stages.NAME.labels.label in a recipe; "
        "a patient column is --column NAME. Several findings of an image: --map 'FINDING=CLASS,FINDING=CLASS'.",
    )


def is_binary(rows: Sequence[tuple[str, ...]], number: int) -> bool:
    """Return whether the cells of a column that are not missing are zeros and ones."""
    return {row[number] for row in rows if not is_missing(row[number])} <= {"0", "1", "0.0", "1.0"}
