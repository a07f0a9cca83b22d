"""Segmentation masks that lie beside the pictures they belong to, told by the names of folders and files."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from mstl_edge.data.files.walk import LeftOut

_WORDS = r"(masks?|annotations?|annotated|segmentations?|segs?|ground[ _-]?truths?|gts?)"
_FOLDER = re.compile(rf"(.*[ _-])?{_WORDS}([ _-]?\d+)?", re.IGNORECASE)
_FOLDER_ALONE = re.compile(_WORDS, re.IGNORECASE)
_STEM = re.compile(rf"(?P<picture>.+?)[ _-]*(?<![A-Za-z])({_WORDS}|labels?)([ _-]?\d+)?", re.IGNORECASE)
_IN_FOLDER = "in a folder of masks beside the pictures"
_ANY = re.compile(rf"{_WORDS}|label", re.IGNORECASE)

Paths = Mapping[str, PurePosixPath]


def find_masks(files: Iterable[str], depth: int | None) -> dict[str, LeftOut]:
    """Return the files that are masks of others, by name.

    `a_mask.png` is one where `a.png` (or `a.jpg`) lies in the same class. So are the files of a folder `masks` inside a class that
    has pictures elsewhere, and of one at the level of the classes whose files are named as theirs. What has no partner is taken as
    a picture: there are classes that are called mask.

    Args:
        files: Names below the data set's folder.
        depth: How many folders lie above those of the classes (1 where `train/` does); None where folders are no classes.
    """
    names = list(files)
    if not any(map(_ANY.search, names)):
        return {}
    paths = {name: PurePosixPath(name) for name in names}
    found = _beside_a_picture(paths, depth)
    rest = {name: path for name, path in paths.items() if name not in found}
    found |= _in_folders_of_a_class(rest, depth)
    if depth is not None:
        rest = {name: path for name, path in rest.items() if name not in found}
        found |= _in_a_folder_beside_classes(rest, depth)
    return found


def _beside_a_picture(paths: Paths, depth: int | None) -> dict[str, LeftOut]:
    pictures: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
    for path in paths.values():
        pictures[_class(path, depth)].add(path.stem.casefold())
    found = {}
    for name, path in paths.items():
        picture = _picture_of(path)
        if picture != path.stem.casefold() and picture in pictures[_class(path, depth)]:
            found[name] = LeftOut(name, "a mask beside its picture")
    return found


def _in_folders_of_a_class(paths: Paths, depth: int | None) -> dict[str, LeftOut]:
    inside: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    with_pictures = set()
    for name, path in paths.items():
        own = _class(path, depth)
        if any(_FOLDER.fullmatch(part) for part in path.parts[len(own) : -1]):
            inside[own].append(name)
        else:
            with_pictures.add(own)
    return {name: LeftOut(name, _IN_FOLDER) for own, names in inside.items() if own in with_pictures for name in names}


def _in_a_folder_beside_classes(paths: Paths, depth: int) -> dict[str, LeftOut]:
    by_class: defaultdict[tuple[str, ...], list[PurePosixPath]] = defaultdict(list)
    for path in paths.values():
        if len(path.parts) > depth + 1:
            by_class[_class(path, depth)].append(path)
    found = {}
    for own, masks in by_class.items():
        others = [(other, names) for other, names in by_class.items() if other[:-1] == own[:-1] and other != own]
        if not _FOLDER_ALONE.fullmatch(own[-1]) or not others:
            continue
        # With folders of its own (images/cat/1.png and masks/cat/1.png) it mirrors the set; flat, it must leave two classes.
        below = {(path.parts[depth + 1 : -1], path.stem.casefold()) for _, names in others for path in names}
        nested = all(len(path.parts) > depth + 2 for path in masks)
        partners = sum((path.parts[depth + 1 : -1], _picture_of(path)) in below for path in masks)
        if 2 * partners >= len(masks) and (nested or len(others) > 1):
            found.update({path.as_posix(): LeftOut(path.as_posix(), _IN_FOLDER) for path in masks})
    return found


def _picture_of(path: PurePosixPath) -> str:
    """Return the stem of the picture that a mask's name speaks of, or its own."""
    match = _STEM.fullmatch(path.stem)
    picture = match["picture"].rstrip(" _-") if match else ""
    return (picture or path.stem).casefold()


def _class(path: PurePosixPath, depth: int | None) -> tuple[str, ...]:
    """Return the folders down to the class that a file lies in."""
    folders: Sequence[str] = path.parts[:-1]
    return () if depth is None else tuple(folders[: depth + 1])
