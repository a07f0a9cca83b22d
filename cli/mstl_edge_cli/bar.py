"""A progress bar on a terminal: what it is about, how far it is, how long it takes or took, and below it what was said last."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from mstl_edge.counted import duration
from mstl_edge.progress import Advance
from mstl_edge_cli.streams import Narration

BAR_WIDTH = 20


class _Time(ProgressColumn):
    """`12 s left`, and `took 34 s` when it is done."""

    def render(self, task: Task) -> Text:
        if task.finished:
            return Text(f"took {duration(task.finished_time or 0.0)}")
        return Text("" if task.time_remaining is None else f"{duration(task.time_remaining)} left")


class _Bar(Progress):
    """A bar with its note on a line of its own: beside a bar there is no room for a sentence."""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        for task in self.tasks:
            if task.fields["note"]:
                yield Text(f"  {task.fields['note']}")


@contextmanager
def bar_on(terminal: int, description: str, total: int | None) -> Iterator[Advance]:
    """Draw a bar on an open descriptor; yields `advance(steps, note)`.

    While it is drawn, `sys.stderr` writes above it, and `sys.stdout` too where that is a terminal.
    """
    stream = os.fdopen(os.dup(terminal), "w", encoding=sys.stderr.encoding, errors="backslashreplace")
    try:
        narration: Any = Narration(stream)  # which writes what it can
        # What is asked whether it is a terminal has to be this one: descriptor 2 may lead elsewhere meanwhile.
        with redirect_stderr(narration), bar_of(Console(file=narration, soft_wrap=True), description, total) as advance:
            yield advance
    finally:
        with suppress(OSError):  # a terminal that has gone
            stream.close()


@contextmanager
def bar_of(console: Console, description: str, total: int | None) -> Iterator[Advance]:
    """Draw a bar on a console; yields `advance(steps, note)`."""
    columns = (
        SpinnerColumn(),
        TextColumn(
            "{task.description}", markup=False, table_column=Column(overflow="fold")
        ),  # gives way first, between words
        BarColumn(BAR_WIDTH, table_column=Column(min_width=BAR_WIDTH, no_wrap=True)),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        _Time(table_column=Column(no_wrap=True)),
    )
    with _Bar(*columns, console=console, redirect_stdout=sys.stdout.isatty()) as bar:
        task = bar.add_task(description, total=total, note="")

        def advance(steps: int, note: str = "") -> None:
            bar.update(task, advance=steps, **({"note": note} if note else {}))  # type: ignore[arg-type]

        yield advance
        bar.update(task, total=bar.tasks[0].completed)  # done, though earlier than it might have been
