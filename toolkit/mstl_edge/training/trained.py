"""A finished run, opened again: its last stage's network, images and fitted decision."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.errors import RunError, typed
from mstl_edge.metrics import decide
from mstl_edge.progress import Reporter
from mstl_edge.recipe import Recipe, StageSpec
from mstl_edge.runs import RunFolder
from mstl_edge.schemas.metrics import Fitted, StageMetrics, read_stage_metrics
from mstl_edge.training import stages
from mstl_edge.training.network.classifier import build_backbone, classifier
from mstl_edge.training.network.graph import Graph
from mstl_edge.training.stage_data import StageData, prepare_stage


@dataclass(frozen=True)
class Trained:
    """What an export starts from.

    Attributes:
        run: The run folder.
        recipe: Its recipe.
        stage: The last stage.
        entry: What the stage fitted; of a finished run all that it measured, see `measured`.
        network: Image → logits, with the stage's weights.
        data: The stage's images, dealt out as in training.
    """

    run: RunFolder
    recipe: Recipe
    stage: StageSpec
    entry: Fitted
    network: Graph
    data: StageData

    @property
    def seed(self) -> int:
        """The stage's seed."""
        return stages.stage_seed(self.recipe, self.stage)

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in the order of the outputs."""
        return self.entry.labels

    @property
    def positive(self) -> int | None:
        """Number of the positive class; None with more than two classes."""
        return self.entry.positive_index

    @property
    def measured(self) -> StageMetrics:
        """What training measured; a fold of a study is quantized before anything is measured of it."""
        if not isinstance(self.entry, StageMetrics):
            raise TypeError("a network of a study's fold has no metrics")
        return self.entry

    def pixels(self, images: Any) -> NDArray[np.uint8]:
        """Return images as one array in memory, `(n, height, width, 3) uint8`."""
        return np.asarray(images.pixels[np.arange(len(images))], dtype=np.uint8)

    def decide(self, probabilities: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the class numbers that `(n, classes)` probabilities mean under the fitted decision."""
        return decide(probabilities, positive=self.positive, threshold=self.entry.threshold)

    def calibration(self, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[bytes, ...]]:
        """Return a seeded choice of `count` training images (all, where there are fewer): pixels, classes, keys.

        The classes take turns, so that the first few images are no less mixed than all of them.
        """
        images, classes = self.data.part("train")
        chosen = taking_turns(classes, self.seed)[:count]
        return np.asarray(images.pixels[chosen], dtype=np.uint8), classes[chosen], tuple(images.keys[i] for i in chosen)


def taking_turns(classes: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return the positions of all images in a seeded order in which the classes take turns for as long as they last."""
    order = np.random.default_rng(seed).permutation(len(classes))
    turn = np.empty(len(classes), dtype=np.int64)
    for number in np.unique(classes):
        own = order[classes[order] == number]
        turn[own] = np.arange(len(own))
    return order[np.argsort(turn[order], kind="stable")]


def open_trained(run: RunFolder, reporter: Reporter) -> Trained:
    """Open a finished run.

    Raises:
        RunError: Its last stage is not finished, or its files are damaged or do not fit each other.
        DataError: The images are gone.
    """
    recipe = run.recipe()
    stage = recipe.stages[-1]
    folder = run.stage(stage.name)
    if not folder.metrics.is_file():
        raise RunError(
            f"a run whose last stage ({stage.name}) is finished",
            received=run.path,
            hint=f"Finish it: {typed('mstl-edge', 'train', '--resume', run.path)}",
        )
    entry = read_stage_metrics(folder.metrics)
    network = classifier(recipe.backbone, build_backbone(recipe.backbone), len(entry.labels))
    weights = stages.read_weights(folder.weights)
    if {name: [a.size for a in arrays] for name, arrays in weights.items()} != {
        name: [a.size for a in arrays] for name, arrays in network.weights.items()
    }:
        raise RunError(
            f"weights of {recipe.backbone.name}:{recipe.backbone.variant}, as the run's recipe says",
            received=folder.weights,
            hint="The recipe was changed after training: mstl-edge train makes a new run.",
        )
    data = prepare_stage(recipe, stage, run, reporter)
    return Trained(run, recipe, stage, entry, network.with_weights(weights), data)


def file_hash(path: Any) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
