"""The files below a folder, as file systems really are: links, loops, locked folders, devices, litter, names of any bytes.

The only walk of the project: `sources` lists data sets by it, and `mstl-edge predict` the folders it is given.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

DICOM_SUFFIXES = frozenset((".dcm", ".dicom", ".ima"))
IMAGE_SUFFIXES = DICOM_SUFFIXES | frozenset(
    (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".tif", ".tiff", ".gif", ".webp", ".pgm", ".ppm", ".pbm", ".pnm")
)  # fmt: skip
DOCUMENT_SUFFIXES = frozenset((
    ".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".md", ".rst", ".pdf", ".html", ".htm", ".yaml", ".yml", ".toml", ".ini",
    ".cfg", ".log", ".doc", ".docx", ".xls", ".xlsx", ".ods", ".odt", ".rtf", ".py", ".ipynb", ".sh", ".bat", ".zip", ".tar",
    ".tgz", ".7z", ".rar", ".url", ".lnk", ".bib", ".md5", ".sha256", ".tflite",
))  # fmt: skip
"""What nobody would take for an image; a DICOM file often has no suffix, or the last number of its identifier."""

_DOCUMENTS = frozenset(("readme", "license", "licence", "changelog", "notice", "citation", "dicomdir"))
_LITTER = frozenset((
    "__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "system volume information", "$recycle.bin", "recycler", "@eadir",
    "#recycle", "#snapshot", "lost+found", "__pycache__", "network trash folder", "temporary items", "icon\r",
))  # fmt: skip
"""What operating systems, archives and network drives leave behind, and notebooks by names that begin with a dot."""

LITTER = "hidden, or left behind by a system"
EMPTY = "an empty folder"
_OF_THE_SYSTEM = "of the operating system, no file on a disk"

_KINDS = {
    stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}  # fmt: skip
_KERNEL = ("/proc", "/sys")
_DISK = ("/",)
_DEVICES = ("/dev",)

Identity = tuple[int, int]
"""Device and inode: what a file or folder is, by whatever name it is reached."""


@dataclass(frozen=True)
class Unreadable:
    """A file that gives no image, and why; a name that ends in `/` is a folder that cannot be looked into."""

    name: str
    reason: str


@dataclass(frozen=True)
class LeftOut:
    """Something that is not meant as an image of the set, and why; a name that ends in `/` is a folder."""

    name: str
    reason: str


def walk(root: Path) -> Iterator[str | Unreadable | LeftOut]:
    """Yield the regular files below a folder, and whatever else lies there with the reason why it is none.

    Each folder is read once: folders under their own names first, linked ones after them, and a link to what was read already, or
    to a folder above `root`, is left out. So the walk ends, however links lie. Memory grows with the folders, not with the files.

    Returns:
        Names below `root` with forward slashes, sorted within each folder, its files before its subfolders.
    """
    base = os.fspath(root)
    visited = _above(root)
    systems = _system_devices(root)
    folders, links = [""], list[str]()
    while folders or links:
        linked = not folders
        name = links.pop(0) if linked else folders.pop()
        try:
            identity = _identity(os.path.join(base, name))  # noqa: PTH118  # four times as fast as a Path
            # Some network drives number nothing: there, only a link can have been met before.
            if name and identity in visited and (linked or identity[1]):
                yield LeftOut(f"{name}/", f"leads to {visited[identity]}, which was read already")
                continue
            if identity[0] in systems:
                yield LeftOut(f"{name}/" if name else "./", _OF_THE_SYSTEM)
                continue
            visited[identity] = f"{name}/" if name else "the folder itself"
            with os.scandir(os.path.join(base, name)) as scanned:  # noqa: PTH118
                entries = sorted(scanned, key=lambda entry: entry.name)
        except OSError as error:
            yield Unreadable(f"{name}/", error.strerror or str(error))
            continue
        below: list[str] = []
        yield from _looked_at(entries, f"{name}/" if name else "", systems, below, links)
        folders.extend(reversed(below))


def _looked_at(
    entries: list[os.DirEntry[str]], prefix: str, systems: set[int], folders: list[str], links: list[str]
) -> Iterator[str | Unreadable | LeftOut]:
    """Yield what lies in one folder, and append its subfolders to `folders`, linked ones to `links`."""
    kept = False
    for entry in entries:
        name = prefix + entry.name
        if is_litter(entry.name):
            yield LeftOut(name, LITTER)
            continue
        kept = True
        try:
            if entry.is_file(follow_symlinks=False):
                yield name
            elif entry.is_dir(follow_symlinks=False):
                folders.append(name)
            else:
                status = entry.stat()
                if stat.S_ISDIR(status.st_mode):
                    links.append(name)
                elif not stat.S_ISREG(status.st_mode):
                    yield LeftOut(name, f"{kind_of(status.st_mode)}, no file")
                elif status.st_dev in systems:
                    yield LeftOut(name, _OF_THE_SYSTEM)
                else:
                    yield name
        except FileNotFoundError:
            yield Unreadable(name, "a link to a file that is not there")
        except OSError as error:
            yield Unreadable(name, error.strerror or str(error))
    if not kept:
        yield LeftOut(prefix or "./", EMPTY)


def _identity(path: str) -> Identity:
    status = os.stat(path)  # noqa: PTH116
    return status.st_dev, status.st_ino


def _above(root: Path) -> dict[Identity, str]:
    """Return the folders that `root` lies in, which no link below it may lead back to."""
    found: dict[Identity, str] = {}
    for folder in Path(os.path.realpath(root)).parents:
        try:
            found[_identity(os.fspath(folder))] = os.fspath(folder)
        except OSError:  # a folder above need not be readable
            continue
    return found


def _system_devices(root: Path) -> set[int]:
    """Return the devices of files that the kernel makes up, without a size and some of them without an end.

    Nothing is read from `/proc` and `/sys`, unless they are plain folders of the disk, as in a root without mounts; from `/dev`,
    which may hold real files, where `root` lies there.
    """
    pseudo, devices, disk, disks = (
        {one[0] for path in paths if (one := _found(path))} for paths in (_KERNEL, _DEVICES, _DISK, (*_DISK, root))
    )
    return (pseudo - disk) | (devices - disks)


def _found(path: str | Path) -> Identity | None:
    try:
        return _identity(os.fspath(path))
    except OSError:
        return None


def kind_of(mode: int) -> str:
    """Say in words what a file mode stands for."""
    return _KINDS.get(stat.S_IFMT(mode), "a file" if stat.S_ISREG(mode) else "something else")


def is_litter(name: str) -> bool:
    """Say whether a system, an archive or an editor has left a file or folder of this name."""
    return name.startswith(".") or name.lower() in _LITTER


def is_image(name: str) -> bool:
    """Say whether a file name ends as images do."""
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def may_be_image(name: str) -> bool:
    """Say whether a file may hold an image: whatever is not surely a document."""
    path = PurePosixPath(name)
    return path.suffix.lower() not in DOCUMENT_SUFFIXES and path.stem.lower() not in _DOCUMENTS
