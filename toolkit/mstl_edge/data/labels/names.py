"""Finds the image file that a cell of a table speaks of."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import PurePosixPath

from mstl_edge.data.files.walk import IMAGE_SUFFIXES, is_image, may_be_image

_FOREIGN_SUFFIXES = IMAGE_SUFFIXES | {".nii", ".gz", ".jp2", ".npy"}
"""What a cell's suffix may be although the file has another: many sets are converted, and their tables are not."""
_WHOLE_FLOAT = re.compile(r"(\d+)\.0+")


class Kind(IntEnum):
    """By what a cell names a file; a greater one is surer."""

    NUMBER = 1
    STEM = 2
    NAME = 3


@dataclass(frozen=True)
class Found:
    """The files that a cell may mean (more than one: nobody can tell which), and by what it names them."""

    names: tuple[str, ...]
    kind: Kind


class ImageIndex:
    """Image files by name, stem and number (`7` → `007.png`).

    Case, the form of accents, and which slash parts folders do not count.

    Args:
        names: The files, by their names below the folder.
        aside: Those of them that are only meant where no other fits: masks.
    """

    def __init__(self, names: Iterable[str], aside: Iterable[str] = ()) -> None:
        self._groups: tuple[dict[tuple[Kind, str], list[str]], ...] = (defaultdict(list), defaultdict(list))
        put_aside = frozenset(aside)
        for name in names:
            if not may_be_image(name):
                continue
            group = self._groups[1 if name in put_aside or not is_image(name) else 0]
            parts = _parts(name)
            stem = PurePosixPath(parts[-1]).stem
            group[Kind.NAME, parts[-1]].append(name)
            if stem.isdecimal():
                group[Kind.NUMBER, _number(stem)].append(name)
            elif (
                stem != parts[-1] and not PurePosixPath(parts[-1]).suffix[1:].isdecimal()
            ):  # an identifier's last number is none
                group[Kind.STEM, stem].append(name)

    def find(self, cell: str, *, elsewhere: bool = False) -> Found | None:
        """Return what a cell may mean, the surest kind first, or None.

        Args:
            cell: A path (absolute, relative, or of Windows), a file name with this or another image suffix, a stem, or a number.
            elsewhere: Whether a file of that name counts although it lies in another folder than the cell says.
        """
        parts = _parts(cell)
        if not parts:
            return None
        for group in self._groups:
            for kind, key in _keys(parts[-1]):
                names = _fitting(group.get((kind, key), []), parts, elsewhere=elsewhere)
                if names:
                    return Found(_written_so(names, cell), kind)
        return None


def _keys(name: str) -> list[tuple[Kind, str]]:
    whole = _WHOLE_FLOAT.fullmatch(name)
    if name.isdecimal() or whole:
        return [(Kind.NUMBER, _number(whole[1] if whole else name))]
    path = PurePosixPath(name)
    keys = [(Kind.NAME, name), (Kind.STEM, name)]
    if path.suffix in _FOREIGN_SUFFIXES:
        stem = path.stem.removesuffix(".nii")
        keys.append((Kind.NUMBER, _number(stem)) if stem.isdecimal() else (Kind.STEM, stem))
    return keys


def _fitting(names: list[str], parts: tuple[str, ...], *, elsewhere: bool) -> tuple[str, ...]:
    """Return those of the names whose folders agree with a cell's, as far as both say one, and of them the ones that agree most."""
    agreeing: defaultdict[tuple[int, bool], list[str]] = defaultdict(list)
    for name in names:
        own = _parts(name)[:-1]
        shared = _shared_end(own, parts[:-1])
        if elsewhere or shared == min(len(own), len(parts) - 1):
            agreeing[shared, len(own) == len(parts) - 1 == shared].append(name)
    if not agreeing:
        return ()
    return tuple(agreeing[max(agreeing)])


def _written_so(names: tuple[str, ...], cell: str) -> tuple[str, ...]:
    """Return those of several names that are written exactly as the cell (`a.png` beside `A.png`, `1` beside `01`), or all."""
    if len(names) == 1:
        return names
    wanted = PurePosixPath(unicodedata.normalize("NFC", cell.strip()).replace("\\", "/"))
    exact = tuple(name for name in names if _same_end(PurePosixPath(unicodedata.normalize("NFC", name)), wanted))
    return exact or names


def _same_end(path: PurePosixPath, wanted: PurePosixPath) -> bool:
    return wanted.name in (path.name, path.stem)


def _shared_end(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    shared = 0
    while shared < min(len(one), len(other)) and one[-1 - shared] == other[-1 - shared]:
        shared += 1
    return shared


def _parts(text: str) -> tuple[str, ...]:
    plain = unicodedata.normalize("NFC", text.strip()).replace("\\", "/").casefold().removeprefix("file://")
    return tuple(part for part in plain.split("/") if part not in ("", "."))


def _number(digits: str) -> str:
    return digits.lstrip("0") or "0"


def key_of(cell: str) -> str:
    """Return the file name in a cell as the index compares it."""
    parts = _parts(cell)
    return parts[-1] if parts else ""
