"""Tables with a row for each image and class, the class behind the image (`ID_12cadc6af_epidural,0`) → a column per class."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from mstl_edge.counted import counted
from mstl_edge.data.files.labelled import some
from mstl_edge.data.labels.names import ImageIndex
from mstl_edge.data.labels.table import Table
from mstl_edge.errors import DataError

_JOINTS = ("_", "-", " ")
MOST_CLASSES = 60
_BINARY = frozenset(("0", "1", "0.0", "1.0", ""))
_PROBED = 50


def unmelted(table: Table, index: ImageIndex, *, whole: bool = True) -> tuple[Table, list[str]]:
    """Return a table as the RSNA's of head CTs is, one row per image with a column of 0 and 1 for each class, and a note.

    Any other table stays as it is: its first column names files, or its last one is not of 0 and 1, or some image lacks a class.

    Args:
        table: The table, with a header.
        index: Finds files by their names.
        whole: Whether all of it is given; the last image of a beginning may lack classes.

    Raises:
        DataError: Two rows of one image and class contradict each other.
    """
    header, rows = table.lines[0], table.lines[1:]
    if len(header) != 2 or len(rows) < 2 or not {row[1] for row in rows} <= _BINARY:
        return table, []
    if any(index.find(row[0], elsewhere=True) for row in rows[:_PROBED]):
        return table, []
    joint = next((sign for sign in _JOINTS if any(_image_of(row[0], sign, index) for row in rows[:_PROBED])), None)
    if joint is None:
        return table, []
    values: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for cell, value in rows:
        image, _, kind = cell.rpartition(joint)
        if values[image].setdefault(kind, value)[:1] != value[:1]:
            raise DataError(
                f"one label for each image and class in {table.path.name}",
                received=f"{cell} as {values[image][kind]} and as {value}",
                hint="Remove the wrong row.",
            )
    classes = sorted({kind for given in values.values() for kind in given})
    counted_in = list(values.values())[: None if whole else -1]
    if not 1 < len(classes) <= MOST_CLASSES or any(len(given) < len(classes) for given in counted_in):
        return table, []
    wide = ((image, *(given.get(kind, "") for kind in classes)) for image, given in values.items())
    note = f"{table.path.name} has a row for each image and class ({some(classes, shown=8)}): {counted(len(values), 'image')}"
    return replace(table, lines=(("image", *classes), *wide)), [note]


def _image_of(cell: str, joint: str, index: ImageIndex) -> bool:
    name = cell.rpartition(joint)[0]
    return bool(name) and index.find(name, elsewhere=True) is not None
