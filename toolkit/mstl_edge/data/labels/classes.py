"""What may be the name of a class: one spelling each, and nothing that a model's card does not take."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping

from mstl_edge.data.files.labelled import some
from mstl_edge.errors import DataError, printable

LONGEST = 200
"""How many characters a label may have; a card takes no more."""

_CONTROLS = ("Cc", "Cs", "Zl", "Zp")
_JOINTS = re.compile(r"(?<=[^\W_])[\s_-]+(?=[^\W_])")


def check_names(labels: Iterable[str], where: str) -> None:
    """Refuse names that no card takes.

    Args:
        labels: The names of classes.
        where: What they come from, for the error.

    Raises:
        DataError: A name is empty, too long, not UTF-8, or has a line feed or another control character.
    """
    for label in labels:
        reason = ""
        if not label.strip():
            reason = "an empty name"
        elif len(label) > LONGEST:
            reason = f"{len(label)} characters"
        elif any("\ud800" <= character <= "\udfff" for character in label):
            reason = "not UTF-8"
        elif any(unicodedata.category(character) in _CONTROLS for character in label):
            reason = "a line feed or another control character"
        if reason:
            name = printable(label)
            raise DataError(
                f"names of classes in UTF-8, on one line, of 1 to {LONGEST} characters",
                received=f"{name[:60]}{'…' if len(name) > 60 else ''} in {where} ({reason})",
                hint="Rename that class.",
            )


def check_spellings(counts: Mapping[str, int], where: str) -> None:
    """Refuse classes that differ in case, spaces or the form of accents alone, or as `1` and `1.0` do: they are one class.

    Args:
        counts: Images or rows per name.
        where: What they come from, for the error.

    Raises:
        DataError: Two spellings of one name.
    """
    spellings: defaultdict[object, list[str]] = defaultdict(list)
    for label in counts:
        spellings[name_key(label)].append(label)
    for same in spellings.values():
        if len(same) > 1:
            raise DataError(
                "one spelling for each class",
                received=f"{some((f'{label} ({counts[label]:,})' for label in sorted(same)), shown=5)} in {where}",
                hint="These names differ in case, spaces or spelling alone. Make them equal, or tell them apart by another word.",
            )


def name_key(label: str) -> object:
    """Return what two spellings of one class have in common: a number's value, or letters without case and kinds of space."""
    value = as_number(label)
    if value is not None:
        return value
    return _JOINTS.sub(" ", unicodedata.normalize("NFKC", label).casefold().strip())


def as_number(text: str) -> float | None:
    """Return the value of a label that is a finite decimal number (`1`, `01`, `1.0`, `-2.5`), else None."""
    return float(text) if re.fullmatch(r"[+-]?\d{1,15}(\.\d{0,15})?", text, re.ASCII) else None
