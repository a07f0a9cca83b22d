"""What the cells of a label column mean: gaps, numbers in several spellings, several findings in one cell."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mstl_edge.counted import counted
from mstl_edge.data.files.labelled import some
from mstl_edge.data.labels.classes import as_number, check_names, check_spellings
from mstl_edge.errors import DataError

MISSING = frozenset(("", "na", "n/a", "n.a.", "nan", "null", "<na>", "#n/a", "#na", "nat", "missing"))
"""What tables write where nothing is known, in lower case."""

_NONE = "none"
_SEPARATORS = "|;,/+&"


@dataclass(frozen=True)
class Meaning:
    """What each cell stands for (None: no label), and what is to be said about it."""

    labels: Mapping[str, str | None]
    notes: tuple[str, ...]


def is_missing(cell: str) -> bool:
    """Say whether a cell says that nothing is known."""
    return cell.strip().casefold() in MISSING


def read_values(
    cells: Iterable[str], column: str, table: str, *, without: str | None, several: bool = False
) -> Meaning:
    """Say what the cells of a label column stand for.

    A column of 0 and 1 that is named after a finding (`hemorrhage`) gives the labels `hemorrhage` and `normal`. Numbers of one
    value are one label.

    Args:
        cells: All cells of the column.
        column: Its name.
        table: Name of the file, for errors.
        without: What an image without the finding is called, where the column's name is that of a finding; None where it is a word
            like `label`.
        several: Cells may name several findings, of which classes are chosen afterwards.

    Raises:
        DataError: Several findings in one cell, two spellings of one class, a name that no card takes, or `none` among other
            classes, which may be one or a gap.
    """
    counts = Counter(cells)
    gaps = {cell for cell in counts if is_missing(cell)}
    told = {cell: counts[cell] for cell in counts if cell not in gaps}
    nones = _nones(told, column, table)
    gaps |= nones
    told = {cell: n for cell, n in told.items() if cell not in nones}
    if not several:
        _refuse_several_findings(told, column, table)
    labels, notes = _one_spelling_of_numbers(told)
    if without is not None and told and set(labels.values()) <= {"0", "1", "0.0", "1.0"}:
        labels = {cell: column if label.startswith("1") else without for cell, label in labels.items()}
    named: Counter[str] = Counter()
    for cell, label in labels.items():
        named[label] += told[cell]
    where = f"column {column!r} of {table}"
    check_names(named, where)
    check_spellings(named, where)
    if gaps:
        n = sum(counts[gap] for gap in gaps)
        written = some((repr(gap) if gap else "empty cells" for gap in sorted(gaps)), shown=5)
        notes.append(f"{counted(n, 'row')} of {table} without a label ({written}) left out")
    return Meaning({**labels, **dict.fromkeys(gaps)}, tuple(notes))


def _nones(told: Mapping[str, int], column: str, table: str) -> set[str]:
    """Return the cells `none` that are gaps: those among numbers; beside a single other class they are the other one."""
    nones = {cell for cell in told if cell.casefold() == _NONE}
    others = told.keys() - nones
    if not nones or len(others) < 2:
        return set()
    if all(as_number(cell) is not None for cell in others):
        return nones
    raise DataError(
        f"labels in column {column!r} of {table} that are surely classes or surely missing",
        received=f"{sum(told[cell] for cell in nones)} rows with {some(sorted(nones))} beside {some(sorted(others), shown=5)}",
        hint="Write another word (no finding) where it is a class, and leave the cell empty where it is not known.",
    )


def _refuse_several_findings(told: Mapping[str, int], column: str, table: str) -> None:
    for separator in _SEPARATORS:
        several = [cell for cell in told if separator in cell and all(part.strip() for part in cell.split(separator))]
        if separator != "|":
            several = [cell for cell in several if all(part.strip() in told for part in cell.split(separator))]
        if several:
            rows = counted(sum(told[cell] for cell in several), "row")
            raise DataError(
                f"one label for each image in column {column!r} of {table}",
                received=f"several ones (multi-label) in {rows}, such as {several[0]!r}",
                hint="These networks tell classes apart that exclude each other. Leave those rows out, or add a column of 0 and 1 "
                "for the finding that matters and choose it: --label-column NAME; or choose classes among them: "
                "--map 'FINDING=CLASS,FINDING=CLASS'.",
            )


def _one_spelling_of_numbers(told: Mapping[str, int]) -> tuple[dict[str, str], list[str]]:
    spellings: defaultdict[float, list[str]] = defaultdict(list)
    for cell in told:
        value = as_number(cell)
        if value is not None:
            spellings[value].append(cell)
    labels, notes = {cell: cell for cell in told}, []
    for value, same in spellings.items():
        if len(same) > 1:
            plain = str(int(value)) if value.is_integer() else repr(value)
            labels.update(dict.fromkeys(same, plain))
            notes.append(f"the labels {', '.join(sorted(same))} are one number, and so one class: {plain}")
    return labels, notes
