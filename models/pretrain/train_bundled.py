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

LISTENERS = ("conv_pw_5_relu", "conv_pw_9_relu", "conv_pw_13_relu")
"""Where heads are attached: a plain stack of 27 layers learns far sooner when its lower half hears the loss directly."""

PEAK_LEARNING_RATE = 4e-3
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
    _open_up(backbone, np.random.default_rng([arguments.seed, 3]))
    model = _with_heads(backbone)
    steps = arguments.epochs * (len(train.images) // BATCH)
    model.compile(
        optimizer=keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(
                0.0, steps, warmup_target=PEAK_LEARNING_RATE, warmup_steps=steps // 20
            )
        ),
        loss={output: keras.losses.SparseCategoricalCrossentropy() for output in model.output_names},
        loss_weights={output: HEAD_SHARE[output.split("_")[0]] for output in model.output_names},
        weighted_metrics={
            head: [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
            for head in (_output(head, LISTENERS[-1]) for head in HEADS)
        },
    )
    model.fit(_Deck(train, arguments.seed), epochs=arguments.epochs, shuffle=False, verbose=2)
    measured = model.evaluate(
        _inputs(held_out.images),
        _targets(held_out),
        sample_weight=_weights(held_out),
        batch_size=256,
        verbose=0,
        return_dict=True,
    )
    backbone.save_weights(str(arguments.out), save_format="h5")
    accuracies = {head: round(float(measured[f"{_output(head, LISTENERS[-1])}_accuracy"]), 4) for head in HEADS}
    print(json.dumps({"held_out_accuracy": accuracies, "seconds": round(time.monotonic() - started)}))  # noqa: T201


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(str(weights.path(REGISTRY["mobilenet_v1"].bundled_file))))
    parser.add_argument("--images", type=int, default=24_000)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _draw(count: int, size: int, rng: Generator, block: int = 256) -> Batch:
    """Draw in blocks: a batch of all images would not fit into memory."""
    blocks = [draw_batch(min(block, count - start), size, rng) for start in range(0, count, block)]
    parts = ([getattr(drawn, name) for drawn in blocks] for name in ("images", "figures", "surfaces", "grounds"))
    return Batch(*(np.concatenate(part) for part in parts))


def _open_up(backbone: Any, rng: Generator) -> None:
    """Let every depthwise kernel begin as "pass the centre on, plus a little noise", so that signals reach the top at once."""
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            kernel = 0.15 * rng.standard_normal(layer.depthwise_kernel.shape)
            kernel[1, 1] += 1.0
            layer.set_weights([kernel])


def _with_heads(backbone: Any) -> Any:
    outputs = {}
    for listener in LISTENERS:
        pooled = keras.layers.GlobalAveragePooling2D()(backbone.get_layer(listener).output)
        for head, classes in HEADS.items():
            name = _output(head, listener)
            outputs[name] = keras.layers.Dense(classes, activation="softmax", name=name)(pooled)
    return keras.Model(backbone.input, outputs)


def _output(head: str, listener: str) -> str:
    return f"{head}_{listener}"


class _Deck(keras.utils.Sequence):  # type: ignore[misc]
    """Shuffled batches; every time an image comes up it is turned, mirrored, and its exposure changed."""

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
    gain = rng.uniform(0.6, 1.25, (len(images), 1, 1))
    shift = rng.uniform(-25, 25, (len(images), 1, 1))
    return np.clip((turned - 128.0) * gain + 128.0 + shift, 0, 255).astype(np.uint8)


def _inputs(images: NDArray[np.uint8]) -> Any:
    scaled = (images.astype(np.float32) - 128.0) / 128.0
    return tf.constant(np.repeat(scaled[..., None], 3, axis=-1))


def _targets(batch: Batch) -> dict[str, Any]:
    labels = {"figure": batch.figures, "surface": batch.surfaces, "ground": batch.grounds}
    return {_output(head, listener): labels[head] for head in HEADS for listener in LISTENERS}


def _weights(batch: Batch) -> dict[str, Any]:
    every = np.ones(len(batch.figures), dtype=np.float32)
    named = (batch.figures != NOTHING).astype(np.float32)
    return {_output(head, listener): named if head == "surface" else every for head in HEADS for listener in LISTENERS}


if __name__ == "__main__":
    main()
