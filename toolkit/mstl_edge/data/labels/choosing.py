"""Which findings are told apart: some of them, under other names, the rest left out and counted."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from mstl_edge.data.files.labelled import DataSource, LabelledImage, some
from mstl_edge.data.files.walk import LeftOut
from mstl_edge.data.labels.classes import name_key
from mstl_edge.errors import DataError

SEVERAL = "|"
"""Between the findings of one image, as NIH ChestX-ray14 writes them."""
ANOTHER, MIXED = "another finding than those chosen", "several of the classes chosen"


@dataclass(frozen=True)
class Choice:
    """What the user chose of the findings.

    Attributes:
        renamed: `FINDING=CLASS` each; findings that none of them names are left out.
        only: Classes that stay, by their new names; empty: all.
    """

    renamed: tuple[str, ...] = ()
    only: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.renamed or self.only)


def findings_of(label: str) -> tuple[str, ...]:
    """Return what a label names, several findings or one."""
    return tuple(part.strip() for part in label.split(SEVERAL) if part.strip())


def together(findings: Iterable[str]) -> str:
    """Return several findings as one label."""
    return SEVERAL.join(sorted(set(findings)))


def with_chosen_classes(source: DataSource, choice: Choice) -> DataSource:
    """Return a source with the classes that were chosen.

    An image of no chosen class, or of several, is left out with its reason.

    Raises:
        DataError: A pair without `=`, a finding or a class that no image has, or no image left.
    """
    if not choice:
        return source
    counts = Counter(finding for image in source.images for finding in findings_of(image.label))
    classes = _classes(choice, counts)
    kept: list[LabelledImage] = []
    left_out: list[LeftOut] = []
    for image in source.images:
        own = {classes[key] for finding in findings_of(image.label) if (key := name_key(finding)) in classes}
        if len(own) == 1:
            kept.append(replace(image, label=own.pop()))
        else:
            left_out.append(LeftOut(image.name, MIXED if own else ANOTHER))
    if not kept:
        raise DataError(
            "an image of a chosen class alone", received=f"none of {len(source.images)}", hint=_there(counts)
        )
    labels = tuple(sorted({image.label for image in kept}))
    aside = tuple(sorted((*source.left_out, *left_out), key=lambda entry: entry.name))
    return replace(source, images=tuple(kept), labels=labels, left_out=aside)


def _classes(choice: Choice, counts: Counter[str]) -> dict[object, str]:
    """Return the class of each finding that has one, by its `name_key`."""
    known = {name_key(finding): finding for finding in counts}
    pairs = [_pair(text) for text in choice.renamed] or [(finding, finding) for finding in counts]
    for finding, _ in pairs:
        if name_key(finding) not in known:
            raise _nobody_has("a finding", finding, counts)
    classes = {name_key(finding): name for finding, name in pairs}
    if not choice.only:
        return classes
    images: Counter[str] = Counter()
    for finding, n in counts.items():
        if name_key(finding) in classes:
            images[classes[name_key(finding)]] += n
    for name in choice.only:
        if name_key(name) not in map(name_key, images):
            raise _nobody_has("a class", name, images)
    wanted = {name_key(name) for name in choice.only}
    return {finding: name for finding, name in classes.items() if name_key(name) in wanted}


def _pair(text: str) -> tuple[str, str]:
    finding, separator, name = (part.strip() for part in text.partition("="))
    if not separator or not finding or not name:
        raise DataError(
            "FINDING=CLASS", received=text, hint='For example --map "Pneumonia=pneumonia,No Finding=normal".'
        )
    return finding, name


def _nobody_has(what: str, name: str, counts: Counter[str]) -> DataError:
    near = difflib.get_close_matches(name, counts, n=1, cutoff=0.6)
    hint = f"Did you mean {near[0]}? " if near else ""
    return DataError(f"{what} that an image has", received=name, hint=hint + _there(counts))


def _there(counts: Counter[str]) -> str:
    return f"There are: {some((f'{finding} ({n:,})' for finding, n in counts.most_common()), shown=12)}"


def parsed(texts: Sequence[str] | None) -> tuple[str, ...]:
    """Return the entries of options that may be given several times, and hold several with commas between."""
    return tuple(part.strip() for text in texts or () for part in text.split(",") if part.strip())
