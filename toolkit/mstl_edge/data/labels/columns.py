"""Which column of a table names the image, which the label, the patient and the split; where nobody can tell, it is asked."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from mstl_edge.data.files.walk import is_image
from mstl_edge.data.labels.classes import as_number
from mstl_edge.data.labels.column_names import (
    CALLED_SPLIT,
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    PATIENT_COLUMNS,
    PUBLIC_TABLES,
    plain,
)
from mstl_edge.data.labels.image_column import are_keys, find_image_column
from mstl_edge.data.labels.label_columns import find_label_columns, is_binary
from mstl_edge.data.labels.names import ImageIndex, Kind
from mstl_edge.data.labels.split_column import find_split_columns
from mstl_edge.data.labels.table import Table
from mstl_edge.data.labels.values import is_missing
from mstl_edge.errors import DataError


@dataclass(frozen=True)
class Wanted:
    """The names of columns that the user has told; empty: find out.

    `several`: an image may have several findings, of which classes are chosen afterwards.
    """

    image: str = ""
    label: str = ""
    patient: str = ""
    several: bool = False

    @property
    def columns(self) -> dict[str, str]:
        """The columns that were told, by what they hold."""
        told = {"image": self.image, "label": self.label, "patient": self.patient}
        return {role: name for role, name in told.items() if name}


@dataclass(frozen=True)
class Columns:
    """Columns by number; several `labels` are one column per class, with a 1 in one of them.

    `elsewhere`: file names alone tell the images apart, so that folders in cells need not be those on disk. `alone`: no other
    column could be one of labels.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    image: int
    labels: tuple[int, ...]
    patient: int | None
    split: int | None
    elsewhere: bool
    alone: bool
    notes: tuple[str, ...]


def find_columns(table: Table, index: ImageIndex, wanted: Wanted) -> Columns:
    """Tell the columns of a table apart by their cells first, and by their names where the cells leave a choice.

    Raises:
        DataError: No rows, a wanted column that is not there, or a choice that only the user can make.
    """
    header, rows, notes = _headed(table, index)
    where = table.path.name
    told = {role: _named(header, name, role, where) for role, name in wanted.columns.items()}
    image = told["image"] if "image" in told else find_image_column(header, rows, index, told, table.path)
    patient = told.get("patient", _public_patients(header))
    splits = find_split_columns(header, rows, {image, *told.values()}, where)
    left = [
        number
        for number in range(len(header))
        if number not in {image, patient, *splits.ignored} and not all(is_missing(row[number]) for row in rows)
    ]
    if "label" in told:
        labels: tuple[int, ...] = (told["label"],)
    else:
        labels = find_label_columns(header, rows, left, image, table.path, overlapping=wanted.several)
    notes.extend(splits.notes)
    if patient is not None and "patient" not in told:
        whose = "lesions, whose images stay together" if plain(header[patient]) == "lesionid" else "patients"
        notes.append(
            f"column {header[patient]!r} names the {whose}, as this table's columns tell; another one: --column NAME"
        )
    if patient is None:
        notes.extend(_patients_not_asked_for(header, {image, *labels}))
    others = [number for number in left if number not in labels]
    alone = not any(plain(header[number]) in LABEL_COLUMNS or is_binary(rows, number) for number in others)
    elsewhere = are_keys([row[image] for row in rows])
    return Columns(header, rows, image, labels, patient, splits.chosen, elsewhere, alone, tuple(notes))


def _headed(table: Table, index: ImageIndex) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...], list[str]]:
    """Return header, rows and a note; columns without a header are called by their number."""
    lines = table.lines
    if lines and _is_data(lines, index):
        header = tuple(str(number) for number in range(1, len(lines[0]) + 1))
        return (
            header,
            lines,
            [f"{table.path.name} has no header: its first line is read as a row, its columns are 1 to {len(header)}"],
        )
    if len(lines) < 2:
        raise DataError("a CSV file with a header and at least one row", received=f"{table.path} ({len(lines)} lines)")
    return lines[0], lines[1:], []


def _is_data(lines: Sequence[tuple[str, ...]], index: ImageIndex) -> bool:
    """Say whether the first line is a row: it names an image as the lines below it do."""
    known = IMAGE_COLUMNS | PATIENT_COLUMNS | LABEL_COLUMNS
    numbers = all(as_number(cell) is not None for cell in lines[0])
    for number, cell in enumerate(lines[0]):
        if not cell or plain(cell) in known or CALLED_SPLIT.fullmatch(plain(cell)):
            continue
        if is_image(cell):
            return True
        first = index.find(cell, elsewhere=True)
        below = [found.kind for line in lines[1:20] if (found := index.find(line[number], elsewhere=True))]
        if first is not None and below and first.kind == max(below, key=below.count):
            return first.kind is not Kind.NUMBER or numbers
    return False


def _named(header: Sequence[str], name: str, role: str, where: str) -> int:
    numbers = [number for number, column in enumerate(header) if column == name]
    numbers = numbers or [
        number for number, column in enumerate(header) if column.casefold() == name.strip().casefold()
    ]
    if len(numbers) != 1:
        what = "several columns of that name" if numbers else name
        raise DataError(
            f"{'an' if role == 'image' else 'a'} {role} column of {where} ({', '.join(header)})", received=what
        )
    return numbers[0]


def _public_patients(header: Sequence[str]) -> int | None:
    """Return the column of patients, or of lesions, in the tables of public sets, which are known by their columns."""
    names = [plain(name) for name in header]
    for patient, others in PUBLIC_TABLES.items():
        if patient in names and others <= set(names):
            return names.index(patient)
    return None


def _patients_not_asked_for(header: Sequence[str], taken: set[int]) -> list[str]:
    found = [name for number, name in enumerate(header) if number not in taken and plain(name) in PATIENT_COLUMNS]
    if not found:
        return []
    return [f"column {found[0]!r} may name the patients, who then stay together: --column {shlex.quote(found[0])}"]
