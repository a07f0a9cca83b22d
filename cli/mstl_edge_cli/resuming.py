"""Work that can go on after it was stopped says how."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from mstl_edge.errors import typed
from mstl_edge_cli.console import say
from mstl_edge_cli.stopping import INTERRUPTED


@contextmanager
def resumable(command: str, folder: Path) -> Iterator[None]:
    """Answer Ctrl-C with the command that goes on with a folder, and exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"stopped; go on with: {typed('mstl-edge', command, '--resume', folder)}")
        raise typer.Exit(INTERRUPTED) from None
