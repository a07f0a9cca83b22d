"""Tables with a row for each image and class, the class behind the image (`ID_12cadc6af_epidural,0`) → a column per class."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from mstl_edge.counted import counted
from mstl_edge.data.labelled import some
from mstl_edge.data.labels.names import ImageIndex
from mstl_edge.data.labels.table import Table

_JOINTS = ("_", "-", " ")
MOST_CLASSES = 60
_BINARY = frozenset(("0", "1", "0.0", "1.0", ""))
_PROBED = 50


def unmelted(table: Table, index: ImageIndex) -> tuple[Table, list[str]]:
    """Return a table as the RSNA's of head CTs is, one row per image with a column of 0 and 1 for each class, and a note.

    Any other table stays as it is: its first column names files, or its last one is not of 0 and 1, or some image lacks a class.

    Args:
        table: The table, with a header.
        index: Finds files by their names.
    """
    header, rows = table.lines[0], table.lines[1:]
    if len(header) != 2 or len(rows) < 2 or not {row[1] for row in rows} <= _BINARY:
        return table, []
    if any(index.find(row[0], elsewhere=True) for row in rows[:_PROBED]):
        return table, []
    joint = next((sign for sign in _JOINTS if index.find(rows[0][0].rpartition(sign)[0], elsewhere=True)), None)
    if joint is None:
        return table, []
    values: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for cell, value in rows:
        image, _, kind = cell.rpartition(joint)
        values[image][kind] = value
    classes = sorted({kind for given in values.values() for kind in given})
    if not 1 < len(classes) <= MOST_CLASSES or any(len(given) < len(classes) for given in values.values()):
        return table, []
    wide = ((image, *(given[kind] for kind in classes)) for image, given in values.items())
    note = f"{table.path.name} has a row for each image and class ({some(classes, shown=8)}): {counted(len(values), 'image')}"
    return replace(table, lines=(("image", *classes), *wide)), [note]
