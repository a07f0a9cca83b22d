"""A file's doubt, fitted on its own answers to images that it was not trained on.

Those are the validation images and, where the last stage was cross-fitted, the training images, each answered by a file that was
made in the same way without it. What training images look like is told by the file's own features of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mstl_edge.artifact.doubt import Doubt, LabelSets, familiarity_record
from mstl_edge.counted import counted
from mstl_edge.metrics import conformal, familiarity
from mstl_edge.metrics.familiarity import Familiar
from mstl_edge.training.asking import Told, tell
from mstl_edge.training.trained import Trained, taking_turns
from mstl_edge.training.unseen.changed import changed

MOST_SEEN = 500
"""Training images that tell what such images look like."""
MOST_CHANGED = 100
"""Of them that are also looked at after something was done to them, in six ways."""


@dataclass(frozen=True)
class Unseen:
    """What a file said of images that it was not trained on.

    Attributes:
        classes: `(n,)` true class numbers.
        probabilities: `(n, classes)`.
        looks: `(n, 2)`, see `Familiar.looks`; None without a feature map.
    """

    classes: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    looks: NDArray[np.float64] | None


@dataclass(frozen=True)
class Doubted:
    """What a file's card says of its doubt, and what training images look like to it."""

    doubt: Doubt
    familiar: Familiar | None


def fit_doubt(
    flatbuffer: bytes, trained: Trained, crossed: Sequence[Unseen], *, level: float = conformal.LEVEL, threads: int
) -> Doubted:
    """Return a file's doubt.

    Args:
        flatbuffer: The model.
        trained: What it was made from; its test images are not touched.
        crossed: What files that were made in the same way said of training images that they had not seen.
        level: Share of images whose set of labels is promised to hold the true one.
        threads: Threads of the engine.
    """
    images, truths = trained.data.part("validation")
    familiar = look_at_seen(flatbuffer, trained, threads=threads)
    own = look_at_unseen(familiar, tell(flatbuffer, images.pixels, threads=threads), truths)
    parts = [own, *crossed]
    classes, probabilities = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("classes", "probabilities")
    )
    across = sum(len(part.classes) for part in crossed)
    origin = counted(len(own.classes), "validation image") + (
        f" and {counted(across, 'cross-fitted image')}" if across else ""
    )
    left_out = []
    bounds = conformal.fit_sets(classes, probabilities, level)
    sets = None
    if bounds is None:
        needed = conformal.images_needed(level)
        left_out.append(f"label sets: {level:.0%} needs {needed} images kept from training, there are {len(classes)}")
    else:
        sets = LabelSets(level=level, kind=bounds.kind, lowest=bounds.lowest, images=bounds.images, origin=origin)
    looks = [part.looks for part in parts if part.looks is not None]
    record = familiarity_record(familiar, np.concatenate(looks)) if familiar is not None and looks else None
    if record is None:
        left_out.append(f"familiarity: {_why_unfamiliar(familiar, own, len(classes))}")
    return Doubted(
        Doubt(sets=sets, familiarity=record, left_out=tuple(left_out)), familiar if record is not None else None
    )


def _why_unfamiliar(familiar: Familiar | None, own: Unseen, unseen: int) -> str:
    if own.looks is None and familiar is None:
        return "the file does not put its feature map out, or there are too few training images"
    needed = conformal.images_needed(familiarity.LEVEL)
    return f"{familiarity.LEVEL:.0%} needs {needed} images kept from training, there are {unseen}"


def look_at_seen(flatbuffer: bytes, trained: Trained, *, threads: int) -> Familiar | None:
    """Return what training images look like to a file; None where it does not put its feature map out, or they are too few."""
    images, classes = trained.data.part("train")
    order = taking_turns(classes, trained.seed)
    seen = tell(flatbuffer, images.pixels.select(np.sort(order[:MOST_SEEN])), threads=threads).pooled
    familiar = None if seen is None else familiarity.fit_familiar(seen)
    if seen is None or familiar is None:
        return None
    some = np.asarray(images.pixels[np.sort(order[:MOST_CHANGED])], dtype=np.uint8)
    others = tell(flatbuffer, changed(some, trained.seed), threads=threads).pooled
    return familiar if others is None else replace(familiar, changed=familiarity.fit_changed(seen, others))


def look_at_unseen(familiar: Familiar | None, told: Told, classes: NDArray[np.int64]) -> Unseen:
    """Return what a file said of images that it was not trained on, and how they look beside those that it was."""
    looks = None if familiar is None or told.pooled is None else familiar.looks(told.pooled)
    return Unseen(classes, told.probabilities, looks)
