"""What an experiment says while it works, a line each on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mstl_edge.progress import Advance


class Lines:
    """A reporter that writes what it is told, and of a bar its notes."""

    def say(self, message: str) -> None:
        """Write one line."""
        sys.stderr.write(f"{message}\n")

    @contextmanager
    def bar(self, description: str, total: int) -> Iterator[Advance]:
        """Write the notes of a bar."""

        def advance(steps: int, note: str = "") -> None:
            if note:
                self.say(f"{description}: {note}")

        yield advance
