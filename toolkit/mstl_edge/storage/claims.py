"""Output folders that exactly one process fills."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from mstl_edge.storage.trouble import explained

CLAIM = "being-made.partial"
"""Lies in a folder while its first files are written."""


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Hold a new or empty folder alone while its first files are written; leave nothing of it where that fails.

    Of two processes that ask at the same moment, one gets it.

    Raises:
        FileExistsError: It holds something, is a file, or another process is filling it.
        MstlEdgeError: It cannot be made or written.
    """
    made = _made(path)
    claim = path / CLAIM
    try:
        os.close(os.open(claim, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError:
        raise
    except OSError as error:
        _remove(path, made)
        raise explained(error, path) from error
    with ExitStack() as undo:
        undo.callback(_remove, path, made)
        undo.callback(claim.unlink, missing_ok=True)
        if any(entry.name != CLAIM for entry in path.iterdir()):  # another process was here, and has finished
            raise FileExistsError(path)
        undo.callback(_empty, path)
        yield
        undo.pop_all()
    claim.unlink(missing_ok=True)


@contextmanager
def claim_numbered(path: Path) -> Iterator[Path]:
    """Hold `path`, or the first of `path-2`, `path-3` … that is free, as `claimed` does; yields which."""
    candidate, number = path, 2
    with ExitStack() as held:
        while True:
            try:
                if candidate.exists():
                    raise FileExistsError(candidate)
                held.enter_context(claimed(candidate))
                break
            except FileExistsError:
                candidate, number = path.with_name(f"{path.name}-{number}"), number + 1
        yield candidate


def _made(path: Path) -> bool:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explained(error, path) from error
    try:
        path.mkdir()
    except FileExistsError:
        if not path.is_dir():
            raise
        return False
    except OSError as error:
        raise explained(error, path) from error
    return True


def _empty(path: Path) -> None:
    for entry in list(path.iterdir()):
        if entry.name == CLAIM:
            continue
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            with suppress(OSError):
                entry.unlink()


def _remove(path: Path, made: bool) -> None:
    if made:
        with suppress(OSError):  # another process has put something there
            path.rmdir()
