"""Results to stdout, narration and progress to stderr."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

from mstl_edge_cli.layout import BETWEEN_COLUMNS, Block, columns_in, continued, is_number, paragraph, wrapped

_AS_WIDE_AS_IT_TAKES = 1_000_000


Meaning = Literal["good", "doubtful", "refused"]
"""What a colour says; it stands on a word that says it too."""
COLOURS: dict[Meaning, str] = {"good": "green", "doubtful": "yellow", "refused": "red"}


def say(message: str) -> None:
    """Narrate on stderr, one line, on a terminal broken between words; `narration_on_stderr` sees to a stderr that takes none."""
    sys.stderr.write(f"{paragraph(message, _width(sys.stderr), indent=2)}\n")
    sys.stderr.flush()


def say_next(command: str) -> None:
    """Say on stderr what to type next; on a terminal that is too narrow, as a shell takes several lines."""
    label = "next: "
    sys.stderr.write(f"{label}{continued(command, _width(sys.stderr), before=len(label))}\n")
    sys.stderr.flush()


def print_text(text: str) -> None:
    """Print a sentence on stdout, one line, on a terminal broken between words."""
    sys.stdout.write(f"{paragraph(text, _width(sys.stdout), indent=2)}\n")


def _width(stream: TextIO) -> int | None:
    """Return how many characters a line of a terminal takes; None for a file or a pipe, which take any."""
    stream = getattr(stream, "rich_proxied_file", stream)  # while a bar is drawn
    try:
        return shutil.get_terminal_size().columns if stream.isatty() else None
    except (OSError, ValueError):  # closed, or gone
        return None


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
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    marked: int | None = None,
    meanings: Mapping[str, Meaning] | None = None,
    repeated: int = 1,
) -> None:
    """Print a table on stdout: numbers go right and are never cut, names break between words.

    On a terminal that is too narrow for all columns, those that do not fit stand below, behind the first.

    Args:
        title: What it shows; a line break in front keeps it apart from what stands above.
        columns: Heads.
        rows: Cells.
        marked: Number of the row that is set bold, with an arrow in front.
        meanings: The colours of cells, by what they say.
        repeated: So many of the first columns say which row it is.
    """
    listed = [[_cell(value) for value in row] for row in rows]
    if marked is not None:
        listed[marked][0] = f"→ {listed[marked][0]}"
    room = _width(sys.stdout)
    with _drawing() as console:
        # The title stands alone, since a table wraps it to its own width.
        console.print("\n".join(paragraph(line, room) for line in title.split("\n")), style="bold")
        for number, block in enumerate(columns_in(columns, listed, room, repeated=repeated)):
            if number:
                console.print()
            console.print(_block(columns, listed, block, marked, meanings or {}))


def _block(
    columns: Sequence[str], rows: list[list[str]], block: Block, marked: int | None, meanings: Mapping[str, Meaning]
) -> Table:
    """Return some columns of a table, at the widths that were worked out for them."""
    from rich.table import Table
    from rich.text import Text

    table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, BETWEEN_COLUMNS, 0, 0))
    for position, width in block:
        numeric = bool(rows) and all(is_number(row[position]) for row in rows)
        head = "\n".join(wrapped(columns[position], width))
        table.add_column(head, justify="right" if numeric else "left", width=width, no_wrap=True)
    for number, row in enumerate(rows):
        cells = []
        for position, width in block:
            meaning = meanings.get(row[position].removeprefix("→ "))
            cells.append(Text("\n".join(wrapped(row[position], width)), style=COLOURS[meaning] if meaning else ""))
        table.add_row(*cells, style="bold" if number == marked else None)
    return table


def print_facts(facts: Iterable[tuple[str, str, Meaning | None]]) -> None:
    """Print named sentences on stdout; the first word of one that means something is coloured."""
    from rich.text import Text

    listed = list(facts)
    named = max((len(name) for name, _, _ in listed), default=0) + BETWEEN_COLUMNS
    room = _width(sys.stdout)
    with _drawing() as console:
        for name, said, meaning in listed:
            shown = Text(paragraph(f"{name:<{named}}{said}", room, indent=named))
            shown.stylize("bold", 0, len(name))
            if meaning is not None:
                shown.stylize(COLOURS[meaning], named, named + len(re.split(r"[ :,]", said, maxsplit=1)[0]))
            console.print(shown)


@contextmanager
def _drawing() -> Iterator[Console]:
    """Yield what draws on stdout, lines as long as they are: they are broken before; colours only where a person watches.

    Captured, since Rich ends the program without a word where stdout is a pipe without a reader.
    """
    from rich.console import Console

    # No markup: a file name may hold square brackets.
    console = Console(highlight=False, markup=False, soft_wrap=True, width=_AS_WIDE_AS_IT_TAKES)
    with console.capture() as captured:
        yield console
    sys.stdout.write(captured.get())


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
