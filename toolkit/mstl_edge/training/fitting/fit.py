"""Fine-tuning of the tail on stored features: seeded, resumable after every epoch; the best, last or mean weights are kept.

Everything random is drawn from `(seed, epoch)`, so that a run which was killed and resumed ends with the bytes of
one that was not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mstl_edge.errors import MstlEdgeError
from mstl_edge.progress import Advance
from mstl_edge.recipe import StageSpec
from mstl_edge.training._keras import keras, tf
from mstl_edge.training.fitting.checkpoint import Checkpoint, Epoch, best_epoch, first_averaged
from mstl_edge.training.fitting.mixup import mix_pairs
from mstl_edge.training.fitting.workshop import Logbook

EVALUATION_BATCH = 64


class Features(Protocol):
    """Features of many images, read from disk on indexing."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, positions: Any) -> NDArray[Any]:
        """Return those at `positions`."""


@dataclass(frozen=True)
class Samples:
    """Features with labels.

    Attributes:
        views: One `(n, *feature shape)` per stored view; indexing gives float32.
        labels: `(n,) int64` class numbers.
        soft_targets: `(n, classes)` probabilities to learn instead of the labels; None learns the labels.
    """

    views: Sequence[Features]
    labels: NDArray[np.int64]
    soft_targets: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class _Compiled:
    """A tail in TensorFlow's own code: one step of training, `(batch, classes)` logits, and what the step moves weights by."""

    step: Any
    forward: Any
    optimizer: Any


@dataclass(frozen=True)
class _Course:
    """What every epoch has in common: `targets` say what a sample should answer, `(n, classes)`, and how much it counts, `(n,)`."""

    train: Samples
    targets: tuple[NDArray[np.float32], NDArray[np.float32]]
    validation: Samples
    spec: StageSpec
    seed: int


def fit_tail(
    tail: Any,
    train: Samples,
    validation: Samples,
    spec: StageSpec,
    logbook: Logbook,
    *,
    seed: int,
) -> list[Epoch]:
    """Train the tail and leave it with the selected weights.

    Args:
        tail: Features → `(batch, classes)` logits; its trainable weights are trained.
        train: What to fit.
        validation: What chooses the epoch.
        spec: Epochs, batch size, optimizer, schedule, smoothing, class weights, mixup, selection.
        logbook: Where each epoch is written down and said.
        seed: Decides the order of the samples and of their views, and how mixup blends them.

    Returns:
        The history, one entry per epoch.

    Raises:
        MstlEdgeError: Training diverged, or there is no space for the checkpoint.
    """
    optimizer = _optimizer(spec)
    optimizer.build(tail.trainable_variables)
    averaged_from = first_averaged(spec.epochs) if spec.select == "average" else None
    state = Checkpoint(tail, optimizer, logbook.checkpoint, averaged_from)
    compiled = _Compiled(_training_step(tail, optimizer), _forward(tail), optimizer)
    course = _Course(train, _targets(train, tail.output_shape[-1], spec), validation, spec, seed)
    steps = math.ceil(len(train) / spec.batch_size)
    with logbook.reporter.bar(logbook.title, spec.epochs * steps) as advance:
        advance(len(state.history) * steps)
        for epoch in range(len(state.history), spec.epochs):
            if _stopped_early(state.history, spec.early_stopping):
                break
            record = _run_epoch(compiled, course, epoch, advance)
            _check_finite(record, logbook.title, spec.learning_rate)
            state.save(record)
            advance(0, _told(record, spec.epochs))
    if spec.select == "best":
        state.restore_best()
    elif spec.select == "average":
        state.restore_average()
    return state.history


def predict_logits(tail: Any, features: Features) -> NDArray[np.float32]:
    """Return the tail's `(n, classes)` logits."""
    return _logits(_forward(tail), features)


def class_weights(labels: NDArray[np.int64], classes: int, spec: StageSpec) -> NDArray[np.float32]:
    """Return one loss weight per class: all ones, or inversely proportional to how often the class occurs."""
    if spec.class_weight == "none":
        return np.ones(classes, dtype=np.float32)
    counts = np.maximum(np.bincount(labels, minlength=classes), 1)
    return np.asarray(len(labels) / (classes * counts), dtype=np.float32)


def _optimizer(spec: StageSpec) -> Any:
    if spec.optimizer == "sgd":
        return keras.optimizers.SGD(spec.learning_rate, momentum=0.9, jit_compile=False)
    return keras.optimizers.Adam(spec.learning_rate, jit_compile=False)


def _learning_rate(spec: StageSpec, epoch: int) -> float:
    """Constant, or a half cosine from the start value to a twentieth of it (Loshchilov and Hutter 2017, without restarts)."""
    if spec.schedule == "constant":
        return spec.learning_rate
    share = epoch / max(spec.epochs - 1, 1)
    return spec.learning_rate * (0.05 + 0.95 * 0.5 * (1.0 + math.cos(math.pi * share)))


def _targets(train: Samples, classes: int, spec: StageSpec) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what every sample should answer, `(n, classes)`, and how much it counts, `(n,)`."""
    hard = np.eye(classes, dtype=np.float32)[train.labels]
    wanted = hard if train.soft_targets is None else train.soft_targets
    smoothed = wanted * (1.0 - spec.label_smoothing) + spec.label_smoothing / classes
    return smoothed.astype(np.float32), class_weights(train.labels, classes, spec)[train.labels]


def _training_step(tail: Any, optimizer: Any) -> Any:
    variables = tail.trainable_variables
    batched = [[None, *tail.input_shape[1:]], [None, tail.output_shape[-1]], [None]]

    def step(batch: Any, targets: Any, weights: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = tail(batch, training=True)
            losses = tf.nn.softmax_cross_entropy_with_logits(targets, logits)
            loss = tf.reduce_mean(losses * weights)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        correct = tf.reduce_sum(tf.cast(tf.argmax(logits, axis=1) == tf.argmax(targets, axis=1), tf.float32))
        return tf.stack([loss * tf.cast(tf.shape(weights)[0], tf.float32), correct])

    return tf.function(step, input_signature=[tf.TensorSpec(shape, tf.float32) for shape in batched], autograph=False)


def _forward(tail: Any) -> Any:
    return tf.function(
        lambda batch: tail(batch, training=False),
        input_signature=[tf.TensorSpec([None, *tail.input_shape[1:]], tf.float32)],
        autograph=False,
    )


def _logits(forward: Any, features: Features) -> NDArray[np.float32]:
    blocks = [
        np.asarray(forward(tf.constant(features[start : start + EVALUATION_BATCH])))
        for start in range(0, max(len(features), 1), EVALUATION_BATCH)
    ]
    return np.concatenate(blocks)


def _run_epoch(compiled: _Compiled, course: _Course, epoch: int, advance: Advance) -> Epoch:
    train, spec, seed = course.train, course.spec, course.seed
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(train))
    # Every sample walks through its views in turn, each from a start of its own.
    starts = np.random.default_rng([seed]).integers(len(train.views), size=len(train))
    views = (starts + epoch) % len(train.views)
    rate = _learning_rate(spec, epoch)
    compiled.optimizer.learning_rate.assign(rate)
    mixing = np.random.default_rng([seed, epoch, 1])  # a stream of its own: mixup does not change the order
    totals = np.zeros(2)
    for first in range(0, len(order), spec.batch_size):
        chosen = order[first : first + spec.batch_size]
        batch = np.stack([train.views[views[i]][int(i)] for i in chosen])
        wanted, weights = (array[chosen] for array in course.targets)
        if spec.mixup:
            batch, wanted, weights = mix_pairs(batch, wanted, weights, spec.mixup, mixing)
        totals += np.asarray(compiled.step(tf.constant(batch), tf.constant(wanted), tf.constant(weights)))
        advance(1)
    loss, accuracy = _measure(_logits(compiled.forward, course.validation.views[0]), course.validation.labels)
    return Epoch(epoch + 1, rate, totals[0] / len(train), totals[1] / len(train), loss, accuracy)


def _check_finite(record: Epoch, title: str, learning_rate: float) -> None:
    if not math.isfinite(record.loss + record.validation_loss):
        raise MstlEdgeError(
            f"a finite loss in {title}",
            received=f"{record.loss:g} in epoch {record.epoch} (validation {record.validation_loss:g})",
            hint=f"Training diverged: try a learning rate below {learning_rate:g}; the epochs before are kept.",
        )


def _measure(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[float, float]:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_likelihood = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    loss = -float(log_likelihood[np.arange(len(labels)), labels].mean())
    return loss, float((logits.argmax(axis=1) == labels).mean())


def _stopped_early(history: Sequence[Epoch], patience: int) -> bool:
    return bool(patience) and len(history) - best_epoch(history) >= patience


def _told(record: Epoch, epochs: int) -> str:
    return (
        f"epoch {record.epoch}/{epochs} loss {record.loss:.3f} accuracy {record.accuracy:.3f} "
        f"validation {record.validation_loss:.3f} {record.validation_accuracy:.3f}"
    )
