"""Results to stdout, narration and progress to stderr."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal, NoReturn, TextIO

from mstl_edge.errors import MstlEdgeError
from mstl_edge.progress import Advance

SECONDS_BETWEEN_LINES = 5.0
_LEAST_LABEL = 12
"""Characters that a name keeps of a line, however many numbers stand beside it."""
_BETWEEN_COLUMNS = 2


def say(message: str) -> None:
    """Narrate on stderr, one line; `narration_on_stderr` sees to a stderr that takes none."""
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


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


def print_json(tree: Any) -> None:
    """Print one JSON document on stdout."""
    sys.stdout.write(_to_json(tree, indent=2) + "\n")


def print_json_line(tree: Any) -> None:
    """Print one JSON line on stdout."""
    sys.stdout.write(_to_json(tree) + "\n")


def _to_json(tree: Any, indent: int | None = None) -> str:
    import json

    text = json.dumps(tree, indent=indent, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        # JSON's own escapes, which also bring back the bytes of a file name that is no UTF-8.
        return json.dumps(tree, indent=indent)
    return text


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, marked: int | None = None
) -> None:
    """Print a table on stdout; numbers go right and are never cut, and the row `marked` is set bold with an arrow in front."""
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table

    listed = [[_cell(value) for value in row] for row in rows]
    table = Table(header_style="bold", box=None, pad_edge=False)
    needed, terminal = 0, sys.stdout.isatty()
    for position, column in enumerate(columns):
        widest = max(cell_len(text) for text in (column, *(row[position] for row in listed)))
        numeric = all(row[position].lstrip("~+−-<! ")[:1].isdigit() or row[position] in ("", "–") for row in listed)
        # Where it is too wide, names wrap; a number that is cut would be another number.
        justify: Literal["left", "right"] = "right" if numeric and listed else "left"
        table.add_column(column, justify=justify, no_wrap=numeric, overflow="fold")
        # A file or a pipe is as wide as it takes: a row is a line there.
        needed += (min(widest, _LEAST_LABEL) if terminal and not numeric else widest) + _BETWEEN_COLUMNS
    for number, row in enumerate(listed):
        chosen = number == marked
        table.add_row(*([f"→ {row[0]}" if chosen else row[0], *row[1:]]), style="bold" if chosen else None)
    # No markup: a file name may hold square brackets. The title stands alone, since a table wraps it to its own width.
    console = Console(highlight=False, markup=False, width=None if terminal else 160)
    console = Console(highlight=False, markup=False, width=max(console.width, needed))
    # Captured, since Rich ends the program without a word where stdout is a pipe without a reader.
    with console.capture() as captured:
        console.print(title, style="bold", soft_wrap=True)
        console.print(table)
    sys.stdout.write(captured.get())


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


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
    """
    if not sys.stderr.isatty():
        yield _plain_lines(description, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bar = Progress(
        *columns,
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True, soft_wrap=True),
        redirect_stdout=sys.stdout.isatty(),
    )
    with bar:
        task = bar.add_task(description, total=total, note="")

        def advance(steps: int, note: str = "") -> None:
            bar.update(task, advance=steps, **({"note": note} if note else {}))  # type: ignore[arg-type]

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
