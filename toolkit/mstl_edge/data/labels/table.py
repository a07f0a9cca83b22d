"""A file of labels as rows of cells: commas, semicolons or tabs, with or without a byte order mark, in UTF-8 or UTF-16."""

from __future__ import annotations

import codecs
import csv
import io
import re
import shlex
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mstl_edge.data.files.walk import kind_of
from mstl_edge.errors import DataError

SUFFIXES = (".csv", ".tsv")
LARGEST_BYTES = 64_000_000
"""A larger file is no table of labels of this project's kind of data, and would not fit into a small machine's memory."""

_PROBED_LINES = 20
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
          (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip


@dataclass(frozen=True)
class Table:
    """The cells of a file of labels, without blank lines, all rows of one length; the first line may be a header."""

    path: Path
    lines: tuple[tuple[str, ...], ...]


def is_table(name: str) -> bool:
    """Say whether a file name ends as tables of labels do."""
    return Path(name).suffix.lower() in SUFFIXES


def read_table(path: Path, *, at_most: int | None = None) -> Table:
    """Read a table of labels.

    Args:
        path: The file.
        at_most: How many lines are wanted; default all.

    Raises:
        DataError: It cannot be read, is no text, is damaged, or its rows differ in length.
    """
    text = _text(path)
    delimiter, text = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=None), delimiter=delimiter, strict=True, skipinitialspace=True)
    try:
        lines = [[cell.strip() for cell in line] for line in islice((line for line in reader if any(line)), at_most)]
    except csv.Error as error:
        raise DataError(
            f"a CSV file of labels ({error})", received=f"{path}, line {reader.line_num}", hint="Mend its quotes."
        ) from error
    return Table(path, tuple(_squared(lines, path)))


def _text(path: Path) -> str:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DataError("a CSV file of labels", received=f"{path}, {kind_of(status.st_mode)}")
        if status.st_size > LARGEST_BYTES:
            raise DataError(
                f"a CSV file of labels of at most {LARGEST_BYTES // 10**6} MB",
                received=f"{path} with {status.st_size / 1e6:,.0f} MB",
            )
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        raise DataError(f"a CSV file of labels ({error})", received=path) from error
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), None) or _unmarked(content)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(
            f"a CSV file of labels in UTF-8 or UTF-16 ({error})",
            received=path,
            hint=f"Convert it, for example: iconv -f cp1252 -t utf-8 {shlex.quote(str(path))} > labels-utf8.csv",
        ) from error
    if "\0" in text:
        raise DataError("a CSV file of labels (it holds zero bytes, so it is no text)", received=path)
    return text


def _unmarked(content: bytes) -> str:
    """Return UTF-16's byte order where every other byte is zero, as in Latin letters, else UTF-8."""
    beginning = content[:1000]
    high, low = beginning[0::2].count(0), beginning[1::2].count(0)
    if low > 0.4 * len(beginning) and high == 0:
        return "utf-16-le"
    return "utf-16-be" if high > 0.4 * len(beginning) and low == 0 else "utf-8"


def _delimiter(text: str) -> tuple[str, str]:
    """Return what parts the cells, and the text without the line `sep=;` by which Excel is told of it.

    It is the one by which most of the first lines have as many cells as the very first, and most of them.
    """
    if match := re.match(r'"?sep=(.)"?\r?\n', text):
        return match[1], text[match.end() :]
    beginning = text[:100_000].splitlines()[:_PROBED_LINES]

    def merit(delimiter: str) -> tuple[int, int]:
        try:
            widths = [
                len(line) for line in csv.reader(beginning, delimiter=delimiter, skipinitialspace=True) if any(line)
            ]
        except csv.Error:
            return 0, 0
        return (widths.count(widths[0]), widths[0]) if widths and widths[0] > 1 else (0, 0)

    return max(",;\t", key=merit), text


def _squared(lines: list[list[str]], path: Path) -> Sequence[tuple[str, ...]]:
    """Return rows of one length: empty cells at their ends, which spreadsheets leave, are cut or filled in."""
    if not lines:
        return ()
    header = lines[0]
    needed = max((number for number, cell in enumerate(header, start=1) if cell), default=0)
    width = max((len(line) for line in lines if len(line) <= len(header)), default=needed)
    squared = []
    for number, line in enumerate(lines, start=1):
        while len(line) > width and not line[-1]:
            line.pop()
        if len(line) != width and not needed <= len(line) < width:
            raise DataError(
                f"{len(header)} cells ({', '.join(header)}) in every row of {path.name}",
                received=f"{len(line)} cells in row {number}",
                hint="Put cells that hold the delimiter into quotes.",
            )
        squared.append((*line, *[""] * (width - len(line))))
    return squared
