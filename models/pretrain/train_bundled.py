"""Train the small backbone that ships with the project: `python models/pretrain/train_bundled.py`.

MobileNet V1 0.25 at 96 pixels learns, from random weights, to say which figure with which surface lies where in the images
that `figures.py` draws, and on which ground. The heads are thrown away; what remains is saved as a Keras `no_top` weights file.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from figures import CELLS, FIGURES, SURFACES, Batch, draw_batch
from grounds import GROUNDS
from numpy.random import Generator
from numpy.typing import NDArray

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # a third faster on CPUs without AVX-512, where it is off
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf
import tf_keras as keras

from mstl_edge_models import weights
from mstl_edge_models.backbones import REGISTRY

HEADS = {"figure": 1 + len(FIGURES), "surface": 1 + len(SURFACES), "ground": len(GROUNDS)}
"""Classes of each head; figure and surface are told cell by cell, where 0 is "none here"."""

HEAD_SHARE = {"figure": 1.0, "surface": 1.0, "ground": 0.3}

LEAST_COVERAGE = {12: 0.12, 6: 0.06, 3: 0.03}
"""Share of a cell that a figure must fill to be what that cell shows, by cells per side."""

EMPTY_CELL_WEIGHT = 0.3

GROWTH = (("conv_pw_4_relu", 3), ("conv_pw_6_relu", 2), ("conv_pw_9_relu", 2), ("conv_pw_13_relu", 6))
"""Up to which layer the network reaches, and for how many epochs. Trained whole from random weights this stack of 27 layers
was still near chance after 2,000 steps; grown from below, each part stands on features that already mean something."""

PEAK_LEARNING_RATE = 3e-3
BATCH = 32


@dataclass(frozen=True)
class BackboneSpec:
    """What `mstl_edge_models` builds a backbone from."""

    variant: str = "0.25"
    input_size: int = 96


def main() -> None:
    """Draw, train, measure on images drawn by another seed, save."""
    arguments = _arguments()
    started = time.monotonic()
    keras.utils.set_random_seed(arguments.seed)
    spec = BackboneSpec()
    train = _draw(arguments.images, spec.input_size, np.random.default_rng([arguments.seed, 0]))
    held_out = _draw(2048, spec.input_size, np.random.default_rng([arguments.seed, 1]))
    print(f"{arguments.images} images drawn in {time.monotonic() - started:.0f} s", flush=True)  # noqa: T201

    backbone = REGISTRY["mobilenet_v1"].build(keras, spec)
    for listener, epochs in GROWTH:
        measured = _grow(backbone, listener, max(1, round(epochs * arguments.effort)), train, held_out, arguments.seed)
        print(listener, json.dumps(measured), f"{time.monotonic() - started:.0f} s", flush=True)  # noqa: T201
    backbone.save_weights(str(arguments.out), save_format="h5")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(str(weights.path(REGISTRY["mobilenet_v1"].bundled["0.25"]))))
    parser.add_argument("--images", type=int, default=12_000)
    parser.add_argument("--effort", type=float, default=1.0, help="scales the epochs of GROWTH")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _draw(count: int, size: int, rng: Generator, block: int = 256) -> Batch:
    """Draw in blocks: the intermediate arrays of all images at once would not fit into memory."""
    blocks = [draw_batch(min(block, count - start), size, rng) for start in range(0, count, block)]
    return Batch(*(np.concatenate([getattr(drawn, field.name) for drawn in blocks]) for field in fields(Batch)))


def _grow(backbone: Any, listener: str, epochs: int, train: Batch, held_out: Batch, seed: int) -> dict[str, float]:
    """Train the backbone up to `listener` under fresh heads; return the accuracy of each head on held-out images."""
    features = backbone.get_layer(listener).output
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    heard = {"figure": features, "surface": features, "ground": pooled}
    outputs = {
        head: keras.layers.Dense(HEADS[head], activation="softmax", name=head)(given) for head, given in heard.items()
    }
    model = keras.Model(backbone.input, outputs)
    steps = epochs * (len(train.images) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - steps // 20, warmup_target=PEAK_LEARNING_RATE, warmup_steps=steps // 20
    )
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss={head: keras.losses.SparseCategoricalCrossentropy() for head in HEADS},
        loss_weights=HEAD_SHARE,
        weighted_metrics={head: [keras.metrics.SparseCategoricalAccuracy(name="accuracy")] for head in HEADS},
    )
    cells = int(features.shape[1])
    model.fit(_Deck(train, cells, seed), epochs=epochs, shuffle=False, verbose=2)
    targets, weights = _targets(held_out, cells)
    measured = model.evaluate(
        _inputs(held_out.images), targets, sample_weight=weights, batch_size=256, verbose=0, return_dict=True
    )
    return {head: round(float(measured[f"{head}_accuracy"]), 4) for head in HEADS}


class _Deck(keras.utils.Sequence):  # type: ignore[misc]
    """Shuffled batches; every time an image comes up it is turned and mirrored by chance."""

    def __init__(self, batch: Batch, cells: int, seed: int) -> None:
        super().__init__()
        self._batch = batch
        self._cells = cells
        self._rng = np.random.default_rng([seed, cells, 2])
        self.on_epoch_end()

    def __len__(self) -> int:
        return len(self._batch.images) // BATCH

    def __getitem__(self, number: int) -> tuple[Any, Any, Any]:
        order = self._order[number * BATCH : (number + 1) * BATCH]
        drawn = _turned(Batch(*(getattr(self._batch, field.name)[order] for field in fields(Batch))), self._rng)
        return _inputs(drawn.images), *_targets(drawn, self._cells)

    def on_epoch_end(self) -> None:
        self._order = self._rng.permutation(len(self._batch.images))


def _turned(batch: Batch, rng: Generator) -> Batch:
    images, coverage = batch.images.copy(), batch.coverage.copy()
    for i, (quarters, mirror) in enumerate(zip(rng.integers(0, 4, BATCH), rng.random(BATCH) < 0.5, strict=True)):
        step = -1 if mirror else 1
        images[i] = np.rot90(batch.images[i], quarters)[:, ::step]
        coverage[i] = np.rot90(batch.coverage[i], quarters, axes=(1, 2))[:, :, ::step]
    return replace(batch, images=images, coverage=coverage)


def _inputs(images: NDArray[np.uint8]) -> Any:
    scaled = (images.astype(np.float32) - 128.0) / 128.0
    return tf.constant(np.repeat(scaled[..., None], 3, axis=-1))


def _targets(batch: Batch, cells: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the classes and the weights of every head, cell by cell for figure and surface."""
    count, objects, _, _ = batch.coverage.shape
    merged = CELLS // cells
    coverage = batch.coverage.reshape(count, objects, cells, merged, cells, merged).mean(axis=(3, 5)) / 255
    owner = coverage.argmax(axis=1)
    filled = coverage.max(axis=1) >= LEAST_COVERAGE[cells]
    rows = np.arange(count)[:, None, None]
    targets = {
        "figure": np.where(filled, 1 + batch.figures[rows, owner], 0),
        "surface": np.where(filled, 1 + batch.surfaces[rows, owner], 0),
        "ground": batch.grounds,
    }
    cell_weights = np.where(filled, 1.0, EMPTY_CELL_WEIGHT).astype(np.float32)
    return targets, {"figure": cell_weights, "surface": cell_weights, "ground": np.ones(count, dtype=np.float32)}


if __name__ == "__main__":
    main()
