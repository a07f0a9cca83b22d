"""The export gate: four models answer the same images, and an int8 file is either proven or not written.

Everything here sees validation images and images that no stage was trained on; the test split is scored elsewhere,
once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mstl_edge.artifact import ModelFacts, inspect_flatbuffer
from mstl_edge.artifact.inspection import FULL_RANGE
from mstl_edge.metrics import (
    Agreement,
    Interval,
    McNemar,
    decide,
    mcnemar_exact,
    paired_agreement,
    paired_difference,
    wilson,
)

Verdict = Literal["proven", "undecided", "refused"]
AGREEMENT_IMAGES = 500
"""Fewer images than these never prove that two models agree, whatever a recipe says."""
CONVERSION_IMAGES = 500
"""How many of the images Keras answers, too; it is much slower than a runtime."""
BROKEN_CONVERSION = 0.95
"""Label agreement of a Keras model and its file below which the conversion, not the training, is at fault."""


@dataclass(frozen=True)
class Bounds:
    """What the gate demands: drop in points of accuracy, agreement as a share of at least `agreement_images` images."""

    max_drop: float
    min_agreement: float
    agreement_images: int


@dataclass(frozen=True)
class Pool:
    """The images that four models answer.

    Attributes:
        pixels: `(n, height, width, 3) uint8`; the labelled ones come first.
        classes: `(labelled,)` class numbers of the first images, the validation split.
        origins: How many images came from where.
    """

    pixels: NDArray[np.uint8]
    classes: NDArray[np.int64]
    origins: dict[str, int]


@dataclass(frozen=True)
class Answers:
    """`(n, classes)` probabilities of the four models for a pool; the Keras models answer its first images only.

    Fake quantization is absent in mixed candidates.
    """

    float_keras: NDArray[np.float32]
    float_tflite: NDArray[np.float32]
    int8_tflite: NDArray[np.float32]
    fake_quant_keras: NDArray[np.float32] | None


class GateReport(Struct, frozen=True):
    """What the gate saw, and its verdict with every reason."""

    verdict: Verdict
    reasons: tuple[str, ...]
    validation_n: int
    accuracy: dict[str, Interval]
    drop: Interval
    mcnemar: McNemar
    agreement: Agreement
    float_conversion: Agreement
    int8_conversion: Agreement | None
    origins: dict[str, int]


def judge(
    answers: Answers,
    pool: Pool,
    flatbuffer: bytes,
    bounds: Bounds,
    *,
    positive: int | None,
    threshold: float | None,
    allow_float: bool,
) -> GateReport:
    """Hold an int8 candidate against the float model and against `bounds`.

    Refused: it is not what int8 promises, its accuracy on validation is below float's by more than `max_drop` for certain
    (95 %), or it agrees on fewer than `min_agreement` of the images. Undecided: the images are too few to exclude such a drop.
    """
    labelled = len(pool.classes)
    correct = {
        name: _correct(rows[:labelled], pool.classes, positive, threshold)
        for name, rows in (
            ("float_keras", answers.float_keras),
            ("float", answers.float_tflite),
            ("fake_quant_keras", answers.fake_quant_keras),
            ("int8", answers.int8_tflite),
        )
        if rows is not None
    }
    drop = paired_difference(correct["float"], correct["int8"])

    def agree(a: NDArray[np.float32], b: NDArray[np.float32]) -> Agreement:
        return paired_agreement(a, b[: len(a)], positive=positive, thresholds=(threshold, threshold))

    agreement = agree(answers.float_tflite, answers.int8_tflite)
    float_conversion = agree(answers.float_keras, answers.float_tflite)
    fake_quant = answers.fake_quant_keras
    int8_conversion = agree(fake_quant, answers.int8_tflite) if fake_quant is not None else None
    refusals = promise_breaches(inspect_flatbuffer(flatbuffer), allow_float=allow_float)
    if 100 * drop.low > bounds.max_drop:
        refusals.append(
            f"accuracy drops by {100 * drop.value:.1f} points, at least {100 * drop.low:.1f}, above {bounds.max_drop:g}"
        )
    told = f"{100 * agreement.agreement.value:.2f} % of {agreement.n} images"
    if agreement.agreement.value < bounds.min_agreement:
        refusals.append(f"labels agree on {told}, below {100 * bounds.min_agreement:g} %")
    for model, conversion in (("float", float_conversion), ("int8", int8_conversion)):
        if conversion is not None and conversion.agreement.value < BROKEN_CONVERSION:
            refusals.append(
                f"the {model} file agrees with its own Keras model on only {100 * conversion.agreement.value:.1f} % of the images: "
                "the conversion is broken"
            )
    doubts = []
    if 100 * drop.high > bounds.max_drop:
        doubts.append(
            f"{labelled} validation images cannot exclude a drop above {bounds.max_drop:g} points "
            f"(up to {100 * drop.high:.1f})"
        )
    enough = max(bounds.agreement_images, AGREEMENT_IMAGES)
    if agreement.n < enough:
        doubts.append(f"agreement was judged on {agreement.n} images, fewer than {enough}")
    elif agreement.agreement.low < bounds.min_agreement:
        doubts.append(
            f"labels agree on {told}, which cannot exclude an agreement below {100 * bounds.min_agreement:g} % "
            f"(down to {100 * agreement.agreement.low:.1f})"
        )
    return GateReport(
        verdict="refused" if refusals else "undecided" if doubts else "proven",
        reasons=tuple(refusals + doubts),
        validation_n=labelled,
        accuracy={name: wilson(int(rows.sum()), len(rows)) for name, rows in correct.items()},
        drop=drop,
        mcnemar=mcnemar_exact(correct["float"], correct["int8"]),
        agreement=agreement,
        float_conversion=float_conversion,
        int8_conversion=int8_conversion,
        origins=pool.origins,
    )


def compare(
    float_answers: NDArray[np.float32],
    given: NDArray[np.float32],
    pool: Pool,
    *,
    positive: int | None,
    threshold: float | None,
) -> tuple[Interval, Agreement]:
    """Return a file's accuracy on the validation images, and its agreement with the float twin on all."""
    correct = _correct(given[: len(pool.classes)], pool.classes, positive, threshold)
    agreement = paired_agreement(float_answers, given, positive=positive, thresholds=(threshold, threshold))
    return wilson(int(correct.sum()), len(correct)), agreement


def _correct(
    rows: NDArray[np.float32], classes: NDArray[np.int64], positive: int | None, threshold: float | None
) -> NDArray[np.bool_]:
    return np.asarray(decide(rows, positive=positive, threshold=threshold) == classes)


def promise_breaches(facts: ModelFacts, *, allow_float: bool) -> list[str]:
    """List where a file is not what int8 promises: full integer, static, exact input, every kernel channel using its range."""
    breaches = []
    if not allow_float:
        breaches += [f"stays float: {operator}" for operator in facts.float_operators]
        if facts.float_tensors and not facts.float_operators:
            breaches.append(f"float tensors are left: {', '.join(facts.float_tensors[:3])}")
    if (facts.input.dtype, facts.input.scale, facts.input.zero_point) != ("int8", 1 / 128, 0):
        breaches.append(
            f"the input is {facts.input.dtype} with scale {facts.input.scale} and zero point {facts.input.zero_point}, "
            "not int8 with 1/128 and 0"
        )
    if facts.output.dtype != "int8":
        breaches.append(f"the output is {facts.output.dtype}, not int8")
    if not facts.static:
        breaches.append("the batch is dynamic")
    breaches += [
        f"{kernel.name}: {kernel.short_channels} of {len(kernel.largest)} channels do not reach |q| = {FULL_RANGE}"
        for kernel in facts.kernels
        if kernel.dtype == "int8" and (kernel.short_channels or not kernel.per_channel)
    ]
    return breaches


def calibration_warnings(
    pixels: NDArray[np.uint8], classes: NDArray[np.int64], keys: tuple[bytes, ...], judged: set[bytes]
) -> list[str]:
    """Name the likely mistakes in a set of calibration images.

    Args:
        pixels: `(n, height, width, 3) uint8`.
        classes: `(n,)` class numbers.
        keys: One key per image.
        judged: Keys of the images that will judge the result.
    """
    warnings = []
    if len(pixels) < 50:
        warnings.append(
            f"only {len(pixels)} calibration images: ranges of activations may be too narrow; 100 or more are usual"
        )
    if len(np.unique(classes)) < 2:
        warnings.append("calibration images of one class only: the other class may leave the ranges")
    if int(pixels.max()) - int(pixels.min()) < 16:
        warnings.append(f"calibration pixels span {pixels.min()} to {pixels.max()}: were they scaled twice?")
    overlap = sum(key in judged for key in keys)
    if overlap:
        warnings.append(
            f"{overlap} calibration images are also validation or test images: the gate would flatter itself"
        )
    return warnings


def report_tree(report: GateReport) -> Any:
    """Return the report as plain values."""
    return msgspec.to_builtins(report)
