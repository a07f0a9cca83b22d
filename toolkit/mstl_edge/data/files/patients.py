"""Whose image it is: by an expression that the user gives, or by the names that well-known public sets give their files."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from mstl_edge.data.files.labelled import DataSource, LabelledImage
from mstl_edge.errors import DataError


@dataclass(frozen=True)
class PublicNames:
    """How a public set names its files: `stem` fits a whole name without its suffix, and its first group is the patient."""

    title: str
    stem: re.Pattern[str]


PUBLIC = (
    PublicNames("NIH ChestX-ray14", re.compile(r"(000[0-3]\d{4})_\d{3}")),
    PublicNames("Kermany et al., chest X-rays", re.compile(r"(person\d+_(?:bacteria|virus))_\d+")),
    PublicNames("Kermany et al., chest X-rays", re.compile(r"((?:NORMAL2-)?IM-\d{4})-\d{4}(?:-\d{4})?")),
    PublicNames("Kermany et al., chest X-rays", re.compile(r"(?:NORMAL|BACTERIA|VIRUS)-(\d+)-\d{4}")),
    PublicNames("Kermany et al., OCT", re.compile(r"(?:CNV|DME|DRUSEN|NORMAL)-(\d+)-\d{1,3}")),
    PublicNames("BreakHis", re.compile(r"SOB_[BM]_[A-Z]+-(\d{2}-\d+[A-Z]*)-\d+-\d+")),
)
"""Expressions that hardly any other name fits."""


def with_patients(source: DataSource, expression: str) -> DataSource:
    """Return a source whose patients an expression tells.

    Raises:
        DataError: It is none, or misses a file name.
    """
    try:
        pattern = re.compile(expression)
    except (re.error, OverflowError, RecursionError) as error:
        raise DataError(f"a regular expression for patients ({error})", received=expression) from error
    found = {image.name: pattern.search(image.path.name) for image in source.images}
    patients = {name: match.group(1 if pattern.groups else 0) for name, match in found.items() if match is not None}
    # An empty match is no patient: all images of such a name would be one patient's.
    strangers = [image.name for image in source.images if not patients.get(image.name)]
    if strangers:
        raise DataError(
            "a patient expression that matches every file name",
            received=f"{expression!r}, which misses {len(strangers)} of {len(found)}, such as {strangers[0]}",
            hint="Its first group is the patient, as in '^(p[0-9]+)_'.",
        )
    images = tuple(replace(image, patient=patients[image.name]) for image in source.images)
    return replace(source, images=images)


def with_public_patients(source: DataSource) -> DataSource:
    """Return a source whose patients are told by the names of public sets, and what was recognised in its notes.

    Names that are of no such set leave their images without a patient. A source that names patients itself stays as it is.
    """
    if any(image.patient is not None for image in source.images):
        return source
    images: list[LabelledImage] = []
    examples: dict[str, str] = {}
    for image in source.images:
        stem = PurePosixPath(image.name).stem
        named = next(((known, match) for known in PUBLIC if (match := known.stem.fullmatch(stem))), None)
        if named is None:
            images.append(image)
            continue
        known, match = named
        images.append(replace(image, patient=match.group(1)))
        examples.setdefault(known.title, f"{image.path.name} is patient {match.group(1)}")
    told = sum(image.patient is not None for image in images)
    if not told:
        return source
    whose = "" if told == len(images) else f" of {told:,} of {len(images):,} images"
    notes = tuple(
        f"patients{whose} by the file names of {title} ({example}); another rule: --patient EXPRESSION"
        for title, example in examples.items()
    )
    return replace(source, images=tuple(images), notes=(*source.notes, *notes))
