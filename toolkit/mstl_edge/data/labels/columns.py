"""Which column of a table names the image, which the label, the patient and the split; where nobody can tell, it is asked."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mstl_edge.data.labelled import SPLIT_WORDS, some
from mstl_edge.data.labels.classes import as_number
from mstl_edge.data.labels.names import Found, ImageIndex, Kind, key_of
from mstl_edge.data.labels.table import Table
from mstl_edge.data.labels.values import is_missing
from mstl_edge.data.walk import is_image
from mstl_edge.errors import DataError

IMAGE_COLUMNS = frozenset((
    "id", "image", "imageid", "imageindex", "imagename", "imagefile", "imagepath", "filename", "filepath", "file", "path", "name",
    "img", "imgid", "imgpath", "scan", "slice", "isicid",
))  # fmt: skip
LABEL_COLUMNS = frozenset((
    "label", "labels", "class", "target", "diagnosis", "category", "y", "classname", "findinglabels", "finding", "findings", "dx",
    "outcome", "grade",
))  # fmt: skip
"""What columns are called, without case, spaces and joints."""

_CALLED_SPLIT = re.compile(
    r".*split.*|.*subset|.*partition|folds?|cvfold|(is)?(train|training|val|valid|validation|test|testing)"
)
"""How columns are called that declare a split, or would; others may hold its words, too."""

PATIENT_COLUMNS = frozenset(
    ("patient", "patientid", "patients", "subject", "subjectid", "lesionid", "caseid", "studyid", "pid")
)
PUBLIC_TABLES = {
    "patientid": frozenset(("imageindex", "findinglabels")),  # NIH ChestX-ray14
    "lesionid": frozenset(("imageid", "dx")),  # HAM10000
}
"""What tables of public sets call the patient, and the columns beside it that they are known by."""
_SHARE = 0.5
"""How many files a column must name, beside the one that names most, to be the image column perhaps."""

_LOOK_UPS = 500_000
"""How many cells are looked up among the files to find the image column: about a second and a half."""


@dataclass(frozen=True)
class Wanted:
    """The names of columns that the user has told; empty: find out.

    `several`: an image may have several findings, of which classes are chosen afterwards.
    """

    image: str = ""
    label: str = ""
    patient: str = ""
    several: bool = False

    @property
    def columns(self) -> dict[str, str]:
        """The columns that were told, by what they hold."""
        told = {"image": self.image, "label": self.label, "patient": self.patient}
        return {role: name for role, name in told.items() if name}


@dataclass(frozen=True)
class Columns:
    """Columns by number; several `labels` are one column per class, with a 1 in one of them.

    `elsewhere`: file names alone tell the images apart, so that folders in cells need not be those on disk. `alone`: no other
    column could be one of labels.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    image: int
    labels: tuple[int, ...]
    patient: int | None
    split: int | None
    elsewhere: bool
    alone: bool
    notes: tuple[str, ...]


def find_columns(table: Table, index: ImageIndex, wanted: Wanted) -> Columns:
    """Tell the columns of a table apart by their cells first, and by their names where the cells leave a choice.

    Raises:
        DataError: No rows, a wanted column that is not there, or a choice that only the user can make.
    """
    header, rows, notes = _headed(table, index)
    where = table.path.name
    told = {role: _named(header, name, role, where) for role, name in wanted.columns.items()}
    image = told["image"] if "image" in told else _image_column(header, rows, index, told, table.path)
    patient = told.get("patient", _public_patients(header))
    splits = _split_columns(header, rows, {image, *told.values()}, where)
    left = [
        number
        for number in range(len(header))
        if number not in {image, patient, *splits.ignored} and not all(is_missing(row[number]) for row in rows)
    ]
    if "label" in told:
        labels: tuple[int, ...] = (told["label"],)
    else:
        labels = _label_columns(header, rows, left, image, table.path, overlapping=wanted.several)
    notes.extend(splits.notes)
    if patient is not None and "patient" not in told:
        whose = "lesions, whose images stay together" if plain(header[patient]) == "lesionid" else "patients"
        notes.append(
            f"column {header[patient]!r} names the {whose}, as this table's columns tell; another one: --column NAME"
        )
    if patient is None:
        notes.extend(_patients_not_asked_for(header, {image, *labels}))
    others = [number for number in left if number not in labels]
    alone = not any(plain(header[number]) in LABEL_COLUMNS or _is_binary(rows, number) for number in others)
    elsewhere = _are_keys([row[image] for row in rows])
    return Columns(header, rows, image, labels, patient, splits.chosen, elsewhere, alone, tuple(notes))


def plain(name: str) -> str:
    """Return a column's name without case, spaces and joints."""
    return re.sub(r"[\s_.#-]+", "", name).casefold()


def _headed(table: Table, index: ImageIndex) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...], list[str]]:
    """Return header, rows and a note; columns without a header are called by their number."""
    lines = table.lines
    if lines and _is_data(lines, index):
        header = tuple(str(number) for number in range(1, len(lines[0]) + 1))
        return (
            header,
            lines,
            [f"{table.path.name} has no header: its first line is read as a row, its columns are 1 to {len(header)}"],
        )
    if len(lines) < 2:
        raise DataError("a CSV file with a header and at least one row", received=f"{table.path} ({len(lines)} lines)")
    return lines[0], lines[1:], []


def _is_data(lines: Sequence[tuple[str, ...]], index: ImageIndex) -> bool:
    """Say whether the first line is a row: it names an image as the lines below it do."""
    known = IMAGE_COLUMNS | PATIENT_COLUMNS | LABEL_COLUMNS
    numbers = all(as_number(cell) is not None for cell in lines[0])
    for number, cell in enumerate(lines[0]):
        if not cell or plain(cell) in known or _CALLED_SPLIT.fullmatch(plain(cell)):
            continue
        if is_image(cell):
            return True
        first = index.find(cell, elsewhere=True)
        below = [found.kind for line in lines[1:20] if (found := index.find(line[number], elsewhere=True))]
        if first is not None and below and first.kind == max(below, key=below.count):
            return first.kind is not Kind.NUMBER or numbers
    return False


def _named(header: Sequence[str], name: str, role: str, where: str) -> int:
    numbers = [number for number, column in enumerate(header) if column == name]
    numbers = numbers or [
        number for number, column in enumerate(header) if column.casefold() == name.strip().casefold()
    ]
    if len(numbers) != 1:
        what = "several columns of that name" if numbers else name
        raise DataError(
            f"{'an' if role == 'image' else 'a'} {role} column of {where} ({', '.join(header)})", received=what
        )
    return numbers[0]


@dataclass(frozen=True)
class _Candidate:
    number: int
    kind: Kind
    files: int
    found: tuple[Found | None, ...]


def _image_column(
    header: Sequence[str], rows: Sequence[tuple[str, ...]], index: ImageIndex, told: Mapping[str, int], path: Path
) -> int:
    columns = [number for number in range(len(header)) if number != told.get("label")]
    # What names the patient may name the image too, where nothing else does.
    others = [number for number in columns if number != told.get("patient")]
    looked_at = rows[:: 1 + len(rows) * len(columns) // _LOOK_UPS]
    cells = {number: [row[number] for row in looked_at] for number in columns}
    candidates = [one for number in others if (one := _candidate(number, cells[number], index))]
    candidates = candidates or [one for number in columns if (one := _candidate(number, cells[number], index))]
    if not candidates:
        return next((number for number in columns if plain(header[number]) in IMAGE_COLUMNS), columns[0])
    # A label or an age may be the name of some file by chance; what names images names many of them.
    most = max(one.files for one in candidates)
    candidates = [one for one in candidates if one.files >= _SHARE * most]
    surest = max(one.kind for one in candidates)
    candidates = [one for one in candidates if one.kind == surest]
    best = max(candidates, key=lambda one: (plain(header[one.number]) in IMAGE_COLUMNS, one.files, -one.number))
    rivals = [one for one in candidates if one is not best and _disagree(one, best)]
    if surest is Kind.NUMBER:
        named = [one for one in candidates if plain(header[one.number]) in IMAGE_COLUMNS]
        keys = named or [one for one in candidates if len(set(cells[one.number])) == len(looked_at)]
        rivals = [one for one in keys if one is not best and _disagree(one, best)]
    if rivals:
        names = [header[one.number] for one in (best, *rivals)]
        raise DataError(
            f"one column of {path.name} that names the image",
            received=f"{' and '.join(repr(name) for name in names)}, which name different files in one row",
            hint=f"Choose it: --image-column {shlex.quote(names[0])}, or stages.NAME.labels.image in a recipe.",
        )
    return best.number


def _candidate(number: int, cells: Sequence[str], index: ImageIndex) -> _Candidate | None:
    elsewhere = _are_keys(cells)
    found = tuple(index.find(cell, elsewhere=elsewhere) for cell in cells)
    kinds = [one.kind for one in found if one is not None]
    if not kinds:
        return None
    files = len({one.names for one in found if one is not None})
    return _Candidate(number, max(kinds, key=kinds.count), files, found)


def _disagree(one: _Candidate, other: _Candidate) -> bool:
    return any(
        a is not None and b is not None and not set(a.names) & set(b.names)
        for a, b in zip(one.found, other.found, strict=True)
    )


def _are_keys(cells: Iterable[str]) -> bool:
    """Say whether file names without their folders tell all cells apart."""
    distinct = set(cells)
    return len({key_of(cell) for cell in distinct}) == len(distinct)


@dataclass(frozen=True)
class _Splits:
    """The column that declares a split, those that are called so and do not, and what is to be said about them."""

    chosen: int | None
    ignored: frozenset[int]
    notes: tuple[str, ...]


def _split_columns(header: Sequence[str], rows: Sequence[tuple[str, ...]], taken: set[int], where: str) -> _Splits:
    """Find the column that declares a split, by its words."""
    found, ignored = [], {}
    for number, name in enumerate(header):
        values = {row[number].casefold() for row in rows if not is_missing(row[number])}
        if number in taken or not values:
            continue
        words = values & SPLIT_WORDS.keys()
        called = _CALLED_SPLIT.fullmatch(plain(name)) is not None
        if len({SPLIT_WORDS[word] for word in words}) > 1 and (called or words == values):
            found.append(number)
        elif called:
            ignored[number] = (
                f"column {name!r} of {where} is ignored: its values ({some(sorted(values))}) are not train, val and test"
            )
    if not found:
        return _Splits(None, frozenset(ignored), tuple(ignored.values()))
    chosen = _only_split(header, rows, found, where)
    strangers = {row[chosen] for row in rows if row[chosen].casefold() not in SPLIT_WORDS}
    rest = f"; {some(sorted(map(repr, strangers)))} is none of these" if strangers else ""
    note = f"column {header[chosen]!r} of {where} declares which images train, validate and test{rest}"
    return _Splits(chosen, frozenset((*ignored, *found)), (*ignored.values(), note))


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


def _label_columns(
    header: Sequence[str],
    rows: Sequence[tuple[str, ...]],
    left: Sequence[int],
    image: int,
    path: Path,
    *,
    overlapping: bool,
) -> tuple[int, ...]:
    named = [number for number in left if plain(header[number]) in LABEL_COLUMNS]
    # A coordinate is called y, too.
    named = [number for number in named if plain(header[number]) != "y"] or named
    if len(named) == 1 or len(left) == 1:
        return tuple(named or left)
    # A class that the set has no image of is no class of it.
    binary = [n for n in left if _is_binary(rows, n) and any(row[n].startswith("1") for row in rows)]
    several = sum(sum(row[number].startswith("1") for number in binary) > 1 for row in rows)
    if not named and len(binary) > 1 and (overlapping or not several):
        return tuple(binary)
    example = header[[*named, *binary, *left][0]] if left else "NAME"
    more = f"; {several:,} rows have a 1 in several of {some(header[number] for number in binary)}" if several else ""
    raise DataError(
        f"one label column in {path.name} beside the image column {header[image]!r}",
        received=f"{', '.join(header)}{more}",
        hint=f"Choose it, for example --label-column {shlex.quote(example)}, or stages.NAME.labels.label in a recipe; "
        "a patient column is --column NAME. Several findings of an image: --map 'FINDING=CLASS,FINDING=CLASS'.",
    )


def _is_binary(rows: Sequence[tuple[str, ...]], number: int) -> bool:
    return {row[number] for row in rows if not is_missing(row[number])} <= {"0", "1", "0.0", "1.0"}


def _public_patients(header: Sequence[str]) -> int | None:
    """Return the column of patients, or of lesions, in the tables of public sets, which are known by their columns."""
    names = [plain(name) for name in header]
    for patient, others in PUBLIC_TABLES.items():
        if patient in names and others <= set(names):
            return names.index(patient)
    return None


def _patients_not_asked_for(header: Sequence[str], taken: set[int]) -> list[str]:
    found = [name for number, name in enumerate(header) if number not in taken and plain(name) in PATIENT_COLUMNS]
    if not found:
        return []
    return [f"column {found[0]!r} may name the patients, who then stay together: --column {shlex.quote(found[0])}"]
