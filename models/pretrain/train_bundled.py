"""Train the small backbone that ships with the project: `python models/pretrain/train_bundled.py`.

MobileNet V1 0.25 at 96 pixels learns, from random weights, to name the figure, the surface and the ground of the images
that `figures.py` draws. The three heads are thrown away; what remains is saved as a Keras `no_top` weights file.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from figures import FIGURES, GROUNDS, SURFACES, Batch, draw_batch
from numpy.random import Generator
from numpy.typing import NDArray

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # a third faster on CPUs without AVX-512, where it is off
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf
import tf_keras as keras

from mstl_edge_models import weights
from mstl_edge_models.backbones import REGISTRY

HEADS = {"figure": len(FIGURES), "surface": len(SURFACES), "ground": len(GROUNDS)}
HEAD_SHARE = {"figure": 1.0, "surface": 0.7, "ground": 0.3}
NOTHING = len(FIGURES) - 1
"""An image without a figure has no surface to name: that head does not learn from it."""

GROWTH = (("conv_pw_4_relu", 3), ("conv_pw_6_relu", 2), ("conv_pw_9_relu", 2), ("conv_pw_13_relu", 6))
"""Up to which layer the network reaches, and for how many epochs: a plain stack of 27 layers barely learns from random
weights (its gradients explode with depth), but grown from below each part stands on features that already mean something."""

PEAK_LEARNING_RATE = 3e-3
BATCH = 32


@dataclass(frozen=True)
class BackboneSpec:
    """What `mstl_edge_models` builds a backbone from."""

    alpha: float = 0.25
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
    measured: dict[str, float] = {}
    for listener, epochs in GROWTH:
        measured = _grow(backbone, listener, max(1, round(epochs * arguments.effort)), train, held_out, arguments.seed)
        print(listener, json.dumps(measured), f"{time.monotonic() - started:.0f} s", flush=True)  # noqa: T201
        backbone.save_weights(str(arguments.out), save_format="h5")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(str(weights.path(REGISTRY["mobilenet_v1"].bundled_file))))
    parser.add_argument("--images", type=int, default=12_000)
    parser.add_argument("--effort", type=float, default=1.0, help="scales the epochs of GROWTH")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _draw(count: int, size: int, rng: Generator, block: int = 256) -> Batch:
    """Draw in blocks: a batch of all images would not fit into memory."""
    blocks = [draw_batch(min(block, count - start), size, rng) for start in range(0, count, block)]
    parts = ([getattr(drawn, name) for drawn in blocks] for name in ("images", "figures", "surfaces", "grounds"))
    return Batch(*(np.concatenate(part) for part in parts))


def _grow(backbone: Any, listener: str, epochs: int, train: Batch, held_out: Batch, seed: int) -> dict[str, float]:
    """Train the backbone up to `listener` under fresh heads; return the accuracy of each head on held-out images."""
    features = backbone.get_layer(listener).output
    # The mean hears textures, the maximum hears a small figure that covers a hundredth of the image.
    pools = (keras.layers.GlobalAveragePooling2D(), keras.layers.GlobalMaxPooling2D())
    pooled = keras.layers.BatchNormalization()(keras.layers.Concatenate()([pool(features) for pool in pools]))
    outputs = {head: keras.layers.Dense(classes, activation="softmax", name=head)(pooled) for head, classes in HEADS.items()}
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
    model.fit(_Deck(train, seed), epochs=epochs, shuffle=False, verbose=2)
    measured = model.evaluate(
        _inputs(held_out.images),
        _targets(held_out),
        sample_weight=_weights(held_out),
        batch_size=256,
        verbose=0,
        return_dict=True,
    )
    return {head: round(float(measured[f"{head}_accuracy"]), 4) for head in HEADS}


class _Deck(keras.utils.Sequence):  # type: ignore[misc]
    """Shuffled batches; every time an image comes up it is turned and mirrored by chance."""

    def __init__(self, batch: Batch, seed: int) -> None:
        super().__init__()
        self._batch = batch
        self._rng = np.random.default_rng([seed, 2])
        self.on_epoch_end()

    def __len__(self) -> int:
        return len(self._batch.images) // BATCH

    def __getitem__(self, number: int) -> tuple[Any, Any, Any]:
        order = self._order[number * BATCH : (number + 1) * BATCH]
        drawn = Batch(*(getattr(self._batch, name)[order] for name in ("images", "figures", "surfaces", "grounds")))
        return _inputs(_varied(drawn.images, self._rng)), _targets(drawn), _weights(drawn)

    def on_epoch_end(self) -> None:
        self._order = self._rng.permutation(len(self._batch.images))


def _varied(images: NDArray[np.uint8], rng: Generator) -> NDArray[np.uint8]:
    turned = np.stack([np.rot90(image, turns) for image, turns in zip(images, rng.integers(0, 4, len(images)), strict=True)])
    mirrored = rng.random(len(images)) < 0.5
    turned[mirrored] = turned[mirrored, :, ::-1]
    return turned


def _inputs(images: NDArray[np.uint8]) -> Any:
    scaled = (images.astype(np.float32) - 128.0) / 128.0
    return tf.constant(np.repeat(scaled[..., None], 3, axis=-1))


def _targets(batch: Batch) -> dict[str, Any]:
    return {"figure": batch.figures, "surface": batch.surfaces, "ground": batch.grounds}


def _weights(batch: Batch) -> dict[str, Any]:
    every = np.ones(len(batch.figures), dtype=np.float32)
    return {"figure": every, "surface": (batch.figures != NOTHING).astype(np.float32), "ground": every}


if __name__ == "__main__":
    main()
