"""Results to stdout, narration and progress to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table


class Advance(Protocol):
    """Moves a progress bar on."""

    def __call__(self, steps: int, note: str = "") -> None:
        """Advance by `steps`, and say `note`."""


def say(message: str) -> None:
    """Narrate on stderr, one line."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(message, markup=False)


def print_json(tree: Any) -> None:
    """Print one JSON document on stdout."""
    sys.stdout.write(json.dumps(tree, indent=2, ensure_ascii=False) + "\n")


def print_json_line(tree: Any) -> None:
    """Print one JSON line on stdout."""
    sys.stdout.write(json.dumps(tree, ensure_ascii=False) + "\n")


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, marked: int | None = None
) -> None:
    """Print a table on stdout; numbers go right, and the row `marked` is set bold with an arrow in front."""
    listed = [[_cell(value) for value in row] for row in rows]
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)
    for position, column in enumerate(columns):
        numeric = all(row[position][:1].isdigit() or row[position] in ("", "–") for row in listed)
        table.add_column(column, justify="right" if numeric and listed else "left", no_wrap=position == 0)
    for number, row in enumerate(listed):
        chosen = number == marked
        table.add_row(*([f"→ {row[0]}" if chosen else row[0], *row[1:]]), style="bold" if chosen else None)
    Console(highlight=False, width=None if sys.stdout.isatty() else 160).print(table)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


@contextmanager
def progress_bar(description: str, total: int | None) -> Iterator[Advance]:
    """Show a bar on a terminal, plain lines otherwise; yields `advance(steps, note)`."""
    if not sys.stderr.isatty():
        yield _plain_lines(description, total)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bar = Progress(*columns, TimeRemainingColumn(), TextColumn("{task.fields[note]}"), console=Console(stderr=True))
    with bar:
        task = bar.add_task(description, total=total, note="")

        def advance(steps: int, note: str = "") -> None:
            bar.update(task, advance=steps, note=note)

        yield advance


def _plain_lines(description: str, total: int | None) -> Advance:
    """Return an `advance` that prints a line at every tenth of the way and whenever there is a note."""
    done = 0
    printed = -1

    def advance(steps: int, note: str = "") -> None:
        nonlocal done, printed
        done += steps
        tenth = 10 * done // total if total else 0
        if note or tenth > printed:
            printed = tenth
            say(f"{description} {done}{f'/{total}' if total else ''} {note}".rstrip())

    return advance
