"""A CSV of labels, matched to image files by path, name, stem or number."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mstl_edge.errors import DataError

ID_COLUMNS = (
    "id", "image", "image_id", "imageid", "image index", "filename", "file_name", "file", "path", "image_path", "name"
)  # fmt: skip
LABEL_COLUMNS = ("label", "labels", "class", "target", "diagnosis", "category", "y")


@dataclass(frozen=True)
class LabelRow:
    """One line of the CSV: what names the image, its label (may be empty), and its patient where a column says so."""

    image: str
    label: str
    patient: str | None


def read_labels(path: Path, *, patient_column: str = "") -> tuple[LabelRow, ...]:
    """Read a CSV with a header; commas, semicolons or tabs, with or without spaces after them.

    The image column is one of `ID_COLUMNS`, else the first; the label column is one of `LABEL_COLUMNS`, else the only one
    left. A column of 0 and 1 that is named after a finding (`hemorrhage`) gives the labels `hemorrhage` and `normal`.

    Raises:
        DataError: No UTF-8 text, no rows, or columns that cannot be told apart.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            first = handle.readline()
            handle.seek(0)
            delimiter = max(",;\t", key=first.count)
            lines = [[cell.strip() for cell in line] for line in csv.reader(handle, delimiter=delimiter) if any(line)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"a CSV file of labels ({error})", received=path) from error
    if len(lines) < 2:
        raise DataError("a CSV file with a header and at least one row", received=f"{path} ({len(lines)} lines)")
    header, rows = lines[0], lines[1:]
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise DataError(
                f"{len(header)} cells ({', '.join(header)}) in every row of {path.name}",
                received=f"{len(row)} cells in row {number}",
            )
    image, label, patient = _columns(header, patient_column, path)
    names = _label_names(header[label], {row[label] for row in rows})
    return tuple(
        LabelRow(row[image], names.get(row[label], row[label]), row[patient] if patient is not None else None)
        for row in rows
    )


def _columns(header: Sequence[str], patient_column: str, path: Path) -> tuple[int, int, int | None]:
    lowered = [name.lower() for name in header]
    patient = None
    if patient_column:
        if patient_column.lower() not in lowered:
            raise DataError(f"a patient column of {path.name} ({', '.join(header)})", received=patient_column)
        patient = lowered.index(patient_column.lower())
    image = next((lowered.index(name) for name in ID_COLUMNS if name in lowered), 0)
    named = [lowered.index(name) for name in LABEL_COLUMNS if name in lowered]
    left = [number for number in range(len(header)) if number not in (image, patient)]
    candidates = [number for number in named if number in left] or left
    if len(candidates) != 1:
        raise DataError(
            f"one label column in {path.name} beside the image column {header[image]!r}",
            received=", ".join(header),
            hint="Name the label column 'label', and the patient column with --column.",
        )
    return image, candidates[0], patient


def _label_names(column: str, values: set[str]) -> Mapping[str, str]:
    """Name the labels of a 0/1 column after its header, unless the header says nothing."""
    binary = {"0", "1", "0.0", "1.0"}
    if column.lower() in LABEL_COLUMNS or not values - {""} <= binary:
        return {}
    return {value: (column if value.startswith("1") else "normal") for value in values - {""}}


class ImageIndex:
    """Finds the image file that a CSV cell speaks of: by relative path, file name, stem, or number (`7` → `007.png`)."""

    def __init__(self, names: Sequence[str]) -> None:
        self._by: tuple[dict[str, list[str]], ...] = ({}, {}, {}, {})
        for name in names:
            path = Path(name)
            number = str(int(path.stem)) if path.stem.isdecimal() else None
            for table, key in zip(self._by, (name, path.name, path.stem, number), strict=True):
                if key is not None:
                    table.setdefault(key, []).append(name)

    def find(self, cell: str) -> str | None:
        """Return the name of the image, or None where there is none.

        Raises:
            DataError: Several files fit.
        """
        number = str(int(cell)) if cell.isdecimal() else cell
        for table, key in zip(self._by, (cell.removeprefix("./"), cell, cell, number), strict=True):
            found = table.get(key, [])
            if len(found) > 1:
                raise DataError(
                    f"one image file for the label of {cell!r}",
                    received=", ".join(found[:3]),
                    hint="Write the path from the CSV file's folder into the image column.",
                )
            if found:
                return found[0]
        return None
