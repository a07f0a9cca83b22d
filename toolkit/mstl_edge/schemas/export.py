"""`export.json` (schema `mstl-edge/export/2`): what was exported, what the gate said of it, and what that stands on."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from mstl_edge.metrics import Agreement, ClassificationMetrics, Interval, McNemar
from mstl_edge.schemas.versioned import Schema, Tree

Verdict = Literal["proven", "undecided", "refused"]


class Origin(Struct, frozen=True, kw_only=True):
    """Images of one origin that judged a candidate; `images` counts each once, however many `views` of it were answered.

    `carries` says whether the verdict rests on them: they are of the kind that the model is for. `judged` tells what answered
    them: the exported file itself, or (`procedure`) files made in the same way, each on images that it has not learned from.
    `drop` is float accuracy minus int8 accuracy as a share, where there are labels. None in an export of version 1.
    """

    origin: str
    images: int
    views: int = 1
    carries: bool
    judged: Literal["file", "procedure"] = "file"
    agreement: Agreement | None = None
    drop: Interval | None = None


class GateReport(Struct, frozen=True, kw_only=True):
    """What the export gate said of a candidate, with every reason.

    `promise` says it in words. `drop_at_most` and `agreement_at_least` are one-sided bounds (95 %) over the `images` that carry the
    verdict; `images_to_decide` is how many images would prove it, where they are too few and so many exist. `accuracy` is on
    `validation_n` validation images, `drop`, `mcnemar` and `agreement` are over the images that carry (in version 1: validation
    images, and a larger pool). `float_conversion` is the Keras network against its float32 file, `int8_conversion` fake
    quantization against the int8 file.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    promise: str = ""
    images: int = 0
    drop_at_most: float | None = None
    agreement_at_least: float | None = None
    images_to_decide: int | None = None
    validation_n: int = 0
    accuracy: dict[str, Interval] = {}
    drop: Interval
    mcnemar: McNemar
    agreement: Agreement
    float_conversion: Agreement | None = None
    int8_conversion: Agreement | None = None
    origins: tuple[Origin, ...] = ()


class Skipped(Struct, frozen=True, kw_only=True):
    """A layer without a quantizer of its own, and why it needs none."""

    layer: str
    kind: str
    reason: str


class Notes(Struct, frozen=True, kw_only=True):
    """How a candidate was made; errors of layers are in steps of their output's scale."""

    epochs: int | None = None
    skipped: tuple[Skipped, ...] = ()
    kept_in_float: tuple[str, ...] = ()
    layer_errors: dict[str, float] = {}


class ExportedFile(Struct, frozen=True, kw_only=True):
    """A file of an export, a candidate or a float one; accuracy is on validation images, `path` relative to the run folder."""

    scheme: str
    size_bytes: int = 0
    flatbuffer_bytes: int = 0
    path: str = ""
    chosen: bool = False
    accuracy: Interval | None = None
    agreement: Agreement | None = None
    gate: GateReport | None = None
    notes: Notes = Notes()


class PairedTest(Struct, frozen=True, kw_only=True):
    """The float32 and the chosen int8 file on the test split, paired.

    `scored` counts the different files of this run that the test split has judged: with every further one, choosing among
    them by it gets closer to training on it.
    """

    float32: ClassificationMetrics
    int8: ClassificationMetrics
    drop: Interval
    mcnemar: McNemar
    agreement: Agreement
    scored: int = 1


class MediaPipeFile(Struct, frozen=True, kw_only=True):
    """A copy of a file for MediaPipe Tasks and ML Kit; `of` is the file that it is a copy of."""

    path: str
    of: str
    size_bytes: int


class Export(Struct, frozen=True, kw_only=True):
    """An export; `model`, `chosen` and `test` are None where the gate refused every candidate.

    Paths are relative to the run folder. `gate` is the report of the chosen candidate, or of the one that came nearest.
    """

    schema: str = ""
    float_model: str | None = None
    model: str | None = None
    chosen: str | None = None
    candidates: tuple[ExportedFile, ...] = ()
    gate: GateReport | None = None
    test: PairedTest | None = None
    verdict: str = ""
    reasons: tuple[str, ...] = ()
    float_flatbuffer_bytes: int = 0
    calibration_warnings: tuple[str, ...] = ()
    mediapipe: tuple[MediaPipeFile, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether the gate let nothing through."""
        return self.chosen is None


def _from_1(tree: Tree) -> Tree:
    """Version 1 counted images by origin, and told of none whether the verdict rested on it."""
    rows = [_row_from_1(row) for row in tree.get("candidates", ())]
    chosen = next((row.get("gate") for row in rows if row["scheme"] == tree.get("chosen")), None)
    return {**tree, "candidates": rows, "gate": chosen}


def _row_from_1(row: Tree) -> Tree:
    row = {**row, "path": row.get("path") or ""}
    gate: dict[str, Any] | None = row.get("gate")
    if gate is None:
        return row
    named = gate.get("origins", {})
    origins = [{"origin": name, "images": count, "carries": True} for name, count in named.items()]
    return {**row, "gate": {**gate, "origins": origins}}


EXPORT = Schema("export", 2, Export, {1: _from_1})
