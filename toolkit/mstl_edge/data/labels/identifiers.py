"""Tables that name DICOM files by identifiers inside them: one row for a slice, a series or a study."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mstl_edge.counted import counted
from mstl_edge.data.files.volumes import dicom_header
from mstl_edge.data.labels.column_names import plain
from mstl_edge.data.labels.names import ImageIndex, Kind
from mstl_edge.data.labels.table import Table

_COLUMNS = {
    "instance": re.compile(r"(sop)?(instance)?uid|sopinstance|imageuid"),
    "series": re.compile(r"series(instance)?(uid|id)?"),
    "study": re.compile(r"study(instance)?uid"),
}
"""What columns of identifiers are called, without case, spaces and joints; the finest first."""
_PROBED = 200
_UID = re.compile(r"[0-9.]{8,64}")


@dataclass(frozen=True)
class Identified:
    """A table whose cells name files, and what is said of how; `unnamed` are DICOM files beside those that it names."""

    table: Table
    notes: tuple[str, ...] = ()
    unnamed: tuple[str, ...] = ()


def with_files_of(table: Table, files: Sequence[str], index: ImageIndex, image_column: str) -> Identified:
    """Return a table in which identifiers are the files that hold them, a row for each file.

    A table whose cells name files stays as it is. Of an identifier that no file holds, the cell says the line: identifiers are a
    patient's and are written nowhere.

    Args:
        table: The table.
        files: Names of the files below its folder.
        index: Finds files by their names.
        image_column: The column that the user has told; empty: any.
    """
    found = _column(table, index, image_column)
    if found is None:
        return Identified(table)
    number, kind = found
    holders: defaultdict[str, list[str]] = defaultdict(list)
    for name in files:
        header = dicom_header(table.path.parent / name)
        if header is not None and (identifier := getattr(header, kind)):
            holders[identifier].append(name)
    if not any(line[number] in holders for line in table.lines[1:]) and not _UID.fullmatch(table.lines[1][number]):
        return Identified(table)
    lines, rows = [table.lines[0]], 0
    for place, line in enumerate(table.lines[1:], 2):
        rows += line[number] in holders
        own = holders.get(line[number]) or [f"(line {place})"]
        lines += [(*line[:number], name, *line[number + 1 :]) for name in own]
    named = {name for line in table.lines[1:] for name in holders.get(line[number], ())}
    told = f"{counted(rows, 'row')}, {counted(len(named), 'file')}"
    note = f"column {table.lines[0][number]!r} names DICOM files by their {kind}: {told}"
    unnamed = {name for names in holders.values() for name in names} - named
    return Identified(replace(table, lines=tuple(lines)), (note,), tuple(sorted(unnamed)))


def _column(table: Table, index: ImageIndex, image_column: str) -> tuple[int, str] | None:
    """Return the column of identifiers, and of what; None where the cells of a column name files, or there is none."""
    if len(table.lines) < 2:
        return None
    header = [plain(name) for name in table.lines[0]]
    columns = [place for place, name in enumerate(table.lines[0]) if not image_column or name == image_column]
    for line in table.lines[1:_PROBED]:
        found = (index.find(line[place], elsewhere=True) for place in columns)
        if any(one is not None and one.kind >= Kind.STEM for one in found):
            return None
    for kind, called in _COLUMNS.items():
        for place in columns:
            if called.fullmatch(header[place]):
                return place, kind
    return None
