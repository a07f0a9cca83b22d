"""The folder that a run or a study writes to: new, and of one process alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mstl_edge.errors import RunError, typed
from mstl_edge.storage import CLAIM, alone_in, claim_numbered, claimed, explained

_MARKS = {"study": ("plan.json",), "train": ("run.json", "recipe.toml")}
"""What lies in the folder of each command that can go on with one."""


@contextmanager
def new_folder(out: Path | None, default: Path) -> Iterator[Path]:
    """Hold an output folder that is this process's own while its first files are written; leave nothing of it where that fails.

    Args:
        out: The folder that was named, or None.
        default: What a folder of its own is called; date and time are added.

    Raises:
        RunError: `out` already holds something, or another process is making it.
    """
    if out is None:
        with claim_numbered(default.with_name(f"{default.name}-{time.strftime('%Y%m%d-%H%M%S')}")) as path:
            yield path
        return
    check_unused(out)
    with ExitStack() as held:
        try:
            held.enter_context(claimed(out))
        except FileExistsError as error:
            raise _taken(out) from error
        yield out


def check_unused(out: Path | None, command: str = "") -> None:
    """Refuse an output folder that holds something; asked before anything slow begins.

    Args:
        out: The folder that was named, or None.
        command: What goes on with a folder that is begun; by default what made it.

    Raises:
        RunError: It does.
        MstlEdgeError: It cannot be read.
    """
    try:
        if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise _taken(out, command)
    except OSError as error:
        assert out is not None
        raise explained(error, out) from error


@contextmanager
def working_alone(folder: Path, *, beside_others: bool = False) -> Iterator[None]:
    """Keep a second process from working on the same run or study.

    Args:
        folder: Of the run or study.
        beside_others: Let others work there who say the same, each on a part of its own.

    Raises:
        RunError: Another process is at work there.
    """
    command = _command(folder)
    if command is None:
        yield
        return
    with alone_in(folder / _MARKS[command][0], beside_others=beside_others) as alone:
        if not alone:
            raise RunError(
                "a folder that no other process is working on",
                received=folder,
                hint=f"Wait for that process, or stop it and type {typed('mstl-edge', command, '--resume', folder)}",
            )
        yield


def _taken(out: Path, command: str = "") -> RunError:
    maker = _command(out)
    if maker is not None:
        going_on = command if command and maker == "train" else maker
        hint = f"Go on with it by '{typed('mstl-edge', going_on, '--resume', out)}', or choose another --out."
    elif _is_file(out / CLAIM):
        hint = "Another process is making it at this moment; where none is, delete it first. Choose another --out."
    else:
        hint = "Choose another --out."
    return RunError("an output folder that does not exist or is empty", received=out, hint=hint)


def _command(folder: Path) -> str | None:
    """Return the command that can go on with a folder."""
    return next((name for name, files in _MARKS.items() if all(_is_file(folder / file) for file in files)), None)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # below a folder that may not be entered
        return False
