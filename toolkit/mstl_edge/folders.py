"""Folders whose files change together: a reader, and a process killed at any moment, finds them as before or as after."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_STAGED, _REPLACED = "staged", "replaced"


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a folder that holds what `path` holds; on success the two change places, otherwise `path` stays as it is.

    Files are linked, not copied, so they must be replaced by others of their name and never be written into, as
    `storage.replacing` does.

    Args:
        path: The folder; it need not exist yet.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    settle(path)
    staged = path.with_name(f".{path.name}.{os.getpid()}.{_STAGED}")
    try:
        if path.is_dir():
            shutil.copytree(path, staged, copy_function=_link)
        else:
            staged.mkdir()
        yield staged
        _publish(staged, path)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def settle(path: Path) -> None:
    """Bring back what a process that was killed between two renames left aside, and remove what others left unfinished."""
    for aside in sorted(path.parent.glob(f".{path.name}.*.{_REPLACED}")):
        if path.exists():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.rename(path)
    for staged in path.parent.glob(f".{path.name}.*.{_STAGED}"):
        if not _alive(staged.name.split(".")[-2]):
            shutil.rmtree(staged, ignore_errors=True)


def _publish(staged: Path, path: Path) -> None:
    _flush(staged)
    if not path.exists():
        staged.rename(path)
    elif not _exchange(staged, path):
        # Not in one step on this file system: `settle` mends what a kill between the two leaves.
        aside = path.with_name(f".{path.name}.{os.getpid()}.{_REPLACED}")
        path.rename(aside)
        staged.rename(path)
        shutil.rmtree(aside, ignore_errors=True)
    _flush(path.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change places in one step (Linux's renameat2); return whether the system can."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP):
        return False
    raise OSError(code, os.strerror(code), str(other))


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copy2(source, target)
    return target


def _flush(folder: Path) -> None:
    with suppress(OSError):  # some network file systems cannot flush a folder
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
