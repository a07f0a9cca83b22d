"""What a page is made of: sections of paragraphs, figures and tables. The page numbers them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mstl_edge.report.html.markup import Child, Markup


@dataclass(frozen=True)
class Key:
    """One entry of a figure's legend: `kind` is `line`, `dot`, `ring` or `band`."""

    kind: str
    style: str
    text: str


@dataclass(frozen=True)
class Figure:
    """Drawings side by side with one legend; the caption says what n is. `large` ones stand at most two in a row."""

    drawings: tuple[Markup, ...]
    caption: str
    legend: tuple[Key, ...] = ()
    large: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells under their names.

    Attributes:
        head: Names of the columns; all empty where the first column names the second.
        rows: Cells.
        caption: What is shown, and n.
        words: Columns that are set to the left; all others are numbers and set to the right.
        long: Columns of sentences: where a phone shows a row as a card, they take its whole width.
        marked: Rows that are set bold.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[Child, ...], ...]
    caption: str
    words: frozenset[int] = frozenset((0,))
    long: frozenset[int] = frozenset()
    marked: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: tuple[Figure | Table | Markup, ...]


@dataclass(frozen=True)
class Part:
    """What one source gives to the page: sentences for its top, sections, and what is missing with the command that adds it."""

    headline: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()
    missing: tuple[str, ...] = ()


def together(parts: Sequence[Part]) -> Part:
    """Return several parts as one, in order."""
    return Part(
        tuple(sentence for part in parts for sentence in part.headline),
        tuple(section for part in parts for section in part.sections),
        tuple(entry for part in parts for entry in part.missing),
    )
