"""The library's reporter on this terminal: bars where stderr is one, plain lines otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from mstl_edge.held_back import held_back
from mstl_edge.progress import Advance
from mstl_edge_cli.console import say

SECONDS_BETWEEN_LINES = 5.0


class Terminal:
    """The library's reporter on this terminal: a bar where stderr is one, plain lines otherwise."""

    def say(self, message: str) -> None:
        """Say one line on stderr."""
        say(message)

    @contextmanager
    def bar(self, description: str, total: int) -> Iterator[Advance]:
        """Show progress over `total` steps."""
        with progress_bar(description, total) as advance:
            yield advance


@contextmanager
def progress_bar(description: str, total: int | None) -> Iterator[Advance]:
    """Show a bar on a terminal, plain lines otherwise; yields `advance(steps, note)`.

    What is written to stdout meanwhile goes above the bar where stdout is a terminal too, and untouched into a file or a pipe.
    What libraries write to the descriptor of stderr, into the midst of a bar, is held back.
    """
    if not sys.stderr.isatty():
        yield _plain_lines(description, total)
        return
    from mstl_edge_cli.bar import bar_on

    with held_back() as terminal, bar_on(terminal, description, total) as advance:
        yield advance


def _plain_lines(description: str, total: int | None) -> Advance:
    """Return an `advance` that prints a line for every note, and otherwise one every few seconds."""
    done = 0
    printed_at = time.monotonic()

    def advance(steps: int, note: str = "") -> None:
        nonlocal done, printed_at
        done += steps
        if note or time.monotonic() - printed_at > SECONDS_BETWEEN_LINES:
            printed_at = time.monotonic()
            counted = f"{done}/{total}" if total else f"{done}"
            say(f"{description}: {note}" if note else f"{description}: {counted}")

    return advance
