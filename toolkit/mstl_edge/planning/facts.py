"""What a data set is, as far as a recipe's choices depend on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mstl_edge.counted import counted
from mstl_edge.data.contradictions import CONTRADICTORY
from mstl_edge.data.duplicates import near_duplicates
from mstl_edge.data.files.walk import LeftOut, Unreadable
from mstl_edge.data.seen import Seen
from mstl_edge.data.splits import agreeing, declared_gaps, group_images, leaks, readable_images
from mstl_edge.errors import DataError
from mstl_edge.recipe import SplitSpec
from mstl_edge.schemas.choices import SetFacts

MOST_CLASSES = 100
"""More classes than this, and the folders are likely patients or dates."""
_DROPPING = SplitSpec(conflicts="drop")


def facts_of(seen: Seen) -> SetFacts:
    """Return what is worth knowing of a data set whose contradictory copies are left out.

    Raises:
        DataError: No image can be read, or there are more classes than any classifier of this kind has.
    """
    source, scan = seen.source, agreeing(seen.source, seen.scan, _DROPPING)
    images = readable_images(source, scan)
    if not images:
        lost: list[Unreadable | LeftOut] = [*scan.unreadable, *scan.left_out]
        first = f"{lost[0].name}: {lost[0].reason}" if lost else "none at all"
        raise DataError(
            "images that can be read", received=f"none of {len(source.images)} ({first})", hint=source.check
        )
    if len(source.labels) > MOST_CLASSES:
        raise DataError(
            f"at most {MOST_CLASSES} classes",
            received=f"{len(source.labels)} in {source.source}, such as {', '.join(source.labels[:3])}",
            hint="Folders of patients or dates are no classes: put the images into a folder per class, or name a CSV of labels.",
        )
    facts = [scan.facts[image.name] for image in images]
    groups, patients_known = group_images(source, scan)
    declared = any(image.declared for image in images)
    gaps = [] if not declared else list(declared_gaps(images, source.labels))
    leaking = leaks(images, groups) if declared else {}
    unusable = f"{len(leaking)} patients or near-duplicates lie in more than one of them" if leaking else ""
    if gaps and not unusable:
        unusable = f"{gaps[0].received} instead of {gaps[0].expected}"
    return SetFacts(
        source=source.source,
        images=len(images),
        classes=dict(sorted(Counter(image.label for image in images).items())),
        width=_span([fact.width for fact in facts]),
        height=_span([fact.height for fact in facts]),
        grey=sum(fact.grey for fact in facts),
        patients=len({image.patient for image in images}) if patients_known else None,
        groups=len(set(groups)),
        near_duplicates=len(near_duplicates([fact.fingerprint for fact in facts])),
        contradictory=sum(entry.reason == CONTRADICTORY for entry in scan.left_out),
        unreadable=len(scan.unreadable),
        declared=declared,
        unusable=unusable,
    )


def _span(values: Sequence[int]) -> tuple[int, int, int]:
    ordered = sorted(values)
    return ordered[0], ordered[len(ordered) // 2], ordered[-1]


def told(facts: SetFacts) -> str:
    """Say in one line what was seen: images, classes, sizes, colour, patients, duplicates."""
    counts = ", ".join(f"{label} {n:,}" for label, n in list(facts.classes.items())[:6])
    if len(facts.classes) > 6:
        counts += f" and {len(facts.classes) - 6} more classes"
    grey = "grey" if facts.grey == facts.images else "colour" if not facts.grey else f"{facts.grey:,} of them grey"
    patients = "patients unknown" if facts.patients is None else f"{facts.patients:,} patients"
    parts = [f"{facts.images:,} images ({counts})", f"{_size(facts)}", grey, patients]
    if facts.near_duplicates:
        parts.append(f"{facts.near_duplicates:,} near-duplicates")
    return ", ".join(parts)


def _size(facts: SetFacts) -> str:
    low, middle, high = ([facts.width[i], facts.height[i]] for i in range(3))
    if low == high:
        return f"{low[0]}×{low[1]} pixels"
    return f"{low[0]}×{low[1]} to {high[0]}×{high[1]} pixels, in the middle {middle[0]}×{middle[1]}"


def left_out(facts: SetFacts) -> str:
    """Say what is left out of the images; empty where nothing is."""
    parts = []
    if facts.contradictory:
        parts.append(f"{facts.contradictory:,} copies of pictures that lie under two labels")
    if facts.unreadable:
        parts.append(f"{counted(facts.unreadable, 'unreadable file')}")
    return f"left out: {' and '.join(parts)}" if parts else ""
