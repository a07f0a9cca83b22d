"""What a model file promises about its own doubt: sets of labels, and when an image is unlike those it was trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from mstl_edge.errors import ArtifactError
from mstl_edge.metrics.familiarity import LEVEL, MOST_BYTES, Changed, Familiar, Usual, fit_bound, fit_usual

FAMILIARITY_FILE, CHANGED_FILE = "familiarity.f16", "changed.f16"
_LEAST_BOUND = 1e-6
_Share = Annotated[float, Meta(gt=0.0, lt=1.0)]


class LabelSets(Struct, frozen=True, kw_only=True):
    """Which labels `predict` names for an image, and how often the true one is among them; see `metrics.conformal`.

    `lowest` and `images` are in the order of the card's labels; `origin` says whose answers to which images the bounds rest on.
    """

    level: _Share
    kind: Literal["class-conditional", "marginal"]
    lowest: tuple[float, ...]
    images: tuple[int, ...]
    origin: str = ""

    @property
    def whose(self) -> str:
        """Of which images the level is promised, in words."""
        return "of each class" if self.kind == "class-conditional" else "of all classes together"


_Two = tuple[float, float]


class ChangedRecord(Struct, frozen=True, kw_only=True):
    """When an image is unlike the training images, or like changed ones; see `metrics.familiarity`.

    The score adds how far both lie beyond `middle`, in steps of `spread`; a share of unseen images as promised lies within `bound`.
    `offset` and `along` are those of `Changed`, whose direction `file` holds as little-endian float16, `(channels,)`.
    """

    bound: Annotated[float, Meta(gt=0.0)]
    offset: float
    along: Annotated[float, Meta(gt=0.0)]
    middle: _Two
    spread: tuple[Annotated[float, Meta(gt=0.0)], Annotated[float, Meta(gt=0.0)]]
    sha256: str
    file: Literal["changed.f16"] = "changed.f16"


class FamiliarityRecord(Struct, frozen=True, kw_only=True):
    """When an image is unlike the training images; see `metrics.familiarity`.

    A share `level` of unseen images of the same kind lies within `bound`, which rests on `images` of them. `file` holds mean and
    components as little-endian float16, `(1 + len(variances), channels)`. Where there is `changed`, its score and bound count;
    a reader that does not know it goes by the distance alone.
    """

    bound: Annotated[float, Meta(gt=0.0)]
    level: _Share
    images: int
    variances: Annotated[tuple[Annotated[float, Meta(gt=0.0)], ...], Meta(min_length=2)]
    rest: Annotated[float, Meta(gt=0.0)]
    sha256: str
    file: Literal["familiarity.f16"] = "familiarity.f16"
    changed: ChangedRecord | None = None

    @property
    def reach(self) -> float:
        """The bound that counts."""
        return self.bound if self.changed is None else self.changed.bound

    def judge(self, familiar: Familiar, pooled: NDArray[np.floating]) -> tuple[float, float]:
        """Return the score of one image, `(1, channels)`, and the bound up to which it is like the training images."""
        if self.changed is None:
            return float(familiar.distance(pooled)[0]), self.bound
        usual = Usual(self.changed.middle, self.changed.spread)
        return float(usual.scores(familiar.looks(pooled))[0]), self.changed.bound


class Doubt(Struct, frozen=True, kw_only=True):
    """What a file can say of its own doubt; `left_out` says why something is missing."""

    sets: LabelSets | None = None
    familiarity: FamiliarityRecord | None = None
    left_out: tuple[str, ...] = ()


def familiar_entries(familiar: Familiar) -> dict[str, bytes]:
    """Return what the files of a record hold, by name."""
    table = np.concatenate([familiar.mean[None], familiar.components]).astype("<f2").tobytes()
    more = {} if familiar.changed is None else {CHANGED_FILE: familiar.changed.direction.astype("<f2").tobytes()}
    return {FAMILIARITY_FILE: table, **more}


def familiarity_record(
    familiar: Familiar, looks: NDArray[np.float64], *, level: float = LEVEL
) -> FamiliarityRecord | None:
    """Return the card's record of what `familiar_entries` stores, with bounds; None of too few images.

    Args:
        familiar: What training images look like.
        looks: `(n, 2)` of unseen images, from `Familiar.looks`.
        level: Share of unseen images that pass.
    """
    bound = fit_bound(np.exp(looks[:, 0]), level)
    if bound is None:
        return None
    entries, changed = familiar_entries(familiar), None
    if familiar.changed is not None:
        usual = fit_usual(looks)
        reached = fit_bound(usual.scores(looks), level)
        changed = ChangedRecord(
            bound=max(reached or 0.0, _LEAST_BOUND),
            offset=familiar.changed.offset,
            along=familiar.changed.spread,
            middle=usual.middle,
            spread=usual.spread,
            sha256=hashlib.sha256(entries[CHANGED_FILE]).hexdigest(),
        )
    return FamiliarityRecord(
        bound=bound,
        level=level,
        images=len(looks),
        variances=tuple(float(value) for value in familiar.variances),
        rest=familiar.rest,
        sha256=hashlib.sha256(entries[FAMILIARITY_FILE]).hexdigest(),
        changed=changed,
    )


def decode_familiar(record: FamiliarityRecord, entries: Mapping[str, bytes], channels: int) -> Familiar:
    """Return what a file says its training images look like.

    Raises:
        ArtifactError: An entry is missing, damaged, or of another network.
    """
    table = _numbers(record.file, entries, record.sha256, (1 + len(record.variances), channels))
    told = record.changed
    changed = None
    if told is not None:
        direction = _numbers(told.file, entries, told.sha256, (1, channels))[0]
        changed = Changed(direction, told.offset, told.along)
    return Familiar(table[0], table[1:], np.asarray(record.variances), record.rest, changed)


def _numbers(name: str, entries: Mapping[str, bytes], sha256: str, shape: tuple[int, int]) -> NDArray[np.float16]:
    content, size = entries.get(name), 2 * shape[0] * shape[1]
    if content is None or len(content) != size or len(content) > MOST_BYTES:
        received = "none" if content is None else f"{len(content):,} bytes"
        raise ArtifactError(
            f"{size:,} bytes of {name}, at most {MOST_BYTES:,}", received=received, hint="Export it again."
        )
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ArtifactError(f"{name} as the card's SHA-256 says", received="another one", hint="Export it again.")
    numbers = np.frombuffer(content, "<f2").reshape(shape)
    if not np.isfinite(numbers).all():
        raise ArtifactError(f"finite numbers in {name}", received="others", hint="Export it again.")
    return numbers
