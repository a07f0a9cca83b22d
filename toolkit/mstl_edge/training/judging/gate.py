"""The export gate: models answer the same images, and an int8 file is proven, undecided, or refused.

What it says of a file rests on images of the kind that the file is for, which neither the file nor any that was made in its
stead has learned from; evidence of other kinds is told apart. All views of one image are one image. The test split is scored
elsewhere, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mstl_edge.artifact import ModelFacts
from mstl_edge.artifact.inspection import WEIGHT_BITS
from mstl_edge.counted import counted
from mstl_edge.metrics import Agreement, ClassAgreement, Interval, decide, mcnemar_exact, paired_agreement, wilson
from mstl_edge.metrics.by_image import (
    Z_95_ONE_SIDED,
    Discordance,
    at_least,
    discordance,
    drop_at_most,
    drop_interval,
    images_to_prove,
    mean_share,
)
from mstl_edge.schemas.export import GateReport, Origin, Verdict
from mstl_edge.schemas.metrics import Fitted
from mstl_edge.training.judging.evidence import Paired
from mstl_edge.training.judging.promises import promise_breaches

ENOUGH_IMAGES = 100
"""From so many images on, an agreement below the bound is refused as it stands; of fewer, only where it is below for certain."""
ENOUGH_TO_PROVE = 200
"""Images kept from training from which on the file's own answers are enough: two of them lost still prove 3 points. Decided by
their number alone; to look first and then ask for more would prove too often."""
CONVERSION_IMAGES = 500
"""How many of the images Keras answers, too; it is much slower than a runtime."""
BROKEN_CONVERSION = 0.95
"""Label agreement of a Keras model and its file below which the conversion, not the training, is at fault."""


@dataclass(frozen=True)
class Bounds:
    """What the gate demands: drop in points of accuracy, agreement as a share of images.

    `weight_bits` says which range every kernel channel uses, and does not leave.
    """

    max_drop: float
    min_agreement: float
    weight_bits: int = WEIGHT_BITS


@dataclass(frozen=True)
class Answers:
    """`(n, classes)` probabilities of the four models for the file's own panel, view by view.

    The Keras models answer its first rows only. Fake quantization is absent in mixed candidates.
    """

    float_keras: NDArray[np.float32]
    float_tflite: NDArray[np.float32]
    int8_tflite: NDArray[np.float32]
    fake_quant_keras: NDArray[np.float32] | None


@dataclass(frozen=True)
class _Carried:
    """What carries the verdict, all origins together."""

    shares: NDArray[np.float64]
    found: Discordance

    @property
    def images(self) -> int:
        return len(self.shares)


def judge(
    answers: Answers,
    evidence: Sequence[Paired],
    facts: ModelFacts,
    bounds: Bounds,
    *,
    decision: Fitted,
    allow_float: bool,
) -> GateReport:
    """Hold an int8 candidate against the float model and against `bounds`.

    Refused: it is not what int8 promises, its accuracy is below float's by more than `max_drop` for certain (95 %), or it agrees
    on fewer than `min_agreement` of the images. Undecided: the images are too few to prove that it loses no more than `max_drop`.

    Args:
        answers: To the images of the first entry of `evidence`, the file's own labelled ones.
        evidence: Answers by origin; those that carry have labels.
        facts: What is in the candidate's file.
        bounds: What is demanded.
        decision: How probabilities become a label.
        allow_float: Whether operators may stay float.
    """
    carrying = [entry for entry in evidence if entry.carries]
    carried = _carried(carrying)
    drop = drop_interval(carried.found)
    agreement = _agreement(carrying, len(decision.labels))
    float_conversion = _conversion(answers.float_keras, answers.float_tflite, decision)
    fake_quant = answers.fake_quant_keras
    int8_conversion = None if fake_quant is None else _conversion(fake_quant, answers.int8_tflite, decision)
    refusals = [
        *promise_breaches(facts, allow_float=allow_float, weight_bits=bounds.weight_bits),
        *_too_far(drop.low, drop.value, carried, bounds),
        *_broken({"float": float_conversion, "int8": int8_conversion}),
    ]
    most, least = drop_at_most(carried.found), at_least(carried.shares)
    needed = images_to_prove(carried.found, bounds.max_drop / 100)
    doubts = [] if 100 * most <= bounds.max_drop else [_doubt(most, carried, needed, bounds)]
    verdict: Verdict = "refused" if refusals else "undecided" if doubts else "proven"
    first = [correct[:, 0] for correct in _together(carrying)]
    return GateReport(
        verdict=verdict,
        reasons=tuple(refusals + doubts),
        promise=_promise(most, least, carried.images),
        images=carried.images,
        drop_at_most=most,
        agreement_at_least=least,
        images_to_decide=needed if doubts and not refusals else None,
        validation_n=len(evidence[0].shares),
        accuracy=_accuracy(answers, evidence[0], decision),
        drop=drop,
        mcnemar=mcnemar_exact(*first),
        agreement=agreement,
        float_conversion=float_conversion,
        int8_conversion=int8_conversion,
        origins=tuple(_origin(entry, len(decision.labels)) for entry in evidence),
    )


def _carried(carrying: Sequence[Paired]) -> _Carried:
    counts = [discordance(*entry.correct()) for entry in carrying]
    found = Discordance(
        sum(count.n for count in counts), sum(count.a_only for count in counts), sum(count.b_only for count in counts)
    )
    return _Carried(np.concatenate([entry.shares for entry in carrying]), found)


def _together(carrying: Sequence[Paired]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return whether float and quantized were right on the images themselves, `(n, 1)` each."""
    right = [entry.correct() for entry in carrying]
    return (
        np.concatenate([floats[:, :1] for floats, _ in right]),
        np.concatenate([quantized[:, :1] for _, quantized in right]),
    )


def _agreement(entries: Sequence[Paired], classes: int) -> Agreement:
    """Return the agreement over images, each with the share of its views, and over those that float gives each class."""
    shares = np.concatenate([entry.shares for entry in entries])
    given = np.concatenate([entry.float_labels[:, 0] for entry in entries])
    differences = np.concatenate([entry.differences.mean(axis=1) for entry in entries])
    largest = max(entry.largest_difference for entry in entries)
    by_class = tuple(_class_agreement(shares[given == number]) for number in range(classes))
    return Agreement(len(shares), mean_share(shares), largest, float(differences.mean()), by_class)


def _class_agreement(shares: NDArray[np.float64]) -> ClassAgreement:
    return ClassAgreement(len(shares), mean_share(shares) if len(shares) else None)


def _origin(entry: Paired, classes: int) -> Origin:
    drop = None if entry.classes is None else drop_interval(discordance(*entry.correct()))
    images, views = entry.float_labels.shape
    return Origin(
        origin=entry.origin, images=images, views=views, carries=entry.carries, judged=entry.judged,
        agreement=_agreement([entry], classes), drop=drop,
    )  # fmt: skip


def _too_far(least_drop: float, drop: float, carried: _Carried, bounds: Bounds) -> list[str]:
    """List where accuracy or agreement lies beyond the bounds."""
    reasons = []
    if 100 * least_drop > bounds.max_drop:
        reasons.append(
            f"accuracy drops by {100 * drop:.1f} points, at least {100 * least_drop:.1f}, above {bounds.max_drop:g}"
        )
    found = mean_share(carried.shares, Z_95_ONE_SIDED)
    judged_on = found.value if carried.images >= ENOUGH_IMAGES else found.high
    if judged_on < bounds.min_agreement:
        reasons.append(
            f"labels agree on {100 * found.value:.2f} % of {carried.images} images, below {100 * bounds.min_agreement:g} %"
        )
    return reasons


def _broken(conversions: dict[str, Agreement | None]) -> list[str]:
    return [
        f"the {model} file agrees with its own Keras model on only {100 * conversion.agreement.value:.1f} % of the images: "
        "the conversion is broken"
        for model, conversion in conversions.items()
        if conversion is not None and conversion.agreement.value < BROKEN_CONVERSION
    ]


def _doubt(most: float, carried: _Carried, needed: int | None, bounds: Bounds) -> str:
    told = f"{counted(carried.images, 'image')} cannot exclude a drop above {bounds.max_drop:g} points (up to {100 * most:.1f})"
    if needed is None:
        return f"{told}, and on these int8 does lose as much"
    return f"{told}; about {needed} that the two answer as differently would"


def _promise(most: float, least: float, images: int) -> str:
    return (
        f"int8 costs at most {100 * most:.1f} points of accuracy and labels at least {100 * least:.1f} % of images as float does "
        f"(95 %), on {counted(images, 'image')} of the kind it is for"
    )


def _accuracy(answers: Answers, own: Paired, decision: Fitted) -> dict[str, Interval]:
    """Return each model's accuracy on the validation images themselves, the Keras models' on as many as they answered."""
    assert own.classes is not None
    views = own.float_labels.shape[1]
    given = {
        "float_keras": answers.float_keras,
        "float": answers.float_tflite,
        "fake_quant_keras": answers.fake_quant_keras,
        "int8": answers.int8_tflite,
    }
    found = {}
    for name, rows in given.items():
        if rows is not None:
            first = rows[::views]
            right = (
                decide(first, positive=decision.positive_index, threshold=decision.threshold)
                == own.classes[: len(first)]
            )
            found[name] = wilson(int(right.sum()), len(right))
    return found


def _conversion(keras: NDArray[np.float32], file: NDArray[np.float32], decision: Fitted) -> Agreement:
    thresholds = (decision.threshold, decision.threshold)
    return paired_agreement(keras, file[: len(keras)], positive=decision.positive_index, thresholds=thresholds)
