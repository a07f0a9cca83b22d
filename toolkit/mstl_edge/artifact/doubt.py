"""What a model file promises about its own doubt: sets of labels, and when an image is unlike those it was trained on."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta, Struct

from mstl_edge.errors import ArtifactError
from mstl_edge.metrics.familiarity import MOST_BYTES, Familiar

FAMILIARITY_FILE = "familiarity.f16"
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


class FamiliarityRecord(Struct, frozen=True, kw_only=True):
    """When an image is unlike the training images; see `metrics.familiarity`.

    A share `level` of unseen images of the same kind lies within `bound`, which rests on `images` of them. `file` holds mean and
    components as little-endian float16, `(1 + len(variances), channels)`.
    """

    bound: Annotated[float, Meta(gt=0.0)]
    level: _Share
    images: int
    variances: Annotated[tuple[Annotated[float, Meta(gt=0.0)], ...], Meta(min_length=2)]
    rest: Annotated[float, Meta(gt=0.0)]
    sha256: str
    file: Literal["familiarity.f16"] = "familiarity.f16"


class Doubt(Struct, frozen=True, kw_only=True):
    """What a file can say of its own doubt; `left_out` says why something is missing."""

    sets: LabelSets | None = None
    familiarity: FamiliarityRecord | None = None
    left_out: tuple[str, ...] = ()


def encode_familiar(familiar: Familiar) -> bytes:
    """Return what `FamiliarityRecord.file` holds."""
    return np.concatenate([familiar.mean[None], familiar.components]).astype("<f2").tobytes()


def familiarity_record(familiar: Familiar, *, bound: float, level: float, images: int) -> FamiliarityRecord:
    """Return the card's record of what `encode_familiar` stores."""
    return FamiliarityRecord(
        bound=bound,
        level=level,
        images=images,
        variances=tuple(float(value) for value in familiar.variances),
        rest=familiar.rest,
        sha256=hashlib.sha256(encode_familiar(familiar)).hexdigest(),
    )


def decode_familiar(record: FamiliarityRecord, content: bytes | None, channels: int) -> Familiar:
    """Return what a file says its training images look like.

    Raises:
        ArtifactError: The entry is missing, damaged, or of another network.
    """
    rows = 1 + len(record.variances)
    if content is None or len(content) != 2 * rows * channels or len(content) > MOST_BYTES:
        size = "none" if content is None else f"{len(content):,} bytes"
        raise ArtifactError(
            f"{2 * rows * channels:,} bytes of {record.file}, at most {MOST_BYTES:,}",
            received=size,
            hint="Export it again.",
        )
    if hashlib.sha256(content).hexdigest() != record.sha256:
        raise ArtifactError(
            f"{record.file} as the card's SHA-256 says", received="another one", hint="Export it again."
        )
    table = np.frombuffer(content, "<f2").reshape(rows, channels)
    if not np.isfinite(table).all():
        raise ArtifactError(f"finite numbers in {record.file}", received="others", hint="Export it again.")
    return Familiar(table[0], table[1:], np.asarray(record.variances), record.rest)
