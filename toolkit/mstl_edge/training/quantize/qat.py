"""Quantization-aware fine-tuning that two cores can afford.

The quantized prefix is frozen, so what it outputs never changes: it is converted to int8 first and run once per
image in the engine that a device uses, and the tail is fine-tuned under fake quantization on exactly those int8
features. It learns the float model's own answers, on the training images and their views (distillation, Hinton
et al. 2015, arXiv:1503.02531): the promise of an int8 file is to answer as the float model does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mstl_edge.preprocess import normalize
from mstl_edge.progress import Reporter
from mstl_edge.recipe import QuantizeSpec, StageSpec
from mstl_edge.runtime import load_runtime, to_input
from mstl_edge.storage import Rows, RowStore, cache_folder, digest
from mstl_edge.training.convert import to_int8_flatbuffer
from mstl_edge.training.fitting.augment import PixelRows
from mstl_edge.training.fitting.checkpoint import Epoch
from mstl_edge.training.fitting.features import Images
from mstl_edge.training.fitting.fit import Features, Samples, fit_tail
from mstl_edge.training.fitting.workshop import Logbook, Workshop
from mstl_edge.training.network.classifier import FLAT
from mstl_edge.training.network.cut import cut_at, up_to
from mstl_edge.training.network.graph import Graph
from mstl_edge.training.network.keras import to_keras, weights_of


@dataclass(frozen=True)
class Lesson:
    """Images and what the quantized network should answer to them.

    Attributes:
        images: What it sees.
        classes: `(n,)` class numbers.
        soft_targets: `(n, classes)` probabilities to learn; None learns the classes.
    """

    images: Images
    classes: NDArray[np.int64]
    soft_targets: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Tuning:
    """How a network is fine-tuned under fake quantization.

    Attributes:
        stage: The stage whose network it is; says what is frozen.
        spec: Epochs, learning rate and batch size.
        seed: Decides the order of the samples.
    """

    stage: StageSpec
    spec: QuantizeSpec
    seed: int


@dataclass(frozen=True)
class Int8Features:
    """Features that a device's int8 prefix put out, read as the real numbers they stand for.

    Attributes:
        rows: `(n, *feature shape) int8`.
        scale: Real value of one step.
        zero_point: The step that stands for 0.
    """

    rows: Rows
    scale: float
    zero_point: int

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, positions: Any) -> NDArray[np.float32]:
        steps = self.rows[positions].astype(np.float32) - np.float32(self.zero_point)
        return np.asarray(steps * np.float32(self.scale))


@dataclass(frozen=True)
class ScaledPixels:
    """Images as the network reads them, which every int8 file does without rounding.

    Attributes:
        pixels: `(n, height, width, 3) uint8`.
    """

    pixels: PixelRows

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, positions: Any) -> NDArray[np.float32]:
        return normalize(np.asarray(self.pixels[positions], dtype=np.uint8))


class Stacked:
    """Several blocks of features in a row, none of them read before it is asked for."""

    def __init__(self, blocks: Sequence[Features]) -> None:
        self._blocks = blocks
        self._starts = np.cumsum([0, *map(len, blocks)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, positions: Any) -> NDArray[np.float32]:
        if isinstance(positions, int):
            block = int(np.searchsorted(self._starts, positions, side="right")) - 1
            return self._blocks[block][positions - int(self._starts[block])]
        return np.stack([self[position] for position in range(len(self))[positions]])


def _stacked_targets(lessons: Sequence[Lesson]) -> NDArray[np.float32] | None:
    targets = [lesson.soft_targets for lesson in lessons if lesson.soft_targets is not None]
    return np.concatenate(targets) if len(targets) == len(lessons) else None


def fine_tune(
    quantized: Graph,
    lessons: Sequence[Lesson],
    validation: Lesson,
    tuning: Tuning,
    workshop: Workshop,
) -> tuple[Graph, list[Epoch]]:
    """Fine-tune the layers from `tuning.stage.unfreeze_from` on under fake quantization.

    Args:
        quantized: From `post_training.calibrated`.
        lessons: What to fit.
        validation: What chooses the epoch.
        tuning: How.
        workshop: Where; its folder gets a checkpoint that is named after this very work.

    Returns:
        The network with what it learned, and the history, one entry per epoch.
    """
    stage, spec, seed = tuning.stage, tuning.spec, tuning.seed
    cut = cut_at(quantized, stage.unfreeze_from)
    tail = to_keras(up_to(cut.tail, FLAT), matrix_products=True)
    prefix = None if cut.prefix is None else to_int8_flatbuffer(cut.prefix, signature=False)
    train, judged = (
        Samples(
            [Stacked([_features(prefix, lesson.images, workshop) for lesson in part])],
            np.concatenate([lesson.classes for lesson in part]),
            _stacked_targets(part),
        )
        for part in (lessons, [validation])
    )
    fitted = msgspec.structs.replace(
        stage,
        epochs=spec.epochs,
        learning_rate=spec.learning_rate,
        batch_size=spec.batch_size,
        schedule="cosine",
        select="last",
        mixup=0.0,
    )
    if (
        train.soft_targets is not None
    ):  # answers are learned as they are: no class of them is rare, and none is too certain
        fitted = msgspec.structs.replace(fitted, class_weight="none", label_smoothing=0.0)
    checkpoint = workshop.folder.path / f"checkpoint-{_work_key(quantized, fitted, seed, lessons)}.npz"
    history = fit_tail(
        tail,
        train,
        judged,
        fitted,
        Logbook(checkpoint, workshop.reporter, "quantization-aware fine-tuning"),
        seed=seed,
    )
    return quantized.with_weights(weights_of(tail)), history


def _work_key(quantized: Graph, fitted: StageSpec, seed: int, lessons: Sequence[Lesson]) -> str:
    """Name what decides the result, so that no checkpoint of other work is taken up."""
    learned = [
        part
        for lesson in lessons
        for part in (*lesson.images.keys, b"" if lesson.soft_targets is None else lesson.soft_targets.tobytes())
    ]
    return digest(quantized.key(), msgspec.json.encode(fitted), str(seed), *learned).hex()[:12]


def _features(prefix: bytes | None, images: Images, workshop: Workshop) -> Features:
    """Return what the tail reads of each image; the image itself, where nothing is frozen."""
    if prefix is None:
        return ScaledPixels(images.pixels)
    return int8_features(prefix, images, threads=workshop.threads, reporter=workshop.reporter)


def int8_features(prefix: bytes, images: Images, *, threads: int, reporter: Reporter) -> Int8Features:
    """Return what an int8 prefix puts out for every image, computed once in the engine that a device uses."""
    runtime = load_runtime(prefix, runtime="litert", threads=threads)
    store = RowStore(cache_folder("features", digest(prefix).hex()[:32]), runtime.output.shape[1:], np.int8)

    def compute(positions: Sequence[int]) -> Iterator[NDArray[np.int8]]:
        with reporter.bar("features, int8 layers", len(positions)) as advance:
            for position in positions:
                pixels = np.asarray(images.pixels[position], dtype=np.uint8)
                yield runtime.invoke(to_input(pixels[np.newaxis], runtime.input))[0]
                advance(1)

    store.ensure(images.keys, compute)
    return Int8Features(store.rows(images.keys), runtime.output.scale, runtime.output.zero_point)
