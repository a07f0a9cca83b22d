"""How long work tells of itself, without knowing who listens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Advance(Protocol):
    """Moves a progress bar on."""

    def __call__(self, steps: int, note: str = "") -> None:
        """Advance by `steps`, and say `note`."""


class Reporter(Protocol):
    """Where narration goes: a terminal, a log, or nowhere."""

    def say(self, message: str) -> None:
        """Say one line."""

    def bar(self, description: str, total: int) -> AbstractContextManager[Advance]:
        """Show progress over `total` steps."""


class Silent:
    """A reporter that says nothing."""

    def say(self, message: str) -> None:
        """Say nothing."""

    @contextmanager
    def bar(self, description: str, total: int) -> Iterator[Advance]:
        """Show nothing."""

        def advance(steps: int, note: str = "") -> None:
            pass

        yield advance


SILENT = Silent()
