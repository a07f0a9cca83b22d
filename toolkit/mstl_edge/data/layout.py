"""How the files below a folder are laid out: a folder per class, train/ val/ test/ with classes inside, or a table of labels."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from mstl_edge.counted import counted
from mstl_edge.data.files.labelled import SPLIT_WORDS, DataSource, LabelledImage, Split, some, sorted_source
from mstl_edge.data.files.masks import find_masks
from mstl_edge.data.files.walk import LeftOut, Unreadable, is_image, may_be_image, walk
from mstl_edge.data.labels.columns import Wanted
from mstl_edge.data.labels.rows import images_of_table, names_files_indirectly, told_by_table
from mstl_edge.data.labels.table import is_table
from mstl_edge.errors import DataError, printable

LAYOUTS = (
    "Lay the images out as one folder per class, as train/ val/ test/ with classes inside, or beside a CSV of labels."
)
_PART = re.compile(r"(.*[ _-])?(parts?|images?|imgs?|batch|chunk|archive|volume)[ _-]*\d+", re.IGNORECASE)
"""How the folders of a download in several parts are called."""
_DEALT = re.compile(r"(.*[^a-z])?(train|test)(ing)?([^a-z].*)?", re.IGNORECASE)
"""How those of a challenge are."""

NOT_UTF8 = "a name that is not UTF-8"


@dataclass(frozen=True)
class Listing:
    """Everything below a folder; `files` by their names below it, with forward slashes."""

    folder: Path
    files: tuple[str, ...]
    unreadable: tuple[Unreadable, ...]
    left_out: tuple[LeftOut, ...]


def list_files(folder: Path) -> Listing:
    """Walk a folder once; a file whose name is no UTF-8 counts as unreadable, since nothing could be said or stored about it."""
    files: list[str] = []
    unreadable: list[Unreadable] = []
    left_out: list[LeftOut] = []
    for entry in walk(folder):
        if isinstance(entry, str):
            if _is_utf8(entry):
                files.append(entry)
            else:
                unreadable.append(Unreadable(entry, NOT_UTF8))
        elif isinstance(entry, Unreadable):
            unreadable.append(entry)
        else:
            left_out.append(entry)
    return Listing(folder, tuple(files), tuple(unreadable), tuple(left_out))


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def from_listing(source: str, listing: Listing, wanted: Wanted) -> DataSource:
    """Return the labelled images of a folder, by whichever layout it has.

    Raises:
        DataError: No layout fits, or two of them do and contradict each other.
    """
    listing = unwrapped(listing)
    classes = {_top(name) for name in listing.files if "/" in name}
    splits = {name: SPLIT_WORDS[name.casefold()] for name in classes if name.casefold() in SPLIT_WORDS}
    tables = sorted(name for name in listing.files if "/" not in name and is_table(name))
    asked = bool(wanted.columns)
    declared = len(set(splits.values())) > 1
    flat = declared and not any(name.count("/") > 1 for name in listing.files if _top(name) in splits)
    if declared and not (tables and (asked or flat)):
        found = _of_classes(source, listing, splits)
    elif tables and (
        asked
        or flat
        or len(classes) < 2
        or any(_is_labels(table) or names_files_indirectly(listing.folder / table, listing.files) for table in tables)
    ):
        return from_table(source, listing.folder / _only_table(listing, tables, wanted), listing, wanted)
    elif len(classes) < 2 and any(is_image(name) for name in listing.files if "/" not in name):
        raise DataError(
            "labels for the images", received=f"images directly in {listing.folder} and no CSV", hint=LAYOUTS
        )
    else:
        found = _of_classes(source, listing, {})
    if wanted.patient:
        raise DataError(
            "a CSV of labels with the patient column", received=f"{wanted.patient!r} for folders of classes",
            hint="Name patients by a regular expression over the file name instead.",
        )  # fmt: skip
    if asked:
        raise DataError(
            "a CSV of labels for the columns that are told", received=f"folders of classes in {listing.folder}"
        )
    return _unless_a_table_contradicts(found, listing, tables)


def from_table(source: str, table: Path, listing: Listing, wanted: Wanted) -> DataSource:
    """Return the images that a table names, with what the walk of its folder met."""
    found = images_of_table(source, table, listing.files, wanted)
    return replace(
        found,
        unreadable=_printable(listing.unreadable),
        left_out=_sorted((*found.left_out, *listing.left_out)),
    )


def _of_classes(source: str, listing: Listing, splits: dict[str, Split]) -> DataSource:
    """List every file in class folders, foreign ones too: the scan reports what is no image instead of dropping it."""
    depth = 1 if splits else 0
    masks = find_masks(listing.files, depth)
    images, aside, loose = [], list(masks.values()), []
    for name in listing.files:
        parts = name.split("/")
        if name in masks:
            continue
        if splits and parts[0] not in splits:
            if is_image(name):
                aside.append(LeftOut(name, "beside the folders that declare train, val and test"))
        elif len(parts) < depth + 2:
            if is_image(name):
                loose.append(name)
        else:
            images.append(LabelledImage(listing.folder / name, name, parts[depth], None, splits.get(parts[0])))
    images, empty = _without_documents(images)
    found = sorted_source(source, listing.folder, images)
    _refuse_lost_classes(found, listing, depth)
    return replace(
        found,
        unlabelled=tuple(sorted(loose)),
        unreadable=_printable(listing.unreadable),
        left_out=_sorted((*aside, *empty, *listing.left_out)),
    )


def _without_documents(images: Iterable[LabelledImage]) -> tuple[list[LabelledImage], list[LeftOut]]:
    """Part off the classes none of whose files may be an image: a folder of notes is no class."""
    by_label: defaultdict[str, list[LabelledImage]] = defaultdict(list)
    for image in images:
        by_label[image.label].append(image)
    kept, empty = [], []
    for label, own in by_label.items():
        if any(may_be_image(image.name) for image in own):
            kept.extend(own)
        else:
            reason = (
                f"a folder without an image ({counted(len(own), 'file')}, such as {PurePosixPath(own[0].name).name})"
            )
            empty.append(LeftOut(f"{label}/", reason))
    return kept, empty


def _refuse_lost_classes(found: DataSource, listing: Listing, depth: int) -> None:
    """Refuse a class of which nothing can be reached: without it, the set would silently be another one."""
    lost: defaultdict[str, list[Unreadable]] = defaultdict(list)
    for entry in listing.unreadable:
        parts = entry.name.split("/")
        if len(parts) > depth + 1 and parts[0] != "..":
            lost[parts[depth]].append(entry)
    for label, entries in lost.items():
        if label not in found.labels:
            raise DataError(
                f"files of class {printable(label)} that can be used",
                received=f"none; {printable(entries[0].name)}: {entries[0].reason}",
                hint=unreachable_hint(entries, listing.folder),
            )


def unreachable_hint(entries: Sequence[Unreadable], folder: Path) -> str:
    """Return what to type about files that cannot be used."""
    quoted = shlex.quote(str(folder))
    if any(entry.reason == NOT_UTF8 for entry in entries):
        return f"Rename them, for example: convmv -r -f cp1252 -t utf8 --notest {quoted}"
    if any(entry.name.endswith("/") for entry in entries):
        return f"Give yourself the right to read them, for example: chmod -R u+rX {quoted}"
    return "Bring them back, or take that folder out of the data set."


def _unless_a_table_contradicts(found: DataSource, listing: Listing, tables: Sequence[str]) -> DataSource:
    """Refuse folders whose files a table beside them labels otherwise, or take the table where they are parts of a download."""
    contradicting = {}
    for table in tables:
        told = told_by_table(listing.folder / table, listing.files, Wanted())
        groups = {(told[image.name], image.label) for image in found.images if image.name in told}
        agrees = len({label for label, _ in groups}) == len({folder for _, folder in groups}) == len(groups)
        if told and not agrees:
            contradicting[table] = len(told)
    if not contradicting:
        notes = (f"{table} is not used: the folders are the classes" for table in tables)
        return replace(found, notes=(*found.notes, *notes))
    table, names = next(iter(contradicting.items()))
    folders = some(found.labels, shown=5)
    if len(contradicting) == 1 and all(_PART.fullmatch(label) or _DEALT.fullmatch(label) for label in found.labels):
        labelled = from_table(found.source, listing.folder / table, listing, Wanted())
        note = f"the labels are those of {table}; the folders {folders} are parts of one set"
        return replace(labelled, notes=(note, *labelled.notes))
    raise DataError(
        "one origin of labels",
        received=f"{table}, which names {counted(names, 'image')}, and the folders {folders}, which are not its labels",
        hint=f"For its labels, name the table: {shlex.quote(str(listing.folder / table))}; for the folders', move it away.",
    )


def _only_table(listing: Listing, tables: Sequence[str], wanted: Wanted) -> str:
    named: Sequence[str] = [table for table in tables if _is_labels(table)]
    named = named or [one for one in tables if names_files_indirectly(listing.folder / one, listing.files)] or tables
    if len(named) > 1:
        labelling = [table for table in named if told_by_table(listing.folder / table, listing.files, wanted)]
        named = labelling if len(labelling) == 1 else named
    if len(named) > 1:
        raise DataError(
            "one CSV of labels in the folder",
            received=some(named, shown=8),
            hint=f"Give the path of the CSV file itself, such as {shlex.quote(str(listing.folder / named[0]))}.",
        )
    return named[0]


def _is_labels(name: str) -> bool:
    return PurePosixPath(name).stem.lower() in ("labels", "label")


def unwrapped(listing: Listing) -> Listing:
    """Step into folders that hold nothing but one more folder, as archives often do, but not into a lone class.

    A folder of masks that mirrors the one of the pictures (`images/cat/1.png`, `masks/cat/1.png`) is no second folder.
    """
    while True:
        tops = {_top(name) for name in listing.files}
        masks = find_masks(listing.files, 0) if len(tops) > 1 else {}
        tops = {_top(name) for name in listing.files if name not in masks}
        inner = f"{next(iter(tops), '')}/"
        if len(tops) != 1 or not any(name.startswith(inner) and name.count("/") > 1 for name in listing.files):
            return listing
        left_out = (*listing.left_out, *masks.values())
        listing = _below(replace(listing, left_out=left_out), inner)


def _below(listing: Listing, inner: str) -> Listing:
    """Return a listing of the folder `inner` (`name/`) alone; what could not be read elsewhere stays named, by `../`."""

    def renamed(name: str) -> str:
        return name.removeprefix(inner) if name.startswith(inner) else f"../{name}"

    return Listing(
        listing.folder / inner,
        tuple(name.removeprefix(inner) for name in listing.files if name.startswith(inner)),
        tuple(replace(entry, name=renamed(entry.name)) for entry in listing.unreadable),
        tuple(replace(entry, name=renamed(entry.name)) for entry in listing.left_out),
    )


def _printable(entries: Iterable[Unreadable]) -> tuple[Unreadable, ...]:
    return tuple(
        sorted((replace(entry, name=printable(entry.name)) for entry in entries), key=lambda entry: entry.name)
    )


def _sorted(entries: Iterable[LeftOut]) -> tuple[LeftOut, ...]:
    told = (replace(entry, name=printable(entry.name), reason=printable(entry.reason)) for entry in entries)
    return tuple(sorted(told, key=lambda entry: entry.name))


def _top(name: str) -> str:
    return name.partition("/")[0]
