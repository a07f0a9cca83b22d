"""One picture under two labels: which copies contradict each other, and a set without them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from mstl_edge.data.files.labelled import LabelledImage
from mstl_edge.data.files.walk import LeftOut
from mstl_edge.data.scan import Scan

CONTRADICTORY = "the same picture under another label too"
"""Why a copy is left out where `split.conflicts` is `drop`."""


def conflicting_labels(images: Sequence[LabelledImage], scan: Scan) -> list[list[LabelledImage]]:
    """Return sets of files with one content under different labels."""
    by_content: defaultdict[str, list[LabelledImage]] = defaultdict(list)
    for image in images:
        by_content[scan.facts[image.name].sha256].append(image)
    return [same for same in by_content.values() if len({image.label for image in same}) > 1]


def without_contradictions(images: Sequence[LabelledImage], scan: Scan) -> Scan:
    """Leave out every copy of a picture that lies under two labels: nobody knows which of them is right."""
    contradicting = {image.name for same in conflicting_labels(images, scan) for image in same}
    if not contradicting:
        return scan
    facts = {name: fact for name, fact in scan.facts.items() if name not in contradicting}
    left_out = (*scan.left_out, *(LeftOut(name, CONTRADICTORY) for name in contradicting))
    return replace(scan, facts=facts, left_out=tuple(sorted(left_out, key=lambda entry: entry.name)))
