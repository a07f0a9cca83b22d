"""The standard streams for as long as the program runs: a stderr that may be lost, a stdout that may not."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, TextIO

from mstl_edge.errors import MstlEdgeError
from mstl_edge_cli.console import say


class Narration:
    """A stderr that forgets what it cannot write: losing the narration is no reason to lose the work."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what can be written."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write what can be written of each line."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with suppress(OSError, ValueError):
            self._stream.flush()

    def isatty(self) -> bool:
        """Return whether a person can watch."""
        try:
            return self._stream.isatty()
        except (OSError, ValueError):
            return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def narration_on_stderr() -> Iterator[None]:
    """Let the program go on without a stderr: closed, on a full disk, or a terminal that has gone.

    Python gives a closed descriptor to the next file that is opened, and whatever a library then writes to stderr would go into
    that file: the three standard ones are opened on nothing first.
    """
    closed = sys.stderr is None
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free, which is this one
    kept = sys.stderr
    sys.stderr = Narration(io.StringIO() if closed else kept)
    try:
        yield
    finally:
        try:
            if not closed:
                kept.flush()
            sys.stderr = kept
        except (OSError, ValueError):
            pass  # Python flushes once more when it ends, and would make exit code 120 of it


@contextmanager
def results_on_stdout() -> Iterator[None]:
    """End the program with one line and exit code 1 where stdout does not take its results: a full disk, a reader that has gone.

    Characters that the encoding of stdout lacks, such as the bytes of a file name that is no UTF-8, are escaped.
    """
    stdout = sys.stdout
    if stdout is None:
        _end_without_stdout("a closed stdout", 1)
    if isinstance(stdout, io.TextIOWrapper):
        if isinstance(
            stdout.buffer, io.RawIOBase
        ):  # PYTHONUNBUFFERED; a buffer keeps what a failed write has not written
            buffer = io.BufferedWriter(stdout.buffer)
            stdout = sys.stdout = io.TextIOWrapper(buffer, stdout.encoding, line_buffering=True)
        stdout.reconfigure(errors="backslashreplace")
    try:
        yield
    except (SystemExit, OSError) as ended:
        # What could not be written is still in the buffer, so that a broken stdout fails again here and a sound one does not.
        try:
            stdout.flush()
        except OSError as error:
            # Python flushes once more when it ends, and would tell of its failure in its own words.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
            code = ended.code if isinstance(ended, SystemExit) and isinstance(ended.code, int) else 1
            _end_without_stdout(error.strerror or str(error), code or 1)
        raise


def _end_without_stdout(reason: str, code: int) -> NoReturn:
    say(f"mstl-edge: {MstlEdgeError('a stdout that takes all results', received=reason)}")
    raise SystemExit(code)
