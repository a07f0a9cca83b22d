"""Text and columns of a table in so many characters: words stay whole, numbers are never cut, what is too wide goes below."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

Block = list[tuple[int, int]]
"""Columns of a table that stand side by side: the number and the width of each."""
BETWEEN_COLUMNS = 2
LONGEST_WORD = 24
"""A longer one is broken where a table would be too wide; what cannot be broken is cut then."""
_PIECES = re.compile(r"[^-/_]*[-/_]+|[^-/_]+")
_END_OF_COMMAND = (".", ";", ",", ")")


def cells(text: str) -> int:
    """Return how many characters of a terminal a text takes."""
    from rich.cells import cell_len

    return cell_len(text)


def wrapped(text: str, width: int) -> list[str]:
    """Return a text as lines of at most `width` characters: broken between words, a long name behind `-`, `/` or `_`.

    What has none of them and is longer than a line is cut.
    """
    lines = [""]
    for word in text.split(" "):
        spaced = f"{lines[-1]} {word}" if lines[-1] else word
        if cells(spaced) <= width:
            lines[-1] = spaced
            continue
        if cells(lines[-1]) > 1:  # a sign stays with what it stands before
            lines.append("")
        elif lines[-1]:
            lines[-1] += " "
        for piece in _parts(word, width):
            if lines[-1].strip() and cells(lines[-1] + piece) > width:
                lines.append("")
            lines[-1] += piece
    return lines


def _parts(word: str, width: int) -> Iterator[str]:
    for piece in _PIECES.findall(word) or [word]:
        while cells(piece) > width:
            yield piece[:width]
            piece = piece[width:]
        yield piece


def paragraph(text: str, width: int | None, *, indent: int = 0) -> str:
    """Return a text broken between words, each further line behind `indent` spaces; as it is without a width.

    A command that fits into a line is not broken, since it is there to be copied; nor is a path.
    """
    if width is None or cells(text) <= width:
        return text
    lines: list[str] = []
    line = ""
    for word in _unbroken(text.split(" "), width - indent):
        room = width - indent * bool(lines)
        if line and cells(f"{line} {word}") > room:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return f"\n{' ' * indent}".join([*lines, line])


def _unbroken(words: list[str], width: int) -> Iterator[str]:
    """Yield words, those of a command together: it ends with its sentence, or with a comma."""
    position = 0
    while position < len(words):
        end = position + 1
        pair = tuple(word.lstrip("'(") for word in words[position : position + 2])
        if pair == ("pip", "install") or (pair[0] == "mstl-edge" and pair[1:] and pair[1][:1].islower()):
            while end < len(words) and not words[end - 1].endswith(_END_OF_COMMAND):
                end += 1
        command = " ".join(words[position:end])
        if cells(command) > width:
            command, end = words[position], position + 1
        yield command
        position = end


def continued(command: str, width: int | None, *, before: int) -> str:
    """Return a command that a shell reads as one: on lines that end with a backslash, where one line does not hold it.

    Args:
        command: To be typed; words with signs of the shell are quoted.
        width: Characters of a line; None for as many as it takes.
        before: Characters that stand before it.
    """
    if width is None or before + cells(command) <= width:
        return command
    lines: list[str] = []
    line = ""
    for word in map(shlex.quote, shlex.split(command)):
        room = width - 2 - (2 if lines else before)
        if line and cells(f"{line} {word}") > room:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return " \\\n  ".join([*lines, line])


def is_number(text: str) -> bool:
    """Return whether a cell is a number, marked or not, or stands for one that is missing."""
    return text.lstrip("~+−-<! ")[:1].isdigit() or text in ("", "–")


def columns_in(
    columns: Sequence[str], rows: Sequence[Sequence[str]], room: int | None, *, repeated: int = 1
) -> list[Block]:
    """Return the blocks that a table is shown in, one where it fits.

    Args:
        columns: Heads.
        rows: Cells.
        room: Characters of a line; None for as many as it takes.
        repeated: So many of the first columns stand in every block.
    """
    natural, least = [], []
    for position, column in enumerate(columns):
        texts = [row[position] for row in rows]
        natural.append(max(cells(text) for text in (column, *texts)))
        whole = max((cells(text) for text in texts), default=0) if all(map(is_number, texts)) else _longest(texts)
        least.append(max(_longest([column]), whole))
    if room is None:
        return [list(enumerate(natural))]
    blocks = _blocks(least, room, range(repeated))
    if len(blocks) > 1:  # then there is room for what the rows are called
        least[0] = max(least[0], min(natural[0], room // 3))
        blocks = _blocks(least, room, range(repeated))
    return [
        list(zip(block, _shared([natural[i] for i in block], [least[i] for i in block], room), strict=True))
        for block in blocks
    ]


def _longest(texts: Sequence[str]) -> int:
    """Return the width of the longest word, a long one broken."""
    words = {word for text in texts for word in text.split(" ")}
    return max((min(cells(part), LONGEST_WORD) for word in words for part in _unless_short(word)), default=0)


def _unless_short(word: str) -> list[str]:
    return [word] if cells(word) <= LONGEST_WORD else _PIECES.findall(word)


def _blocks(least: Sequence[int], room: int, repeated: Sequence[int]) -> list[list[int]]:
    """Deal the columns to blocks that fit, each beginning with those that are repeated."""
    blocks = [[*repeated]]
    for position in range(len(repeated), len(least)):
        if len(blocks[-1]) > len(repeated) and _sum([least[i] for i in (*blocks[-1], position)]) > room:
            blocks.append([*repeated])
        blocks[-1].append(position)
    return blocks


def _shared(natural: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Return widths that fit, the widest columns giving way first."""
    shown = list(natural)
    while _sum(shown) > room:
        giving = [i for i in range(len(shown)) if shown[i] > least[i]]
        if not giving:
            break
        shown[max(giving, key=lambda i: shown[i])] -= 1
    return shown


def _sum(numbers: Sequence[int]) -> int:
    return sum(numbers) + BETWEEN_COLUMNS * (len(numbers) - 1)
