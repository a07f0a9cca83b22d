"""What a classifier answers to an image: the label, how sure it is, whether it should be asked at all, and where it looked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct, to_builtins
from numpy.typing import NDArray

from mstl_edge.explain import Evidence
from mstl_edge.storage import write_bytes


class Familiarity(Struct, frozen=True):
    """How far an image lies from the training images; see `metrics.familiarity`. Up to `bound` it is `familiar`."""

    score: float
    bound: float
    familiar: bool


class Prediction(Struct, frozen=True):
    """One answer: the label that was decided on, its calibrated probability, and those of all labels.

    `set` are the labels that the answer leaves open, the decided one always among them; `familiarity` is how far the image lies
    from the training images; both are None where the file can't say. `warnings` are what was remarked while the file was read: by
    its decoder, or about pixels that stray from the grey range.
    """

    label: str
    probability: float
    probabilities: dict[str, float]
    warnings: tuple[str, ...] = ()
    set: tuple[str, ...] | None = None
    familiarity: Familiarity | None = None

    def remarks(self) -> list[str]:
        """Return what a person should read beside the answer: doubt, then what was remarked about the file."""
        found = []
        if self.set is not None and len(self.set) > 1:
            found.append(f"uncertain: {' or '.join(self.set)}")
        if self.familiarity is not None and not self.familiarity.familiar:
            found.append("unlike the training images")
        return found


@dataclass(frozen=True)
class Explanation:
    """One answer, and where in the image it comes from.

    Attributes:
        prediction: The answer.
        evidence: What each cell says for each class, and how that was found.
        class_number: Of the label that was decided on.
        pixels: `(size, size, 3) uint8`, what the network saw.
    """

    prediction: Prediction
    evidence: Evidence
    class_number: int
    pixels: NDArray[np.uint8]

    @property
    def grid(self) -> NDArray[np.float32]:
        """`(height, width)`: what each cell says for the label against the mean of the others, in units of the logits."""
        return self.evidence.grid(self.class_number)

    def png(self) -> bytes:
        """Return the picture: view, overlay, scale, label and probability."""
        from mstl_edge.explain.overlay import overlay_png  # who only predicts does not wait for what draws

        told = self.prediction
        return overlay_png(
            self.pixels, self.grid, label=told.label, probability=told.probability, method=self.evidence.method
        )

    def save(self, path: Path | str) -> None:
        """Write the picture as PNG, whole or not at all.

        Raises:
            MstlEdgeError: The disk is full or the folder cannot be written.
        """
        write_bytes(Path(path), self.png())


class Unreadable(Struct, frozen=True):
    """An image that gave no answer, and why."""

    error: str


def to_record(image: str, outcome: Prediction | Explanation | Unreadable) -> dict[str, Any]:
    """Return the JSON line of `mstl-edge predict --json`; of an explanation with `map`, its grid, and `map_method`."""
    if isinstance(outcome, Unreadable):
        return {"image": image, "error": outcome.error}
    if isinstance(outcome, Explanation):
        grid = [[round(float(value), 4) for value in row] for row in outcome.grid]
        return to_record(image, outcome.prediction) | {"map": grid, "map_method": outcome.evidence.method}
    record: dict[str, Any] = {
        "image": image,
        "label": outcome.label,
        "probability": outcome.probability,
        "probabilities": outcome.probabilities,
    }
    if outcome.set is not None:
        record["set"] = list(outcome.set)
    if outcome.familiarity is not None:
        record["familiarity"] = to_builtins(outcome.familiarity)
    return record | {"warnings": list(outcome.warnings)} if outcome.warnings else record
