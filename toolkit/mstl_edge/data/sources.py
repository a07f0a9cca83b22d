"""Where labelled images come from: folders, a CSV, Kaggle, the drawn phantoms. Names and labels only, no pixels."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl

from mstl_edge.data.kaggle import kaggle_folder
from mstl_edge.data.labels_csv import ImageIndex, read_labels
from mstl_edge.errors import DataError
from mstl_edge.storage import expanded

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

IMAGE_SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".pgm", ".ppm")
)
PHANTOM_PATIENT = r"^(p\d+)_"
_SPLIT_FOLDERS: dict[str, Split] = {
    "train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
_LITTER = frozenset(("__macosx", "thumbs.db", "desktop.ini"))
_LAYOUTS = (
    "Lay the images out as one folder per class, as train/ val/ test/ with classes inside, or beside a CSV of labels."
)


@dataclass(frozen=True)
class LabelledImage:
    """One file with its label; `name` is the path below the source's folder, with forward slashes."""

    path: Path
    name: str
    label: str
    patient: str | None
    declared: Split | None


@dataclass(frozen=True)
class DataSource:
    """Every labelled file of a data set, sorted by name; files were not opened yet.

    `missing` lists labels whose image is absent, `unlabelled` images without a label.
    """

    source: str
    folder: Path
    labels: tuple[str, ...]
    images: tuple[LabelledImage, ...]
    missing: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()


def open_source(source: str, *, patient: str = "", column: str = "", seed: int = 0) -> DataSource:
    """List the labelled images of a data source.

    Args:
        source: A folder (one folder per class; `train/ val/ test/` with classes inside; or images beside a CSV), a CSV file,
            `kaggle:owner/name`, or `phantom:chest` / `phantom:head-ct` (with `?count=300&seed=4` if wanted).
        patient: Regular expression over the file name; its first group, or the whole match, is the patient.
        column: Column of the CSV that names the patient.
        seed: Draws the phantoms.

    Raises:
        DataError: Nothing there, no images, fewer than two classes, or labels and patients that do not fit the files.
        MissingExtraError: `kaggle:` without kagglehub.
    """
    kind, _, rest = source.partition(":")
    if kind == "phantom":
        folder, patient = _phantom(rest, seed), patient or PHANTOM_PATIENT
    elif kind == "kaggle":
        folder = kaggle_folder(rest)
    else:
        folder = expanded(source)
    found = _open_path(source, folder, column)
    if not found.images:
        raise DataError("images with labels", received=f"none in {source}", hint=_LAYOUTS)
    if len(found.labels) < 2:
        raise DataError("at least two classes", received=f"only {', '.join(found.labels)} in {source}", hint=_LAYOUTS)
    return _with_patients(found, patient) if patient else found


def _phantom(rest: str, seed: int) -> Path:
    from mstl_edge.data.phantom import phantom_folder  # drawing is only imported where something is drawn

    kind, _, query = rest.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := set(options) - {"count", "seed"} or {k for k, value in options.items() if not value.isdecimal()}:
        raise DataError(
            "count and seed as whole numbers behind the phantom's name",
            received=f"phantom:{rest} ({', '.join(sorted(unknown))})",
            hint="For example phantom:head-ct?count=300&seed=4.",
        )
    count = int(options["count"]) if "count" in options else None
    folder: Path = phantom_folder(kind, seed=int(options.get("seed", seed)), count=count)
    return folder


def _open_path(source: str, path: Path, column: str) -> DataSource:
    if not path.exists():
        raise DataError(
            "a data source that exists (a folder, a CSV file, kaggle:owner/name, phantom:chest or phantom:head-ct)",
            received=source,
            hint="Check the path, or try phantom:head-ct; a stage takes it as --data STAGE=PATH.",
        )
    if path.is_file():
        if path.suffix.lower() not in (".csv", ".tsv"):
            raise DataError("a folder or a CSV file", received=path, hint=_LAYOUTS)
        return _from_csv(source, path, column)
    folder = _unwrapped(path)
    declared: dict[Path, Split | None] = {
        sub: _SPLIT_FOLDERS[sub.name.lower()] for sub in _subfolders(folder) if sub.name.lower() in _SPLIT_FOLDERS
    }
    classes = [sub for sub in _subfolders(folder) if any(_files(sub))]
    tables = [entry for entry in _entries(folder) if entry.suffix.lower() in (".csv", ".tsv")]
    if len(set(declared.values())) > 1:
        found = _from_classes(source, folder, declared)
    elif tables and (column or len(classes) < 2 or any(_is_labels(table) for table in tables)):
        return _from_csv(source, _only_table(tables), column)
    elif len(classes) < 2 and any(_is_image(entry) for entry in _entries(folder)):
        raise DataError("labels for the images", received=f"images directly in {folder} and no CSV", hint=_LAYOUTS)
    else:
        found = _from_classes(source, folder, {folder: None})
    if column:
        raise DataError(
            "a CSV of labels with the patient column", received=f"{column!r} for folders of classes",
            hint="Name patients by a regular expression over the file name instead.",
        )  # fmt: skip
    return found


def _from_classes(source: str, folder: Path, parts: dict[Path, Split | None]) -> DataSource:
    """List every file in class folders, foreign ones too: the scan reports what is no image instead of dropping it."""
    images = [
        LabelledImage(file, file.relative_to(folder).as_posix(), sub.name, None, split)
        for part, split in parts.items()
        for sub in _subfolders(part)
        for file in _files(sub)
    ]
    return _sorted(source, folder, images)


def _from_csv(source: str, table: Path, column: str) -> DataSource:
    folder = table.parent
    names = {file.relative_to(folder).as_posix(): file for file in _files(folder) if _is_image(file)}
    index = ImageIndex(sorted(names))
    images: dict[str, LabelledImage] = {}
    missing: list[str] = []
    for row in read_labels(table, patient_column=column):
        name = index.find(row.image)
        if name is None:
            missing.append(row.image)
        elif row.label:
            image = LabelledImage(names[name], name, row.label, row.patient, None)
            if images.setdefault(name, image) != image:
                raise DataError(
                    f"one label and one patient for each image in {table.name}",
                    received=f"{name} as {images[name].label} and as {row.label}",
                )
    unlabelled = tuple(sorted(names.keys() - images.keys()))
    return replace(_sorted(source, folder, images.values()), missing=tuple(sorted(missing)), unlabelled=unlabelled)


def _sorted(source: str, folder: Path, images: Iterable[LabelledImage]) -> DataSource:
    ordered = tuple(sorted(images, key=lambda image: image.name))
    return DataSource(source, folder, tuple(sorted({image.label for image in ordered})), ordered)


def _with_patients(source: DataSource, expression: str) -> DataSource:
    try:
        pattern = re.compile(expression)
    except re.error as error:
        raise DataError(f"a regular expression for patients ({error})", received=expression) from error
    matches = [pattern.search(image.path.name) for image in source.images]
    strangers = [image.name for image, match in zip(source.images, matches, strict=True) if match is None]
    if strangers:
        raise DataError(
            "a patient expression that matches every file name",
            received=f"{expression!r}, which misses {len(strangers)} of {len(matches)}, such as {strangers[0]}",
            hint="Its first group is the patient, as in '^(p[0-9]+)_'.",
        )
    images = tuple(
        replace(image, patient=(match.group(1) if pattern.groups else match.group()) or "")
        for image, match in zip(source.images, matches, strict=True)
        if match is not None
    )
    return replace(source, images=images)


def _only_table(tables: list[Path]) -> Path:
    named = [table for table in tables if _is_labels(table)] or tables
    if len(named) > 1:
        raise DataError(
            "one CSV of labels in the folder",
            received=", ".join(table.name for table in named),
            hint="Give the path of the CSV file itself.",
        )
    return named[0]


def _unwrapped(folder: Path) -> Path:
    """Step into folders that hold nothing but one more folder, as archives often do, but not into a lone class."""
    entries = _entries(folder)
    while len(entries) == 1 and entries[0].is_dir() and any(entry.is_dir() for entry in _entries(entries[0])):
        folder = entries[0]
        entries = _entries(folder)
    return folder


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if not _is_litter(entry))
    except OSError as error:
        raise DataError(f"a folder that can be read ({error.strerror})", received=folder) from error


def _subfolders(folder: Path) -> list[Path]:
    return [entry for entry in _entries(folder) if entry.is_dir()]


def _files(folder: Path) -> list[Path]:
    return [file for entry in _entries(folder) for file in (_files(entry) if entry.is_dir() else [entry])]


def _is_labels(path: Path) -> bool:
    return path.stem.lower() in ("labels", "label")


def _is_litter(path: Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in _LITTER


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES
