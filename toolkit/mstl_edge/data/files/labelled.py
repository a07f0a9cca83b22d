"""What a data source is, once it is listed: files with labels, and what was not taken; no pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mstl_edge.counted import counted
from mstl_edge.data.files.walk import LITTER, LeftOut, Unreadable

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

SPLIT_WORDS: dict[str, Split] = {
    "train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation",
    "dev": "validation", "test": "test", "testing": "test",
}  # fmt: skip
"""What folders and cells that declare a split say, in lower case."""


_LINES = 8


@dataclass(frozen=True)
class LabelledImage:
    """One file with its label; `name` is the path below the source's folder, with forward slashes.

    `patient` is None where nobody says who it is: such an image is of no group but its own. `frame`, counted from 0, is which
    picture of a file of several it is; its name ends in `#` and the frame counted from 1.
    """

    path: Path
    name: str
    label: str
    patient: str | None
    declared: Split | None
    frame: int | None = None


@dataclass(frozen=True)
class DataSource:
    """Every labelled file of a data set, sorted by name; files were not opened yet.

    `missing` lists labels whose image is absent, `unlabelled` images without a label, `unreadable` what cannot be reached,
    `left_out` what is not meant as an image (links that lead back, masks, folders without images). `notes` say what was chosen,
    `check` is the command that shows all of this.
    """

    source: str
    folder: Path
    labels: tuple[str, ...]
    images: tuple[LabelledImage, ...]
    missing: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    check: str = ""


def left_out_lines(left_out: Iterable[LeftOut]) -> list[str]:
    """Say in a line for each reason what was left out, but for what systems leave behind."""
    by_reason: dict[str, list[str]] = {}
    for entry in left_out:
        if entry.reason != LITTER:
            by_reason.setdefault(entry.reason, []).append(entry.name)
    lines = [
        f"left out: {counted(len(names), 'entry')} ({reason}): {some(names)}" for reason, names in by_reason.items()
    ]
    return (
        lines if len(lines) <= _LINES else [*lines[:_LINES], f"left out: more, for {len(lines) - _LINES} other reasons"]
    )


def sorted_source(source: str, folder: Path, images: Iterable[LabelledImage]) -> DataSource:
    """Return a source of these images, sorted by name, its labels in alphabetical order."""
    ordered = tuple(sorted(images, key=lambda image: image.name))
    return DataSource(source, folder, tuple(sorted({image.label for image in ordered})), ordered)


def some(names: Iterable[str], *, shown: int = 3) -> str:
    """Return the first names of a list, and whether there are more."""
    listed = list(names)
    return ", ".join(listed[:shown]) + (" …" if len(listed) > shown else "")
