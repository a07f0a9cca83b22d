"""One stage: put a fresh head on the network, fine-tune its upper part on the stage's images, measure it."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mstl_edge.errors import RunError, typed
from mstl_edge.metrics import choose_threshold, classification_metrics, fit_temperature, softmax
from mstl_edge.planning.positive import positive_class
from mstl_edge.preprocess import normalize
from mstl_edge.recipe import Recipe, StageSpec
from mstl_edge.runs import StageFolder
from mstl_edge.schemas.metrics import Parameters, StageMetrics, UnreadableFile, write_stage_metrics
from mstl_edge.storage import digest, load_arrays, save_arrays, write_text
from mstl_edge.training.fitting.checkpoint import Epoch, history_csv
from mstl_edge.training.fitting.features import FrozenPrefix, Views, view_features
from mstl_edge.training.fitting.fit import Samples, fit_tail, predict_logits
from mstl_edge.training.fitting.workshop import Logbook, Workshop
from mstl_edge.training.network.classifier import build_backbone, classifier, fresh_head, with_backbone_of
from mstl_edge.training.network.cut import cut_at, trained_nodes
from mstl_edge.training.network.graph import Graph, Weights
from mstl_edge.training.network.keras import to_keras, weights_of
from mstl_edge.training.network.passes.scratch import normalized_from_data
from mstl_edge.training.stage_data import StageData
from mstl_edge.training.weights import loaded_backbone

SCALING_IMAGES = 64
"""Training images that set the scale of random kernels."""


@dataclass(frozen=True)
class Scores:
    """A stage's network on the two splits it was not fitted to, as `(n, classes)` logits."""

    validation: NDArray[np.float32]
    test: NDArray[np.float32]


def stage_seed(recipe: Recipe, stage: StageSpec) -> int:
    """Return the seed of everything random in one stage."""
    return int.from_bytes(digest(str(recipe.seed), stage.name)[:4], "little")


def build_network(recipe: Recipe, stage: StageSpec, classes: int, carried: Weights | None) -> Graph:
    """Return the network that the stage starts from: first weights or an earlier stage's, and a fresh head.

    Raises:
        WeightsError: See `loaded_backbone`.
    """
    spec = recipe.backbone
    if carried is None:
        begun = classifier(spec, loaded_backbone(spec, recipe.seed), classes)
    else:
        begun = with_backbone_of(classifier(spec, build_backbone(spec), classes), carried)
    return fresh_head(begun, stage_seed(recipe, stage))


def begin_network(recipe: Recipe, stage: StageSpec, data: StageData, carried: Weights | None) -> Graph:
    """Return what `build_network` does; kernels that were drawn have a scale that the stage's training images can pass through.

    Raises:
        WeightsError: See `loaded_backbone`.
    """
    begun = build_network(recipe, stage, len(data.manifest.labels), carried)
    if carried is not None or recipe.backbone.weights != "none":
        return begun
    pixels = data.part("train")[0].pixels
    first = np.asarray(pixels[np.arange(min(SCALING_IMAGES, len(pixels)))], dtype=np.uint8)
    return normalized_from_data(begun, normalize(first))


def fine_tune(
    network: Graph,
    data: StageData,
    recipe: Recipe,
    stage: StageSpec,
    workshop: Workshop,
) -> tuple[Graph, list[Epoch], Scores]:
    """Return the network trained from `unfreeze_from` on, with the selected weights, its history and its scores."""
    cut = cut_at(network, stage.unfreeze_from)
    prefix = FrozenPrefix(cut.prefix, workshop.threads)
    parts = {split: data.part(split) for split in ("train", "validation", "test")}
    once = msgspec.structs.replace(stage.augment, views=1)
    wanted = [Views(split, images, stage.augment if split == "train" else once) for split, (images, _) in parts.items()]
    features = view_features(
        prefix, wanted, precision=stage.feature_precision, reporter=workshop.reporter, title=f"features, {stage.name}"
    )
    samples = {
        split: Samples(views, classes) for (split, (_, classes)), views in zip(parts.items(), features, strict=True)
    }
    tail = to_keras(cut.tail, matrix_products=True)
    history = fit_tail(
        tail,
        samples["train"],
        samples["validation"],
        stage,
        Logbook(workshop.folder.checkpoint, workshop.reporter, stage.name),
        seed=stage_seed(recipe, stage),
    )
    scores = {split: predict_logits(tail, samples[split].views[0]) for split in ("validation", "test")}
    return network.with_weights(weights_of(tail)), history, Scores(**scores)


def measure_stage(
    stage: StageSpec, data: StageData, scores: Scores, history: list[Epoch], network: Graph
) -> StageMetrics:
    """Fit temperature and threshold on validation, then score the test split once."""
    labels = data.manifest.labels
    positive = positive_class(stage, labels)
    validation_classes, test_classes = data.part("validation")[1], data.part("test")[1]
    temperature = fit_temperature(scores.validation, validation_classes)
    probabilities = {"validation": softmax(scores.validation, temperature), "test": softmax(scores.test, temperature)}
    threshold = None
    if positive is not None:
        threshold = choose_threshold(validation_classes == positive, probabilities["validation"][:, positive])
    measured = {
        split: classification_metrics(
            classes, probabilities[split], positive=positive, threshold=threshold, names=labels
        )
        for split, classes in (("validation", validation_classes), ("test", test_classes))
    }
    return StageMetrics(
        name=stage.name,
        labels=labels,
        positive=None if positive is None else labels[positive],
        images={split: len(data.manifest.part(split)) for split in ("train", "validation", "test")},
        patients_known=data.manifest.patients_known,
        unreadable=tuple(UnreadableFile(entry.name, entry.reason) for entry in data.manifest.unreadable),
        epochs=len(history),
        selected_epoch=selected_epoch(stage, history),
        temperature=temperature,
        threshold=threshold,
        parameters=Parameters(network.parameters(), network.parameters(trained_nodes(network, stage.unfreeze_from))),
        validation=measured["validation"],
        test=measured["test"],
    )


def selected_epoch(stage: StageSpec, history: list[Epoch]) -> int:
    """Return the number (from 1) of the epoch whose weights were kept; of an average, the last epoch in it."""
    if stage.select == "best":
        return min(history, key=lambda entry: entry.validation_loss).epoch
    return history[-1].epoch


def save_stage(
    folder: StageFolder, data: StageData, network: Graph, history: list[Epoch], scores: Scores, entry: StageMetrics
) -> None:
    """Write what the stage learned and measured; `metrics.json` comes last and marks the stage as finished."""
    save_weights(folder.weights, network.weights)
    write_text(folder.history, history_csv(history))
    write_text(folder.predictions, _predictions_csv(data, scores, entry.temperature))
    write_stage_metrics(folder.metrics, entry)


def _predictions_csv(data: StageData, scores: Scores, temperature: float) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "split", "label", *data.manifest.labels])
    for split, logits in (("validation", scores.validation), ("test", scores.test)):
        rows: Iterable[Any] = zip(data.manifest.part(split), softmax(logits, temperature), strict=True)  # type: ignore[arg-type]
        writer.writerows([row.name, split, row.label, *(f"{p:.6f}" for p in values)] for row, values in rows)
    return text.getvalue()


def save_weights(path: Path, weights: Mapping[str, Iterable[NDArray[np.float32]]]) -> None:
    """Write weights by layer name."""
    save_arrays(path, {f"{layer}/{i}": array for layer, arrays in weights.items() for i, array in enumerate(arrays)})


def read_weights(path: Path) -> Weights:
    """Return weights by layer name.

    Raises:
        RunError: The file is gone or damaged.
    """
    weights: Weights = {}
    try:
        arrays = load_arrays(path)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise RunError(
            f"a stage's weights ({type(error).__name__})",
            received=path,
            hint=f"Train that stage again: {typed('rm', '-r', path.parent)}, then "
            + typed("mstl-edge", "train", "--resume", path.parents[2]),
        ) from error
    for name, array in arrays.items():
        weights.setdefault(name.rpartition("/")[0], []).append(np.asarray(array, dtype=np.float32))
    return weights
