"""Labelled images out of a table of labels and the files beside it."""

from __future__ import annotations

import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from mstl_edge.counted import counted
from mstl_edge.data.files.labelled import SPLIT_WORDS, DataSource, LabelledImage, Split, some, sorted_source
from mstl_edge.data.files.masks import find_masks
from mstl_edge.data.files.walk import LeftOut, is_image
from mstl_edge.data.labels.choosing import findings_of, together
from mstl_edge.data.labels.classes import as_number
from mstl_edge.data.labels.column_names import LABEL_COLUMNS, plain
from mstl_edge.data.labels.columns import Columns, Wanted, find_columns
from mstl_edge.data.labels.identifiers import with_files_of
from mstl_edge.data.labels.melted import unmelted
from mstl_edge.data.labels.names import ImageIndex
from mstl_edge.data.labels.table import read_table
from mstl_edge.data.labels.values import is_missing, read_values
from mstl_edge.errors import DataError, printable

_TEST = re.compile(r"(^|[^a-z])test(ing)?([^a-z]|$)")
_UNNAMED = "a slice that the table does not name"
_PROBED = 50
"""Lines and columns that are looked at before a table is read whole: sets come with tables of pixels, too."""


@dataclass(frozen=True)
class _Row:
    """What a row says: the image as it is written, its file (None: there is none), label, patient, split."""

    cell: str
    name: str | None
    label: str | None
    patient: str | None
    declared: Split | None


def images_of_table(source: str, path: Path, files: Sequence[str], wanted: Wanted) -> DataSource:
    """Return the images that a table of labels names, below its folder.

    Several rows of one image are one image where they agree. A row whose label is missing leaves its image unlabelled.

    Args:
        source: What the user calls the data set.
        path: The table.
        files: Names of the files below its folder.
        wanted: Columns that the user has told.

    Raises:
        DataError: No row names a file, a cell fits several, rows of one image disagree, or see `find_columns`.
    """
    masks = find_masks(files, None)
    index = ImageIndex(files, aside=masks)
    table, reshaped = unmelted(read_table(path), index)
    identified = with_files_of(table, files, index, wanted.image)
    columns = find_columns(identified.table, index, wanted)
    labels, notes = _labels(columns, path.name, several=wanted.several)
    rows = [_read(row, label, columns, index) for row, label in zip(columns.rows, labels, strict=True)]
    if all(row.name is None for row in rows):
        raise _no_file(rows, columns, path, [name for name in files if is_image(name)])
    images = _by_name(_with_all_findings(rows) if wanted.several else rows, path)
    named = {row.name for row in rows}
    found = sorted_source(source, path.parent, images.values())
    if not any(image.declared for image in found.images):
        found, said = _declared_by_folders(found)
        notes.extend(said)
    if columns.patient is not None:
        notes.extend(_without_patient(found.images, path.name))
    unlabelled = [name for name in files if is_image(name) and name not in images and name not in masks]
    kept_back = _kept_back(unlabelled, images)
    kept_back |= {name: LeftOut(name, _UNNAMED) for name in identified.unnamed if name not in images}
    left_out = {name: left for name, left in masks.items() if name not in named} | kept_back
    return replace(
        found,
        missing=tuple(sorted(row.cell or "(empty)" for row in rows if row.name is None)),
        unlabelled=tuple(sorted(printable(name) for name in unlabelled if name not in kept_back)),
        left_out=tuple(left for _, left in sorted(left_out.items())),
        notes=(*reshaped, *identified.notes, *columns.notes, *notes),
    )


def _kept_back(unlabelled: Sequence[str], images: Mapping[str, LabelledImage]) -> dict[str, LeftOut]:
    """Return the images of folders called test of which none has a label: challenges keep those labels to themselves."""
    labelled = {name.partition("/")[0] for name in images}
    return {
        name: LeftOut(printable(name), f"{folder}/ has no labels, as challenges keep those of their test sets")
        for name in unlabelled
        if (folder := name.partition("/")[0]) != name and folder not in labelled and _TEST.search(folder.casefold())
    }


def told_by_table(path: Path, files: Sequence[str], wanted: Wanted) -> dict[str, str]:
    """Return the labels that a table would give to the files it names, empty where it is no table of labels of these files."""
    index = ImageIndex(files, aside=find_masks(files, None))
    if names_files_indirectly(path, files, wanted):
        return {}
    try:
        first = read_table(path, at_most=_PROBED)
        if not any(index.find(cell, elsewhere=True) for line in first.lines for cell in line[:_PROBED]):
            return {}
        columns = find_columns(read_table(path), index, wanted)
        labels, _ = _labels(columns, path.name, several=wanted.several)
        rows = [_read(row, label, columns, index) for row, label in zip(columns.rows, labels, strict=True)]
    except DataError:
        return {}
    found = {row.name: row.label for row in rows if row.name is not None and row.label is not None}
    return found if wanted.label or _speaks_of_labels(columns) else {}


def names_files_indirectly(path: Path, files: Sequence[str], wanted: Wanted = Wanted()) -> bool:
    """Say whether a table surely is one of labels of these files, although no cell names a file; see `melted`, `identifiers`."""
    index = ImageIndex(files, aside=find_masks(files, None))
    try:
        first = read_table(path, at_most=_PROBED)
        if len(first.lines) < 2 or len(first.lines[0]) > _PROBED:
            return False
        return bool(unmelted(first, index, whole=False)[1]) or bool(
            with_files_of(first, files, index, wanted.image).notes
        )
    except DataError:
        return False


def _speaks_of_labels(columns: Columns) -> bool:
    """Say whether the label column is surely one, and not the age or the sex that happens to be the only column left."""
    if len(columns.labels) > 1:
        return True
    number = columns.labels[0]
    values = {row[number] for row in columns.rows if not is_missing(row[number])}
    return plain(columns.header[number]) in LABEL_COLUMNS or values <= {"0", "1", "0.0", "1.0"}


def _with_all_findings(rows: Sequence[_Row]) -> list[_Row]:
    """Return the rows, each with what all rows of its image name."""
    found: defaultdict[str | None, list[str]] = defaultdict(list)
    for row in rows:
        found[row.name] += findings_of(row.label or "")
    return [replace(row, label=together(found[row.name]) or None) for row in rows]


def _labels(columns: Columns, table: str, *, several: bool) -> tuple[list[str | None], list[str]]:
    """Return the label of each row; of several findings, where that is allowed, all."""
    header, rows = columns.header, columns.rows
    if len(columns.labels) > 1:
        names = [header[number] for number in columns.labels]
        hot = [
            [name for number, name in zip(columns.labels, names, strict=True) if row[number].startswith("1")]
            for row in rows
        ]
        none = sum(not one for one in hot)
        without = f"; {counted(none, 'row')} without a 1 left out" if none else ""
        note = f"{len(names)} columns of 0 and 1 in {table} are one class each: {some(names, shown=8)}{without}"
        return [together(one) if one else None for one in hot], [note]
    column = columns.labels[0]
    name, speaks = header[column], plain(header[column]) not in LABEL_COLUMNS and as_number(header[column]) is None
    # Where the table knows other findings, what lacks this one need not be normal.
    other = ("normal" if columns.alone and name.casefold() != "normal" else f"not {name}") if speaks else None
    meaning = read_values((row[column] for row in rows), name, table, without=other, several=several)
    return [meaning.labels[row[column]] for row in rows], list(meaning.notes)


def _read(row: Sequence[str], label: str | None, columns: Columns, index: ImageIndex) -> _Row:
    cell = row[columns.image]
    found = index.find(cell, elsewhere=columns.elsewhere)
    if found is not None and len(found.names) > 1:
        raise DataError(
            f"one image file for the label of {cell!r}",
            received=some(found.names),
            hint="Write the path from the CSV file's folder into the image column.",
        )
    patient = None if columns.patient is None or is_missing(row[columns.patient]) else row[columns.patient]
    declared = None if columns.split is None else SPLIT_WORDS.get(row[columns.split].casefold())
    return _Row(cell, None if found is None else found.names[0], label, patient, declared)


def _by_name(rows: Sequence[_Row], path: Path) -> dict[str, LabelledImage]:
    images: dict[str, LabelledImage] = {}
    for row in rows:
        if row.name is None or row.label is None:
            continue
        image = LabelledImage(path.parent / row.name, row.name, row.label, row.patient, row.declared)
        first = images.setdefault(row.name, image)
        if first == image:
            continue
        told = zip(_told(first), _told(image), strict=True)
        what = next(f"{one} and as {other}" for one, other in told if one != other)
        raise DataError(
            f"one label and one patient for each image in {path.name}",
            received=f"{row.name} as {what}",
            hint="Where an image shows several findings, choose one: a column of 0 and 1 for it, by --label-column NAME.",
        )
    return images


def _told(image: LabelledImage) -> tuple[str | None, ...]:
    return image.label, image.patient, image.declared


def _no_file(rows: Sequence[_Row], columns: Columns, path: Path, files: Sequence[str]) -> DataError:
    column = columns.header[columns.image]
    there = (
        f"{counted(len(files), 'image')} there, such as {printable(files[0])}" if files else "there is no image there"
    )
    return DataError(
        f"rows of {path.name} that name image files below {path.parent}",
        received=f"{counted(len(rows), 'row')}, none of which does; column {column!r} begins with {rows[0].cell!r}, and {there}",
        hint=f"Choose another column, --image-column NAME ({', '.join(shlex.quote(name) for name in columns.header[:8])}), "
        "or put the CSV beside its images.",
    )


def _declared_by_folders(found: DataSource) -> tuple[DataSource, list[str]]:
    """Return the images with the splits that their folders declare, where all lie in `train`, `val` or `test`."""
    splits = [_split_of(image.name) for image in found.images]
    if None in splits or len(set(splits)) < 2:
        return found, []
    images = tuple(replace(image, declared=split) for image, split in zip(found.images, splits, strict=True))
    return replace(found, images=images), [
        "the folders train, val and test declare which images train, validate and test"
    ]


def _split_of(name: str) -> Split | None:
    said = [SPLIT_WORDS[part.casefold()] for part in PurePosixPath(name).parts[:-1] if part.casefold() in SPLIT_WORDS]
    return said[0] if len(said) == 1 else None


def _without_patient(images: Sequence[LabelledImage], table: str) -> list[str]:
    unknown = Counter(image.patient is None for image in images)[True]
    if not unknown:
        return []
    return [
        f"{counted(unknown, 'image')} of {len(images):,} in {table} without a patient: each counts as a patient of its own"
    ]
