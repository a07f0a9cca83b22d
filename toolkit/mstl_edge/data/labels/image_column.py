"""Which column of a table names the image: the one whose cells name most files."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mstl_edge.data.labels.column_names import IMAGE_COLUMNS, plain
from mstl_edge.data.labels.names import Found, ImageIndex, Kind, key_of
from mstl_edge.errors import DataError

_SHARE = 0.5
"""How many files a column must name, beside the one that names most, to be the image column perhaps."""

_LOOK_UPS = 500_000
"""How many cells are looked up among the files to find the image column: about a second and a half."""


@dataclass(frozen=True)
class _Candidate:
    number: int
    kind: Kind
    files: int
    found: tuple[Found | None, ...]


def find_image_column(
    header: Sequence[str], rows: Sequence[tuple[str, ...]], index: ImageIndex, told: Mapping[str, int], path: Path
) -> int:
    """Return the number of the column that names the image.

    Args:
        header: Names of the columns.
        rows: Cells.
        index: The files that cells may name.
        told: Columns that the user has told, by what they hold.
        path: The table, for errors.

    Raises:
        DataError: Several columns name different files in one row.
    """
    columns = [number for number in range(len(header)) if number != told.get("label")]
    # What names the patient may name the image too, where nothing else does.
    others = [number for number in columns if number != told.get("patient")]
    looked_at = rows[:: 1 + len(rows) * len(columns) // _LOOK_UPS]
    cells = {number: [row[number] for row in looked_at] for number in columns}
    candidates = [one for number in others if (one := _candidate(number, cells[number], index))]
    candidates = candidates or [one for number in columns if (one := _candidate(number, cells[number], index))]
    if not candidates:
        return next((number for number in columns if plain(header[number]) in IMAGE_COLUMNS), columns[0])
    # A label or an age may be the name of some file by chance; what names images names many of them.
    most = max(one.files for one in candidates)
    candidates = [one for one in candidates if one.files >= _SHARE * most]
    surest = max(one.kind for one in candidates)
    candidates = [one for one in candidates if one.kind == surest]
    best = max(candidates, key=lambda one: (plain(header[one.number]) in IMAGE_COLUMNS, one.files, -one.number))
    rivals = [one for one in candidates if one is not best and _disagree(one, best)]
    if surest is Kind.NUMBER:
        named = [one for one in candidates if plain(header[one.number]) in IMAGE_COLUMNS]
        keys = named or [one for one in candidates if len(set(cells[one.number])) == len(looked_at)]
        rivals = [one for one in keys if one is not best and _disagree(one, best)]
    if rivals:
        names = [header[one.number] for one in (best, *rivals)]
        raise DataError(
            f"one column of {path.name} that names the image",
            received=f"{' and '.join(repr(name) for name in names)}, which name different files in one row",
            hint=f"Choose it: --image-column {shlex.quote(names[0])}, or stages.NAME.labels.image in a recipe.",
        )
    return best.number


def _candidate(number: int, cells: Sequence[str], index: ImageIndex) -> _Candidate | None:
    elsewhere = are_keys(cells)
    found = tuple(index.find(cell, elsewhere=elsewhere) for cell in cells)
    kinds = [one.kind for one in found if one is not None]
    if not kinds:
        return None
    files = len({one.names for one in found if one is not None})
    return _Candidate(number, max(kinds, key=kinds.count), files, found)


def _disagree(one: _Candidate, other: _Candidate) -> bool:
    return any(
        a is not None and b is not None and not set(a.names) & set(b.names)
        for a, b in zip(one.found, other.found, strict=True)
    )


def are_keys(cells: Iterable[str]) -> bool:
    """Say whether file names without their folders tell all cells apart."""
    distinct = set(cells)
    return len({key_of(cell) for cell in distinct}) == len(distinct)
