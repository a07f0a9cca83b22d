"""Where a study's numbers come from: recipes, images, package versions and seconds, without a path of anyone's machine."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePath
from statistics import fmean

import msgspec
from msgspec import Struct

from mstl_edge.artifact import without_paths
from mstl_edge.data.splits import Manifest
from mstl_edge.errors import RunError
from mstl_edge.recipe import to_tree
from mstl_edge.schemas.study import ArmOrigin, Provenance
from mstl_edge.schemas.study_plan import Arm
from mstl_edge.storage import digest, write_bytes
from mstl_edge.study.folder import StudyFolder
from mstl_edge.study.folds import EVERYTHING


class TrainingRecord(Struct, frozen=True):
    """One arm in one fold: seconds over all its schemes and sessions, versions by package, and the kind of CPU; the rest as in
    `ArmOrigin`.

    Of a training that was stopped and gone on with, nobody knows `training_seconds` and `peak_bytes`.
    """

    seconds: float
    versions: dict[str, str]
    training_seconds: float | None = None
    peak_bytes: int | None = None
    moved: dict[str, float] = {}
    cpu: str = ""


def write_record(path: Path, record: TrainingRecord) -> None:
    """Write a record, whole or not at all."""
    write_bytes(path, msgspec.json.encode(record) + b"\n")


def provenance(study: StudyFolder) -> Provenance:
    """Return what `study.json` says of its origin.

    `seconds` of an arm sum up its folds on whole training parts; None where a fold's are not known.

    Raises:
        RunError: A record is damaged.
    """
    plan = study.plan()
    records = {
        arm.name: [_read(study.training(arm.name, *place, EVERYTHING)) for place in plan.places] for arm in plan.arms
    }
    return Provenance(
        manifest_sha256=manifest_hash(study.manifest()),
        cpus=tuple(sorted({one.cpu for several in records.values() for one in several if one is not None and one.cpu})),
        versions=_versions(record for several in records.values() for record in several if record is not None),
        arms=tuple(_origin(arm, records[arm.name]) for arm in plan.arms),
    )


def _origin(arm: Arm, records: list[TrainingRecord | None]) -> ArmOrigin:
    kept = [record for record in records if record is not None]
    known = [record.seconds for record in kept]
    trained = [record.training_seconds for record in kept if record.training_seconds is not None]
    peaks = [record.peak_bytes for record in kept if record.peak_bytes is not None]
    moved = [record.moved for record in kept if record.moved]
    return ArmOrigin(
        name=arm.name,
        schemes=arm.schemes,
        seconds=round(sum(known), 1) if len(known) == len(records) else None,
        training_seconds=round(fmean(trained), 1) if trained else None,
        peak_bytes=round(fmean(peaks)) if peaks else None,
        moved={layer: round(fmean(one.get(layer, 0.0) for one in moved), 5) for layer in moved[0]} if moved else {},
        recipe=without_paths(to_tree(arm.recipe), _last_component),
    )


def _last_component(path: str) -> str:
    return PurePath(path.replace("\\", "/")).name or "local"


def _versions(records: Iterable[TrainingRecord]) -> dict[str, str]:
    """Return every version that a fold was trained in; more than one where packages changed before the study was finished."""
    found: dict[str, set[str]] = {}
    for record in records:
        for package, version in record.versions.items():
            found.setdefault(package, set()).add(version)
    return {package: ", ".join(sorted(versions)) for package, versions in sorted(found.items())}


def manifest_hash(manifest: Manifest) -> str:
    """Return a SHA-256 of labels, names, groups and contents; it says nothing of where the images lie or of any split."""
    rows = [[row.name, row.label, row.group, row.sha256] for row in manifest.rows]
    return digest(msgspec.json.encode([manifest.labels, rows])).hex()


def _read(path: Path) -> TrainingRecord | None:
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=TrainingRecord)
    except msgspec.DecodeError as error:
        raise RunError(
            f"the record of a training of this study ({error})",
            received=path,
            hint="Delete the file: the study goes without that training's seconds.",
        ) from error
