"""A finished run, opened again: its last stage's network, images and fitted decision."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.errors import RunError
from mstl_edge.progress import Reporter
from mstl_edge.recipe import Recipe, StageSpec
from mstl_edge.runs import RunFolder, read_json
from mstl_edge.training import graph, stages
from mstl_edge.training._keras import keras


@dataclass(frozen=True)
class Trained:
    """What an export starts from.

    Attributes:
        run: The run folder.
        recipe: Its recipe.
        stage: The last stage.
        entry: That stage's `metrics.json`.
        model: Image → logits, with the stage's weights.
        data: The stage's images, dealt out as in training.
    """

    run: RunFolder
    recipe: Recipe
    stage: StageSpec
    entry: dict[str, Any]
    model: Any
    data: stages.StageData

    @property
    def seed(self) -> int:
        """The stage's seed."""
        return stages.stage_seed(self.recipe, self.stage)

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in the order of the outputs."""
        return tuple(self.entry["labels"])

    @property
    def positive(self) -> int:
        """Number of the positive class."""
        return self.labels.index(self.entry["positive"])

    def pixels(self, images: Any) -> NDArray[np.uint8]:
        """Return images as one array in memory, `(n, height, width, 3) uint8`."""
        return np.asarray(images.pixels[np.arange(len(images))], dtype=np.uint8)

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
        RunError: Its last stage is not finished.
        DataError: The images are gone.
    """
    recipe = run.recipe()
    stage = recipe.stages[-1]
    folder = run.stage(stage.name)
    if not folder.metrics.is_file():
        raise RunError(
            f"a run whose last stage ({stage.name}) is finished",
            received=run.path,
            hint=f"Finish it: mstl-edge train --resume {run.path}",
        )
    entry = read_json(folder.metrics)
    keras.backend.clear_session()  # Keras numbers layers, and their names go into the file: the same bytes every time
    model = graph.build_classifier(recipe.backbone, len(entry["labels"]))
    graph.set_weights(model, stages.read_weights(folder.weights))
    data = stages.prepare_stage(recipe, stage, run, reporter)
    return Trained(run, recipe, stage, entry, model, data)


def file_hash(path: Any) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
