"""Which column of a table declares who trains, validates and tests: the one that holds such words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mstl_edge.data.files.labelled import SPLIT_WORDS, some
from mstl_edge.data.labels.column_names import CALLED_SPLIT, plain
from mstl_edge.data.labels.values import is_missing
from mstl_edge.errors import DataError


@dataclass(frozen=True)
class SplitColumns:
    """The column that declares a split, those that are called so and do not, and what is to be said about them."""

    chosen: int | None
    ignored: frozenset[int]
    notes: tuple[str, ...]


def find_split_columns(
    header: Sequence[str], rows: Sequence[tuple[str, ...]], taken: set[int], where: str
) -> SplitColumns:
    """Find the column that declares a split, by its words; columns that are `taken` hold something else.

    Raises:
        DataError: Several that differ.
    """
    found, ignored = [], {}
    for number, name in enumerate(header):
        values = {row[number].casefold() for row in rows if not is_missing(row[number])}
        if number in taken or not values:
            continue
        words = values & SPLIT_WORDS.keys()
        called = CALLED_SPLIT.fullmatch(plain(name)) is not None
        if len({SPLIT_WORDS[word] for word in words}) > 1 and (called or words == values):
            found.append(number)
        elif called:
            ignored[number] = (
                f"column {name!r} of {where} is ignored: its values ({some(sorted(values))}) are not train, val and test"
            )
    if not found:
        return SplitColumns(None, frozenset(ignored), tuple(ignored.values()))
    chosen = _only_split(header, rows, found, where)
    strangers = {row[chosen] for row in rows if row[chosen].casefold() not in SPLIT_WORDS}
    rest = f"; {some(sorted(map(repr, strangers)))} is none of these" if strangers else ""
    note = f"column {header[chosen]!r} of {where} declares which images train, validate and test{rest}"
    return SplitColumns(chosen, frozenset((*ignored, *found)), (*ignored.values(), note))


def _only_split(header: Sequence[str], rows: Sequence[tuple[str, ...]], found: Sequence[int], where: str) -> int:
    exact = [number for number in found if plain(header[number]) == "split"]
    differing = {tuple(row[number].casefold() for row in rows) for number in found}
    if len(differing) > 1 and len(exact) != 1:
        raise DataError(
            f"one column of {where} that declares train, val and test",
            received=", ".join(header[number] for number in found),
            hint="Name the one that counts 'split', or remove the others.",
        )
    return (exact or found)[0]
