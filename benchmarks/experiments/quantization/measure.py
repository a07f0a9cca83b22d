"""What each step of quantization brings, and how long it takes: writes benchmarks/results/quantization.json.

    python benchmarks/experiments/quantization/measure.py RUN [RUN ...] --out benchmarks/results/quantization.json

For every trained run folder, on the images of the export gate (none of which trained anything) and on the run's validation and test
splits (nothing is chosen here, and the test split is answered by every scheme only to compare their accuracies image by image):

- schemes: tfmot's own scheme fine-tuned by plain `fit` (all layers, and the same prefix frozen), our scheme with
  depthwise kernels per tensor, per channel, with equalized channels, with corrected biases, and fine-tuned. All files
  are answered in LiteRT.
- two lessons for plain `fit` and for ours: the target's labels, and what `mstl-edge export` fine-tunes on, the float model's
  answers to the same images and to views of them. Image passes are the same on either side.
- speed: everything counted that starts from the float network, and the fine-tuning alone.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mstl_edge.artifact import inspect_flatbuffer
from mstl_edge.preprocess import normalize
from mstl_edge.progress import SILENT
from mstl_edge.runs import StageFolder, open_run
from mstl_edge.storage import CACHE_VARIABLE, write_text
from mstl_edge.training._keras import import_tfmot, keras, tf, versions
from mstl_edge.training.asking import answers
from mstl_edge.training.convert import convert, converter_of_keras, to_float_flatbuffer, to_int8_flatbuffer
from mstl_edge.training.fitting.workshop import Workshop
from mstl_edge.training.judging.evidence import Panel, pair, validation_panel
from mstl_edge.training.network.classifier import with_softmax
from mstl_edge.training.network.graph import Graph
from mstl_edge.training.network.keras import to_keras
from mstl_edge.training.network.passes.absorb import absorb_batch_norm
from mstl_edge.training.network.passes.equalize import equalized
from mstl_edge.training.quantize import post_training, qat
from mstl_edge.training.quantize.lessons import correction_views, lessons_of
from mstl_edge.training.trained import Trained, open_trained

SCHEMA = "mstl-edge/quantization/1"
THREADS = 2
Seconds = dict[str, float]
"""`seconds` from the float network on; `fit_seconds` of fine-tuning alone, features and their conversion included."""


def main() -> None:
    """Measure every run, and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    measured = []
    for path in options.runs:
        measured.append(_measure(path))
        tree = {"schema": SCHEMA, "threads": THREADS, "versions": versions(), "runs": measured}
        write_text(options.out, json.dumps(tree, indent=1) + "\n")


def _measure(path: Path) -> dict[str, Any]:
    trained = open_trained(open_run(path), SILENT)
    absorbed = absorb_batch_norm(with_softmax(trained.network, trained.entry.temperature))
    panel = validation_panel(trained)
    test = trained.data.part("test")
    answered = _Answered(trained, panel, trained.pixels(test[0]), test[1], to_float_flatbuffer(absorbed))
    calibration = trained.calibration(trained.recipe.quantize.calibration_images)[0]
    labelled = [qat.Lesson(*trained.data.part("train"))]
    told = lessons_of(trained, answered.float_flatbuffer, THREADS)
    schemes: dict[str, Callable[[], tuple[bytes, Seconds]]] = {
        "tfmot-all": lambda: _plain_tfmot(trained, labelled, frozen=False),
        "tfmot-same": lambda: _plain_tfmot(trained, labelled, frozen=True),
        "tfmot-all-distilled": lambda: _plain_tfmot(trained, told, frozen=False),
        "tfmot-same-distilled": lambda: _plain_tfmot(trained, told, frozen=True),
        "per-tensor": lambda: _ours(absorbed, calibration, per_tensor=True),
        "per-channel": lambda: _ours(absorbed, calibration, per_tensor=False),
        "equalized": lambda: _equalized(trained, absorbed, calibration),
        "corrected": lambda: _corrected(trained, absorbed, calibration),
        "fine-tuned": lambda: _fine_tuned(trained, absorbed, calibration, lambda: labelled),
        "distilled": lambda: _fine_tuned(
            trained, absorbed, calibration, lambda: lessons_of(trained, answered.float_flatbuffer, THREADS)
        ),
    }
    entries = {"float32": answered.judged(answered.float_flatbuffer)}
    for name, build in schemes.items():
        flatbuffer, seconds = build()
        use = _depthwise_use(flatbuffer)
        entries[name] = {**answered.judged(flatbuffer), **seconds, "depthwise_channels": use}
        print(path.name, name, entries[name], flush=True)  # noqa: T201 - a script's progress
    epochs = trained.recipe.quantize.epochs
    passes = {
        "labels": epochs * len(labelled[0].images),
        "distilled": epochs * sum(len(lesson.images) for lesson in told),
    }
    return {"recipe": trained.recipe.name, "seed": trained.recipe.seed, "image_passes": passes, "schemes": entries}


@dataclass(frozen=True)
class _Answered:
    """The images that every scheme answers, and the float model that it is compared with."""

    trained: Trained
    panel: Panel
    test_pixels: Any
    test_classes: Any
    float_flatbuffer: bytes

    @cached_property
    def float_answers(self) -> Any:
        return self._ask(self.float_flatbuffer)

    def _ask(self, flatbuffer: bytes) -> Any:
        return answers(flatbuffer, self.panel.flat, threads=THREADS)

    def judged(self, flatbuffer: bytes) -> dict[str, Any]:
        """Return a file's agreement with float, and which validation and test images (1 or 0 each) it has right."""
        found = pair(self.panel, self.float_answers, self._ask(flatbuffer), self.trained)
        test = self.trained.decide(answers(flatbuffer, self.test_pixels, threads=THREADS))
        right = {"validation": found.correct()[1][:, 0], "test": test == self.test_classes}
        return {
            "agreement": float(found.shares.mean()),
            "agreement_n": len(found.shares),
            "mean_difference": float(found.differences.mean()),
            "right": {name: answers.astype(int).tolist() for name, answers in right.items()},
        }


def _equalized(trained: Trained, absorbed: Graph, calibration: Any) -> tuple[bytes, Seconds]:
    started = time.perf_counter()
    quantized = post_training.ranged(
        equalized(absorbed, np.concatenate([calibration, correction_views(trained)])), calibration
    )
    seconds = _since(started)
    return to_int8_flatbuffer(quantized), seconds


def _since(started: float, fitting: float | None = None) -> Seconds:
    now = time.perf_counter()
    fit = {} if fitting is None else {"fit_seconds": round(now - fitting, 2)}
    return {"seconds": round(now - started, 2), **fit}


def _corrected(trained: Trained, absorbed: Graph, calibration: Any) -> tuple[bytes, Seconds]:
    started = time.perf_counter()
    quantized = post_training.calibrated(absorbed, calibration, correction_views(trained))
    seconds = _since(started)
    return to_int8_flatbuffer(quantized), seconds


def _ours(absorbed: Graph, calibration: Any, *, per_tensor: bool) -> tuple[bytes, Seconds]:
    started = time.perf_counter()
    quantized = post_training.ranged(_depthwise_per_tensor(absorbed) if per_tensor else absorbed, calibration)
    seconds = _since(started)
    return to_int8_flatbuffer(quantized), seconds


def _depthwise_per_tensor(absorbed: Graph) -> Graph:
    """Round each depthwise kernel to 255 levels of one range, as tfmot's own scheme does."""
    rounded = {}
    for node in absorbed.nodes:
        if node.kind == "depthwise":
            kernel, bias = absorbed.weights[node.name]
            scale = np.abs(kernel).max() / 127.0
            rounded[node.name] = [np.rint(kernel / scale) * scale, bias]
    return absorbed.with_weights(rounded)


def _plain_tfmot(trained: Trained, lessons: list[qat.Lesson], *, frozen: bool) -> tuple[bytes, Seconds]:
    """Fine-tune as tfmot's guide does: `quantize_model`, then `fit` on pixels in memory, BatchNorm frozen."""
    spec = trained.recipe.quantize
    pixels = normalize(np.concatenate([trained.pixels(lesson.images) for lesson in lessons]))
    hard = np.eye(2, dtype=np.float32)
    answers = np.concatenate(
        [hard[lesson.classes] if lesson.soft_targets is None else lesson.soft_targets for lesson in lessons]
    )
    model = to_keras(with_softmax(trained.network, trained.entry.temperature))
    keras.utils.set_random_seed(trained.seed % 2**31)
    started = time.perf_counter()
    quantized = import_tfmot().quantization.keras.quantize_model(model)
    if frozen:
        _train_only(quantized, {layer.name for layer in model.layers[_position(model, trained.stage.unfreeze_from) :]})
    quantized.compile(keras.optimizers.Adam(spec.learning_rate), "categorical_crossentropy")
    fitting = time.perf_counter()
    quantized.fit(pixels, answers, batch_size=spec.batch_size, epochs=spec.epochs, verbose=0)
    seconds = _since(started, fitting)
    return _converted(quantized), seconds


def _converted(quantized: Any) -> bytes:
    """Return a Keras model of tfmot's own as an int8 file."""
    converter = converter_of_keras(quantized)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return convert(converter)


def _position(model: Any, name: str) -> int:
    return [layer.name for layer in model.layers].index(name)


def _train_only(quantized: Any, names: set[str]) -> None:
    """Let `fit` train the kernels of these layers alone: tfmot lists every kernel as trainable, whatever layer is frozen."""
    chosen = [v for v in quantized.trainable_variables if v.name.split("/")[0].removeprefix("quant_") in names]

    def train_step(data: Any) -> dict[str, Any]:
        images, classes = data
        with tf.GradientTape() as tape:
            loss = quantized.compute_loss(images, classes, quantized(images, training=True))
        quantized.optimizer.minimize(loss, chosen, tape)
        return {"loss": loss}

    quantized.train_step = train_step


def _fine_tuned(
    trained: Trained, absorbed: Graph, calibration: Any, lessons: Callable[[], list[qat.Lesson]]
) -> tuple[bytes, Seconds]:
    """Fine-tune as export does, no feature known from before; the float model's answers count as fitting."""
    beside = correction_views(trained)
    started = time.perf_counter()
    quantized = post_training.calibrated(absorbed, calibration, beside)
    fitting = time.perf_counter()
    chosen = lessons()
    with tempfile.TemporaryDirectory() as folder, _cache(folder):
        tuned, _ = qat.fine_tune(
            quantized,
            chosen,
            qat.Lesson(*trained.data.part("validation")),
            qat.Tuning(trained.stage, trained.recipe.quantize, trained.seed),
            Workshop(StageFolder(Path(folder)), THREADS),
        )
        seconds = _since(started, fitting)
    return to_int8_flatbuffer(tuned), seconds


@contextmanager
def _cache(folder: str) -> Iterator[None]:
    """Point the feature cache at another folder, so that nothing computed before is found."""
    before = os.environ.get(CACHE_VARIABLE)
    os.environ[CACHE_VARIABLE] = folder
    try:
        yield
    finally:
        os.environ.pop(CACHE_VARIABLE)
        if before is not None:
            os.environ[CACHE_VARIABLE] = before


def _depthwise_use(flatbuffer: bytes) -> dict[str, float]:
    """Return how much of the int8 range the depthwise kernels use: the share of channels at |q| = 127, and the median |q|."""
    kernels = inspect_flatbuffer(flatbuffer).kernels
    largest = np.array([q for k in kernels if k.operator == "DEPTHWISE_CONV_2D" for q in k.largest if q > 0])
    return {"at_127": float((largest == 127).mean()), "median_largest_q": float(np.median(largest))}


if __name__ == "__main__":
    main()
