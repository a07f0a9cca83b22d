"""The files that a person's words stand for: files themselves, whatever may be an image in folders, and matches of globs."""

from __future__ import annotations

import fnmatch
import glob
import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from mstl_edge.counted import counted
from mstl_edge.data.files.labelled import some
from mstl_edge.data.files.walk import EMPTY, IMAGE_SUFFIXES, LeftOut, Unreadable, kind_of, may_be_image, walk
from mstl_edge.errors import DataError, printable

_DOCUMENT = "no image by its name"


class PassedOver:
    """Counts what is passed over, by reason, and keeps the first names."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: dict[str, list[str]] = {}

    def add(self, name: str, reason: str) -> None:
        """Count one entry."""
        self._counts[reason] += 1
        first = self._first.setdefault(reason, [])
        if len(first) < 4:
            first.append(printable(name))

    def lines(self) -> list[str]:
        """Say for each reason how many, and the first names."""
        return [
            f"passed over: {counted(n, 'entry')}, {reason}: {some(self._first[reason])}"
            for reason, n in self._counts.items()
        ]


def chosen_files(named: Sequence[str], passed_over: PassedOver | None = None) -> Iterator[Path]:
    """Yield the files that `named` stands for, one at a time, so that memory stays constant however many there are.

    Of a folder, these are all files but documents, hidden ones and what links lead back to, and also the folders below it that
    cannot be looked into and links that lead nowhere: whoever opens them learns why, and can say so beside the other answers.

    Args:
        named: Files, folders, or globs (`**` crosses folders).
        passed_over: Told of what is not yielded.

    Raises:
        DataError: A folder or a glob without images.
    """
    for name in named:
        mode = _mode(name)
        told = PassedOver() if passed_over is None else passed_over
        if mode is not None and stat.S_ISDIR(mode):
            found, what = _below(Path(name), told), f"{printable(name)}, a folder without any"
        elif mode is None and glob.has_magic(name) and not os.path.lexists(name):
            found, what = _matches(name, told), f"{printable(name)}, which matches no file"
        else:
            # A missing file is reported where its answer would stand, beside the others' answers.
            yield Path(name)
            continue
        first = next(found, None)
        if first is None:
            more = "; ".join(["", *told.lines()])
            raise DataError(f"images ({', '.join(sorted(IMAGE_SUFFIXES))})", received=f"{what}{more}")
        yield first
        yield from found


def _mode(name: str) -> int | None:
    try:
        return os.stat(name).st_mode  # noqa: PTH116
    except (OSError, ValueError):
        return None


def _below(folder: Path, passed_over: PassedOver) -> Iterator[Path]:
    for entry in walk(folder):
        if isinstance(entry, Unreadable):
            yield Path(folder, entry.name.rstrip("/")) if entry.name != "/" else folder
        elif isinstance(entry, LeftOut):
            if entry.reason != EMPTY:
                passed_over.add(entry.name, entry.reason)
        elif may_be_image(entry):
            yield Path(folder, entry)
        else:
            passed_over.add(entry, _DOCUMENT)


def _matches(pattern: str, passed_over: PassedOver) -> Iterator[Path]:
    """Yield the files that a glob matches, sorted; `**` by a walk, since `glob` itself follows links without end."""
    if "**" in PurePosixPath(pattern).parts:
        yield from _matches_below(PurePosixPath(pattern))
        return
    # Not Path.glob, which takes no absolute pattern; sorted, as a shell would give it.
    for match in sorted(glob.iglob(pattern)):  # noqa: PTH207
        mode = _mode(match)
        if mode is None or stat.S_ISREG(mode):
            yield Path(match)
        elif not stat.S_ISDIR(mode):
            passed_over.add(match, f"{kind_of(mode)}, no file")


def _matches_below(pattern: PurePosixPath) -> Iterator[Path]:
    fixed = next(number for number, part in enumerate(pattern.parts) if glob.has_magic(part))
    root, wanted = Path(*pattern.parts[:fixed]), pattern.parts[fixed:]
    # Only what the glob means can be passed over; the other files were not asked for.
    for path in _below(root, PassedOver()):
        if _fits(path.relative_to(root).parts, wanted):
            yield path


def _fits(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    if not wanted or not parts:
        return not wanted and not parts
    if wanted[0] == "**":
        return len(wanted) == 1 or any(_fits(parts[number:], wanted[1:]) for number in range(len(parts)))
    return fnmatch.fnmatchcase(parts[0], wanted[0]) and _fits(parts[1:], wanted[1:])
