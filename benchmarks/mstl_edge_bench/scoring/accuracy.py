"""Accuracy of several models on the same images, so that float and int8 can be compared in pairs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from mstl_edge.artifact import Artifact, Card
from mstl_edge.counted import counted
from mstl_edge.data.workers import in_order
from mstl_edge.errors import DataError
from mstl_edge.metrics import (
    ClassAgreement,
    classification_metrics,
    decide,
    mcnemar_exact,
    paired_agreement,
    paired_difference,
)
from mstl_edge.preprocess import Stored, UnreadableImageError, load_image, read_stored, spec_digest
from mstl_edge.progress import SILENT, Reporter
from mstl_edge.recipe import PreprocessSpec
from mstl_edge.runtime import Runtime, to_input, to_real
from mstl_edge.schemas.bench import Accuracy
from mstl_edge_bench.scoring.images import TestImage, TestSet, check_labels


@dataclass(frozen=True)
class Judged:
    """A model that can be scored: it has a card, and a runtime holds it."""

    artifact: Artifact
    card: Card
    runtime: Runtime

    @property
    def contract(self) -> bytes:
        """Equal for models that read the same pixels."""
        return spec_digest(self.card.input.height, self.card.input.preprocess)


@dataclass(frozen=True)
class Answers:
    """What one model answered: `(n, classes)` probabilities, `(n,)` true classes, in the order of the readable images."""

    probabilities: NDArray[np.float32]
    classes: NDArray[np.int64]
    positive: int | None
    threshold: float | None
    labels: tuple[str, ...]

    @property
    def correct(self) -> NDArray[np.bool_]:
        """`(n,)` whether each answer is right."""
        decided = decide(self.probabilities, positive=self.positive, threshold=self.threshold)
        return np.asarray(decided == self.classes)


@dataclass(frozen=True)
class Scored:
    """The answers of every model to one test set."""

    answers: tuple[Answers, ...]
    unreadable: tuple[str, ...]
    data_sha256: str


@dataclass(frozen=True)
class _Decoded:
    sha256: bytes
    pixels: Mapping[bytes, NDArray[np.uint8]]


def answer_images(models: Sequence[Judged], data: TestSet, *, reporter: Reporter = SILENT) -> Scored:
    """Run every model over every image; each file is read once, and decoded once per preprocessing contract.

    Raises:
        DataError: A label that a model doesn't have, a file that changed since the split was made, or no readable image.
    """
    numbers = [check_labels(data.labels, model.card.labels, model.artifact.name) for model in models]
    contracts = {model.contract: model.card.input for model in models}

    def read(image: TestImage) -> _Decoded | str:
        try:
            stored = _stored(image)
            pixels = {key: load_image(stored, said.height, said.preprocess) for key, said in contracts.items()}
        except UnreadableImageError as error:
            return f"{image.path.name} ({error.reason})"
        return _Decoded(bytes.fromhex(stored.sha256), pixels)

    rows: list[list[NDArray[np.float32]]] = [[] for _ in models]
    truths: list[list[int]] = [[] for _ in models]
    unreadable: list[str] = []
    state = hashlib.sha256()
    with reporter.bar(f"accuracy of {counted(len(models), 'model')}", len(data.images)) as advance:
        for image, outcome in zip(data.images, in_order(read, data.images), strict=True):
            if isinstance(outcome, str):
                unreadable.append(outcome)
            else:
                state.update(outcome.sha256)
                for model, answered, truth, known in zip(models, rows, truths, numbers, strict=True):
                    answered.append(_probabilities(model.runtime, outcome.pixels[model.contract]))
                    truth.append(known[image.label])
            advance(1)
    if not truths or not truths[0]:
        raise DataError("images that can be read", received=f"none of {len(data.images)}: {'; '.join(unreadable[:3])}")
    answers = tuple(
        Answers(
            np.stack(answered), np.asarray(truth), model.card.positive_index, model.card.threshold, model.card.labels
        )
        for model, answered, truth in zip(models, rows, truths, strict=True)
    )
    return Scored(answers, tuple(unreadable), state.hexdigest())


def _stored(image: TestImage) -> Stored:
    stored = read_stored(image.path, PreprocessSpec())
    if image.sha256 is not None and stored.sha256 != image.sha256:
        raise DataError(
            "test images as they were when the split was made",
            received=f"{image.path.name} with other content",
            hint="Bring the file back, or name other data: --data SOURCE",
        )
    return stored


def _probabilities(runtime: Runtime, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    row: NDArray[np.float32] = to_real(runtime.invoke(to_input(pixels[None], runtime.input)), runtime.output)[0]
    return row


def score(answers: Answers, data: TestSet, scored: Scored) -> Accuracy:
    """Return one model's scores with their 95 % intervals."""
    metrics = classification_metrics(
        answers.classes,
        answers.probabilities,
        positive=answers.positive,
        threshold=answers.threshold,
        names=answers.labels,
    )
    return Accuracy(
        data=data.description,
        n=metrics.n,
        value=metrics.accuracy.value,
        low=metrics.accuracy.low,
        high=metrics.accuracy.high,
        sensitivity=metrics.sensitivity,
        specificity=metrics.specificity,
        auc=metrics.auc,
        confusion=tuple(tuple(row) for row in metrics.confusion),
        threshold=metrics.threshold,
        unreadable=len(scored.unreadable),
        data_sha256=scored.data_sha256,
        correct="".join("1" if right else "0" for right in answers.correct),
        macro_f1=metrics.macro_f1,
        classes=metrics.classes,
    )


class Paired(msgspec.Struct, frozen=True, kw_only=True):
    """A quantized model beside the float model on the same images; fields as in `result.Comparison`."""

    agreement: float
    agreement_low: float
    agreement_high: float
    accuracy_drop: float
    accuracy_drop_low: float
    accuracy_drop_high: float
    float_only_correct: int
    quantized_only_correct: int
    mcnemar_p: float
    largest_difference: float
    agreement_by_class: tuple[ClassAgreement, ...] = ()


def pair(quantized: Answers, floating: Answers) -> Paired | None:
    """Compare two models' answers image by image; None where they don't have the same classes."""
    if quantized.probabilities.shape != floating.probabilities.shape or quantized.positive != floating.positive:
        return None
    alike = paired_agreement(
        floating.probabilities, quantized.probabilities, positive=quantized.positive,
        thresholds=(floating.threshold, quantized.threshold),
    )  # fmt: skip
    drop = paired_difference(floating.correct, quantized.correct)
    test = mcnemar_exact(floating.correct, quantized.correct)
    return Paired(
        agreement=alike.agreement.value, agreement_low=alike.agreement.low, agreement_high=alike.agreement.high,
        accuracy_drop=drop.value, accuracy_drop_low=drop.low, accuracy_drop_high=drop.high,
        float_only_correct=test.a_only, quantized_only_correct=test.b_only, mcnemar_p=test.p,
        largest_difference=alike.largest_difference, agreement_by_class=alike.by_class,
    )  # fmt: skip
