"""What is wrong, or worth knowing, about a data set, before anything is trained on it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from mstl_edge.counted import counted
from mstl_edge.data.contradictions import conflicting_labels
from mstl_edge.data.duplicates import near_duplicates
from mstl_edge.data.files.labelled import SPLITS, DataSource, LabelledImage
from mstl_edge.data.files.walk import LeftOut, Unreadable
from mstl_edge.data.scan import Scan, owners_of
from mstl_edge.data.shortcuts import Shortcut, find_shortcuts
from mstl_edge.data.splits import (
    agreeing,
    deal_out,
    declared_gaps,
    group_images,
    leaks,
    losses,
    readable_images,
)
from mstl_edge.errors import DataError
from mstl_edge.recipe import SplitSpec

SCHEMA = "mstl-edge/audit/1"
FEW_IN_ALL = 50
"""Images of a class; of fewer, an accuracy near 0.9 has an interval wider than 17 points (Wilson, 95 %)."""
FEW_IN_A_PART = 10
"""Images of a class in a part; one of so few that is answered otherwise moves the accuracy by ten points."""


@dataclass(frozen=True)
class SizeCount:
    """How many images have this size in pixels."""

    width: int
    height: int
    n: int


@dataclass(frozen=True)
class NearDuplicate:
    """Two images that look the same without being the same file."""

    first: str
    second: str
    similarity: float
    same_label: bool


@dataclass(frozen=True)
class Leak:
    """One patient or cluster of near-duplicates in several of the declared splits."""

    group: str
    images: tuple[str, ...]


@dataclass(frozen=True)
class FewImages:
    """A class of which so few images are there that what is measured on it says little.

    `part` is the one with the fewest of them, and `in_part` how many; both are None where no parts can be dealt.
    """

    label: str
    images: int
    part: str | None = None
    in_part: int | None = None

    @property
    def words(self) -> str:
        """The finding as a sentence."""
        told = f"class {self.label} has {counted(self.images, 'image')}"
        if self.in_part is None or self.in_part >= FEW_IN_A_PART:
            return f"{told}, fewer than {FEW_IN_ALL}: its accuracy will have a wide interval"
        return f"{told}, {self.in_part} of them for {self.part}: its accuracy will say little"


@dataclass(frozen=True)
class Audit:
    """The findings; `errors` are those that training refuses, each a line, `warnings` those that make its results doubtful.

    `shortcuts` say how well the class is told by something beside what is shown.
    `patients` counts images per patient (empty where patients are unknown), `groups` the independent units that a split deals out.
    """

    source: str
    images: int
    classes: dict[str, int]
    declared: dict[str, dict[str, int]]
    sizes: tuple[SizeCount, ...]
    modes: dict[str, int]
    patients_known: bool
    patients: dict[str, int]
    groups: int
    unreadable: tuple[Unreadable, ...]
    exact_duplicates: tuple[tuple[str, ...], ...]
    near_duplicates: tuple[NearDuplicate, ...]
    conflicts: tuple[tuple[str, ...], ...]
    leaks: tuple[Leak, ...]
    missing: tuple[str, ...]
    unlabelled: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    errors: tuple[str, ...]
    warnings: tuple[FewImages, ...] = ()
    shortcuts: tuple[Shortcut, ...] = ()
    schema: str = SCHEMA

    @property
    def patients_with_several_images(self) -> int:
        """How many patients a split by image would have leaked."""
        return sum(count > 1 for count in self.patients.values())

    def to_tree(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        tree: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        told = [warning | {"words": said.words} for warning, said in zip(tree["warnings"], self.warnings, strict=True)]
        ways = [
            way | {"tells": said.tells, "words": said.words}
            for way, said in zip(tree["shortcuts"], self.shortcuts, strict=True)
        ]
        several = self.patients_with_several_images
        return tree | {"warnings": told, "shortcuts": ways, "patients_with_several_images": several}


def audit_source(source: DataSource, scan: Scan, spec: SplitSpec | None = None) -> Audit:
    """Count, compare and cross-check everything the scan found.

    Args:
        source: The data set.
        scan: What its files hold.
        spec: The split that training would make of it; default that of a recipe which says nothing.
    """
    spec = spec or SplitSpec()
    images = readable_images(source, scan)
    conflicts = tuple(tuple(image.name for image in same) for same in conflicting_labels(images, scan))
    scan = agreeing(source, scan, spec)
    images = readable_images(source, scan)
    groups, patients_known = group_images(source, scan)
    leaking = tuple(
        Leak(group, tuple(image.name for image in same)) for group, same in sorted(leaks(images, groups).items())
    )
    classes = _counts(image.label for image in images)
    refusals, parts = _refusals(source, scan, groups, spec) if images else ([], {})
    sizes = Counter((scan.facts[image.name].width, scan.facts[image.name].height) for image in images)
    return Audit(
        source=source.source,
        images=len(images),
        classes=classes,
        declared=_declared(images),
        sizes=tuple(SizeCount(width, height, n) for (width, height), n in sizes.most_common()),
        modes=_counts(scan.facts[image.name].mode for image in images),
        patients_known=patients_known,
        patients=_counts(_patients(images, scan)) if patients_known else {},
        groups=len(set(groups)),
        unreadable=scan.unreadable,
        exact_duplicates=_exact_duplicates(images, scan),
        near_duplicates=_near_duplicates(images, scan),
        conflicts=conflicts,
        leaks=leaking,
        missing=source.missing,
        unlabelled=source.unlabelled,
        left_out=scan.left_out,
        notes=(*source.notes, *scan.notes()),
        errors=(
            *_contradictions(images, () if spec.conflicts == "drop" else conflicts, () if spec.resplit else leaking),
            *map(_line, refusals),
        ),
        warnings=_few_images(classes, parts),
        shortcuts=find_shortcuts(
            [scan.facts[image.name] for image in images], [image.label for image in images], groups
        ),
    )


def _patients(images: Sequence[LabelledImage], scan: Scan) -> Iterator[str]:
    """Yield whose picture each is: the patient as names or labels tell them, else the first picture of the same one by its tags."""
    first: dict[bytes, str] = {}
    for image, owner in zip(images, owners_of([scan.facts[image.name] for image in images]).patients, strict=True):
        yield image.patient if image.patient is not None else first.setdefault(owner, image.name)


def _counts(values: Any) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def _declared(images: Sequence[LabelledImage]) -> dict[str, dict[str, int]]:
    return {
        split: _counts(image.label for image in images if image.declared == split)
        for split in SPLITS
        if any(image.declared == split for image in images)
    }


def _exact_duplicates(images: Sequence[LabelledImage], scan: Scan) -> tuple[tuple[str, ...], ...]:
    by_content: defaultdict[str, list[str]] = defaultdict(list)
    for image in images:
        by_content[scan.facts[image.name].sha256].append(image.name)
    return tuple(tuple(names) for names in by_content.values() if len(names) > 1)


def _near_duplicates(images: Sequence[LabelledImage], scan: Scan) -> tuple[NearDuplicate, ...]:
    facts = [scan.facts[image.name] for image in images]
    return tuple(
        NearDuplicate(
            images[pair.first].name,
            images[pair.second].name,
            pair.similarity,
            images[pair.first].label == images[pair.second].label,
        )
        for pair in near_duplicates([fact.fingerprint for fact in facts])
        if facts[pair.first].sha256 != facts[pair.second].sha256
    )


def _refusals(
    source: DataSource, scan: Scan, groups: Sequence[str], spec: SplitSpec
) -> tuple[list[DataError], dict[str, dict[str, int]]]:
    """Return what else training would refuse, and how many images of each class its parts would hold.

    Of declared splits that leak one has been told to deal anew already.
    """
    images = readable_images(source, scan)
    found = list(losses(source, scan, spec.limit_unreadable))
    if any(image.declared for image in images) and not spec.resplit:
        gaps = [] if leaks(images, groups) else declared_gaps(images, source.labels)
        return [*found, *gaps], _declared(images)
    try:
        dealt = deal_out(images, groups, spec, seed=0)
    except DataError as error:
        return [*found, error], {}
    parts: dict[str, dict[str, int]] = {
        split: _counts(image.label for image, part in zip(images, dealt, strict=True) if part == split)
        for split in SPLITS
    }
    return found, parts


def _few_images(classes: Mapping[str, int], parts: Mapping[str, Mapping[str, int]]) -> tuple[FewImages, ...]:
    """Return the classes of which too few images are there, in all or in a part; the first seed stands for any."""
    found = []
    for label, images in classes.items():
        part, least = min(
            ((split, held.get(label, 0)) for split, held in parts.items()), key=lambda one: one[1], default=(None, None)
        )
        if images < FEW_IN_ALL or (least is not None and least < FEW_IN_A_PART):
            found.append(FewImages(label, images, part, least))
    return tuple(found)


def _line(refusal: DataError) -> str:
    """Return an error as a line; what to type is left out where it is this audit."""
    hint = "" if "mstl-edge data check" in refusal.hint else refusal.hint
    return f"expected {refusal.expected}. Received: {refusal.received}. {hint}".rstrip()


def _contradictions(
    images: Sequence[LabelledImage], conflicts: Sequence[tuple[str, ...]], leaking: Sequence[Leak]
) -> tuple[str, ...]:
    found = []
    if not images:
        found.append("no image can be read")
    if conflicts:
        found.append(f"{counted(len(conflicts), 'image appears', 'images appear')} under two labels")
    if leaking:
        found.append(
            f"{counted(len(leaking), 'patient or near-duplicate lies', 'patients or near-duplicates lie')} in more than one "
            "declared split; deal anew with --resplit"
        )
    return tuple(found)
