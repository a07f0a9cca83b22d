"""Who trains, who validates, who tests: stratified, grouped by patient, seeded; a leak is an error."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from mstl_edge.data.contradictions import CONTRADICTORY, conflicting_labels, without_contradictions
from mstl_edge.data.dealing import deal
from mstl_edge.data.duplicates import near_duplicates
from mstl_edge.data.files.labelled import SPLITS, DataSource, LabelledImage, Split, left_out_lines, some
from mstl_edge.data.files.walk import LeftOut, Unreadable
from mstl_edge.data.scan import Scan, owners_of
from mstl_edge.errors import DataError
from mstl_edge.recipe import SplitSpec
from mstl_edge.storage import write_bytes

SCHEMA = "mstl-edge/manifest/1"
LEAST_VALIDATION = 50
"""Fewer validation images than this cannot choose an epoch or a threshold (the Kaggle chest set declares 16)."""

_COPIES = "copies of a picture under another label"
_RESPLIT = "Deal anew with --resplit."


@dataclass(frozen=True)
class ManifestRow:
    """One image: its path below the source's folder, class, group that stays together, part, and SHA-256 of the file."""

    name: str
    label: str
    group: str
    split: Split
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """How a source was dealt out; saved with the run. Where `patients_known` is false, groups are near-duplicates."""

    source: str
    labels: tuple[str, ...]
    rows: tuple[ManifestRow, ...]
    patients_known: bool
    unreadable: tuple[Unreadable, ...]
    missing: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    schema: str = SCHEMA

    def part(self, split: Split) -> tuple[ManifestRow, ...]:
        """Return the rows of one part, sorted by name."""
        return tuple(row for row in self.rows if row.split == split)

    def remarks(self) -> tuple[str, ...]:
        """Say in words what was chosen among the files and labels, and what was left out."""
        return (*self.notes, *left_out_lines(self.left_out))


def split_source(source: DataSource, scan: Scan, spec: SplitSpec, *, seed: int) -> Manifest:
    """Deal the readable images into training, validation and test.

    Splits that the source declares, by its folders or by a column of its labels, are kept if they are free of leaks and have
    `LEAST_VALIDATION` images to validate on, unless `spec.resplit`.

    Raises:
        DataError: Too few images or groups of a class, too many unreadable, missing or unlabelled files, one content under
            two labels (unless `spec.conflicts` leaves it out), or declared splits that cannot be kept.
    """
    scan = agreeing(source, scan, spec)
    for refusal in losses(source, scan, spec.limit_unreadable):
        raise refusal
    images = readable_images(source, scan)
    _check_labels_agree(images, scan, source.check)
    groups, patients_known = group_images(source, scan)
    if any(image.declared for image in images) and not spec.resplit:
        parts = _declared_parts(images, groups, source.labels)
    else:
        parts = deal_out(images, groups, spec, seed=seed)
    rows = [
        ManifestRow(image.name, image.label, group, part, scan.facts[image.name].sha256)
        for image, group, part in zip(images, groups, parts, strict=True)
    ]
    rows.sort(key=lambda row: row.name)
    if spec.subset:
        rows = _with_fewer_to_train_on(rows, spec.subset, seed)
    return Manifest(
        source=source.source, labels=source.labels, rows=tuple(rows), patients_known=patients_known,
        unreadable=scan.unreadable, missing=source.missing, unlabelled=source.unlabelled,
        left_out=scan.left_out, notes=(*source.notes, *scan.notes()),
    )  # fmt: skip


def agreeing(source: DataSource, scan: Scan, spec: SplitSpec) -> Scan:
    """Return the scan without pictures under two labels, where `spec` leaves them out."""
    return without_contradictions(readable_images(source, scan), scan) if spec.conflicts == "drop" else scan


def deal_out(images: Sequence[LabelledImage], groups: Sequence[str], spec: SplitSpec, *, seed: int) -> list[Split]:
    """Return the part of each image, whatever splits are declared.

    Raises:
        DataError: Too few groups of a class.
    """
    shares = (1 - spec.validation - spec.test, spec.validation, spec.test)
    return [SPLITS[part] for part in deal([image.label for image in images], groups, shares, seed=seed)]


def readable_images(source: DataSource, scan: Scan) -> tuple[LabelledImage, ...]:
    """Return the images of the source that the scan could read, in the source's order."""
    return tuple(image for image in source.images if image.name in scan.facts)


def group_images(source: DataSource, scan: Scan) -> tuple[list[str], bool]:
    """Return the group of each of `readable_images`, and whether patients are known.

    Images of one patient, files with one content, and near-duplicates are one group, also across patients; so are those of one
    patient, study or series by their DICOM tags. A group is named by its first patient as names or labels tell them, else by its
    first image: tags name nothing.
    """
    images = readable_images(source, scan)
    tags = owners_of([scan.facts[image.name] for image in images])
    patients_known = bool(images) and all(
        image.patient is not None or patient for image, patient in zip(images, tags.patients, strict=True)
    )
    by_name = all(image.patient is not None for image in images)
    roots = list(range(len(images)))

    def root(position: int) -> int:
        while roots[position] != position:
            roots[position] = roots[roots[position]]
            position = roots[position]
        return position

    seen: dict[str, int] = {}
    for position, image in enumerate(images):
        keys = [f"file {scan.facts[image.name].sha256}"]
        if image.patient is not None:
            keys.append(f"patient {image.patient}")
        for key in (*keys, *(owner.hex() for owner in tags.together[position])):
            roots[root(position)] = root(seen.setdefault(key, position))
    for pair in near_duplicates([scan.facts[image.name].fingerprint for image in images]):
        roots[root(pair.first)] = root(pair.second)
    members: defaultdict[int, list[str]] = defaultdict(list)
    for position, image in enumerate(images):
        members[root(position)].append(image.patient if by_name and image.patient is not None else image.name)
    names = {position: min(group) for position, group in members.items()}
    return [names[root(position)] for position in range(len(images))], patients_known


def leaks(images: Sequence[LabelledImage], groups: Sequence[str]) -> dict[str, list[LabelledImage]]:
    """Return the groups that lie in more than one declared split, with their images."""
    by_group: defaultdict[str, list[LabelledImage]] = defaultdict(list)
    for image, group in zip(images, groups, strict=True):
        by_group[group].append(image)
    return {group: same for group, same in by_group.items() if len({image.declared for image in same}) > 1}


def _declared_parts(images: Sequence[LabelledImage], groups: Sequence[str], labels: Sequence[str]) -> list[Split]:
    leaking = leaks(images, groups)
    if leaking:
        example = next(iter(leaking.values()))
        raise DataError(
            "splits that share no patient and no near-duplicate image",
            received=f"{len(leaking)} groups across splits, such as {example[0].name} and {_elsewhere(example).name}",
            hint=_RESPLIT,
        )
    for gap in declared_gaps(images, labels):
        raise gap
    return [image.declared for image in images if image.declared is not None]


def declared_gaps(images: Sequence[LabelledImage], labels: Sequence[str]) -> Iterator[DataError]:
    """Yield what declared splits lack to be trained on."""
    undeclared = [image.name for image in images if image.declared is None]
    if undeclared:
        yield DataError(
            "every image in one of the declared splits train, validation and test",
            received=f"{len(undeclared)} of {len(images)} in none, such as {undeclared[0]}",
            hint=_RESPLIT,
        )
    counts = Counter(image.declared for image in images)
    if counts["validation"] < LEAST_VALIDATION:
        yield DataError(
            f"at least {LEAST_VALIDATION} validation images in the splits that the data declare",
            received=counts["validation"],
            hint=_RESPLIT,
        )
    present = {(image.declared, image.label) for image in images}
    for split in SPLITS:
        for label in labels:
            if (split, label) not in present:
                yield DataError(f"images of {label!r} in the declared {split} split", received="none", hint=_RESPLIT)


def _elsewhere(images: Sequence[LabelledImage]) -> LabelledImage:
    return next(image for image in images if image.declared != images[0].declared)


def losses(source: DataSource, scan: Scan, limit: float) -> Iterator[DataError]:
    """Yield why too much of a source is lost to train on what is left.

    Args:
        source: Its missing and unlabelled images.
        scan: Its unreadable files.
        limit: The largest share of each.
    """
    told: Mapping[str, Sequence[str]] = {
        "unreadable files": [f"{lost.name}: {lost.reason}" for lost in scan.unreadable],
        "labels without an image": source.missing,
        "images without a label": source.unlabelled,
        _COPIES: [lost.name for lost in scan.left_out if lost.reason == CONTRADICTORY],
    }
    for what, lost in told.items():
        beside = {"unreadable files": source.unreadable, _COPIES: ()}.get(what, lost)
        total = len(source.images) + len(beside)
        if len(lost) > limit * total:
            yield DataError(
                f"at most {limit:.0%} {what}",
                received=f"{len(lost)} of {total} ({'; '.join(lost[:3])}{' …' if len(lost) > 3 else ''})",
                hint=f"List them: {source.check}; mend them, or raise stages.NAME.split.limit_unreadable.",
            )
    folders = [f"{lost.name} ({lost.reason})" for lost in scan.unreadable if lost.name.endswith("/")]
    if folders:
        yield DataError(
            "folders that can be looked into",
            received=some(folders),
            hint=f"Give yourself the right to read them: chmod -R u+rX {shlex.quote(str(source.folder))}",
        )
    left = {image.label for image in readable_images(source, scan)}
    reasons = {lost.name: lost.reason for lost in scan.left_out} | {lost.name: lost.reason for lost in scan.unreadable}
    for label in source.labels:
        if label not in left:
            own = [image.name for image in source.images if image.label == label]
            yield DataError(
                f"an image of class {label!r} that can be used",
                received=f"none of {len(own)}, such as {own[0]} ({reasons.get(own[0], 'unreadable')})",
                hint="Mend its files, or take it out of the data set.",
            )


def _check_labels_agree(images: Sequence[LabelledImage], scan: Scan, check: str) -> None:
    conflicts = conflicting_labels(images, scan)
    if conflicts:
        example = ", ".join(f"{image.name} ({image.label})" for image in conflicts[0][:3])
        raise DataError(
            "one label for one image",
            received=f"{len(conflicts)} contents under two labels, such as {example}",
            hint="Remove the wrong copies, or leave all of them out: --set stages.NAME.split.conflicts=drop; "
            f"all of them: {check}",
        )


def _with_fewer_to_train_on(rows: list[ManifestRow], subset: int, seed: int) -> list[ManifestRow]:
    """Keep about `subset` training images, each class in proportion; a smaller subset lies inside a larger one."""
    training = [row for row in rows if row.split == "train"]
    counts = Counter(row.label for row in training)
    if subset < len(counts):
        raise DataError(
            f"a subset of at least {len(counts)} training images, one per class", received=f"split.subset={subset}"
        )
    order = np.random.default_rng((seed, 1)).permutation(len(training))
    quota = {label: max(1, round(subset * count / len(training))) for label, count in counts.items()}
    kept: set[str] = set()
    for position in order:
        row = training[int(position)]
        if quota[row.label] > 0:
            quota[row.label] -= 1
            kept.add(row.name)
    return [row for row in rows if row.split != "train" or row.name in kept]


def save_manifest(path: Path, manifest: Manifest) -> None:
    """Write the manifest as JSON, whole or not at all."""
    write_bytes(path, msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")


def load_manifest(path: Path) -> Manifest:
    """Read a manifest that `save_manifest` wrote.

    Raises:
        DataError: Missing, damaged, or of another version.
    """
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(f"a split manifest ({error})", received=path) from error
    if manifest.schema != SCHEMA:
        raise DataError(f"a split manifest of schema {SCHEMA}", received=manifest.schema)
    return manifest
