"""What a user did or lacks, said in one line: what was expected, what was received, what to type next."""

from __future__ import annotations

import shlex
from typing import Any

_LONGEST = 2_000


def typed(*words: object) -> str:
    """Return a command as it can be typed: words that hold spaces or other signs of the shell are quoted."""
    return shlex.join(map(str, words))


class MstlEdgeError(Exception):
    """A mistake that the user can mend; the command line prints it as one line and exits with `exit_code`.

    Args:
        expected: What was expected, as a phrase without a full stop.
        received: What came instead; shown after `Received:`. Omit it where nothing was received.
        hint: What to do or type next.
    """

    exit_code = 1

    def __init__(self, expected: str, *, received: object = None, hint: str = "") -> None:
        self.expected = expected.rstrip(".")
        self.received = received
        self.hint = hint
        parts = [f"expected {_shortened(self.expected)}."]
        if received is not None:
            told = _shortened(str(received))
            # What was received may be a sentence of its own.
            parts.append(f"Received: {told}" if told.endswith(".") else f"Received: {told}.")
        if hint:
            parts.append(_shortened(hint))
        super().__init__(printable(" ".join(" ".join(parts).split())))


def printable(text: str) -> str:
    r"""Return a text that any terminal and any file takes, on one line.

    What is no printable character is escaped, and so are the bytes of a file name that is no UTF-8 (`Sch\xe4del.png`).
    """
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    if "\udc80" <= character <= "\udcff":  # by which Python carries a byte of a file name
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def _shortened(text: str) -> str:
    """A cell of a table, say, may hold a whole book."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


class RecipeError(MstlEdgeError):
    """A recipe, a key in it, or a `--set` that does not hold."""


class DataError(MstlEdgeError):
    """Images, labels or splits that training or measuring cannot stand on."""


class WeightsError(MstlEdgeError):
    """Backbone weights that are missing or belong to another network."""


class ArtifactError(MstlEdgeError):
    """A model file that is damaged, foreign, or not what its card says."""


class RunError(MstlEdgeError):
    """A run folder that is missing, unfinished, taken, or of another version."""


class MissingExtraError(MstlEdgeError):
    """An optional package is not installed; the hint says which command installs it."""


class GateRefusedError(MstlEdgeError):
    """A candidate or a measurement fell below a stated bound; exit code 3.

    Args:
        expected: See `MstlEdgeError`, as `received` and `hint`.
        received: What fell below.
        hint: What to do.
        tree: All that was measured, as plain values.
    """

    exit_code = 3

    def __init__(
        self, expected: str, *, received: object = None, hint: str = "", tree: dict[str, Any] | None = None
    ) -> None:
        super().__init__(expected, received=received, hint=hint)
        self.tree = tree or {}
