"""What each step of quantization brings, and how long it takes: writes benchmarks/results/quantization.json.

    python benchmarks/suites/quantization.py RUN [RUN ...] --out benchmarks/results/quantization.json

For every trained run folder, on the images of the export gate (none of which trained anything) and on the run's validation split:

- schemes: tfmot's own scheme fine-tuned by plain `fit` (all layers, and the same prefix frozen), our scheme with
  depthwise kernels per tensor, per channel, with equalized channels, with corrected biases, and fine-tuned. All files
  are answered in LiteRT.
- speed of the fine-tuning for the same number of image passes, everything counted that starts from the float network.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mstl_edge.artifact import inspect_flatbuffer
from mstl_edge.metrics import decide, paired_agreement
from mstl_edge.preprocess import normalize
from mstl_edge.progress import SILENT
from mstl_edge.runs import StageFolder, open_run
from mstl_edge.storage import CACHE_VARIABLE, write_text
from mstl_edge.training import graph, qat
from mstl_edge.training._keras import import_tfmot, keras, tf, versions
from mstl_edge.training.candidates import build_quantization_aware
from mstl_edge.training.convert import to_float_flatbuffer, to_int8_flatbuffer
from mstl_edge.training.equalize import equalized
from mstl_edge.training.fake_quant import PerChannelKernel, calibrate, with_fake_quantization
from mstl_edge.training.fold import fold_batch_norm
from mstl_edge.training.gate import Pool
from mstl_edge.training.pool import gather_beside, gather_pool
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
    folded = fold_batch_norm(graph.with_softmax(trained.model, trained.entry["temperature"]))
    pool = gather_pool(trained, trained.recipe.quantize.agreement_images, SILENT)
    float_answers = qat.answers(to_float_flatbuffer(folded), pool.pixels, threads=THREADS)
    calibration = trained.calibration(trained.recipe.quantize.calibration_images)[0]
    schemes: dict[str, Callable[[], tuple[Any, Seconds]]] = {
        "tfmot, fit of all layers": lambda: _plain_tfmot(trained, frozen=False),
        "tfmot, fit with the prefix frozen": lambda: _plain_tfmot(trained, frozen=True),
        "ours, depthwise per tensor": lambda: _ours(folded, calibration, per_tensor=True),
        "ours, depthwise per channel": lambda: _ours(folded, calibration, per_tensor=False),
        "ours, channels equalized": lambda: _equalized(trained, folded, calibration),
        "ours, biases corrected (PTQ)": lambda: _corrected(trained, folded, calibration),
        "ours, fine-tuned on labels": lambda: _fine_tuned(trained, folded, calibration),
        "ours, fine-tuned and distilled (QAT)": lambda: _distilled(trained, folded, calibration),
    }
    entries = {"float32": _judged(trained, pool, float_answers, float_answers)}
    for name, build in schemes.items():
        quantized, seconds = build()
        flatbuffer = to_int8_flatbuffer(quantized)
        entry = _judged(trained, pool, qat.answers(flatbuffer, pool.pixels, threads=THREADS), float_answers)
        entries[name] = {**entry, **seconds, "depthwise_channels": _depthwise_use(flatbuffer)}
        print(path.name, name, entries[name], flush=True)  # noqa: T201 - a script's progress
    spec = trained.recipe.quantize
    passes = spec.epochs * len(trained.data.part("train")[0])
    return {"recipe": trained.recipe.name, "seed": trained.recipe.seed, "image_passes": passes, "schemes": entries}


def _judged(trained: Trained, pool: Pool, answers: Any, float_answers: Any) -> dict[str, Any]:
    positive, threshold = trained.positive, trained.entry["threshold"]
    agreement = paired_agreement(answers, float_answers, positive=positive, thresholds=(threshold, threshold))
    labelled = answers[: len(pool.classes)]
    correct = decide(labelled, positive=positive, threshold=threshold) == pool.classes
    return {
        "agreement": agreement.agreement.value,
        "agreement_n": agreement.n,
        "mean_difference": agreement.mean_difference,
        "validation_correct": int(correct.sum()),
        "validation_n": len(pool.classes),
    }


def _equalized(trained: Trained, folded: Any, calibration: Any) -> tuple[Any, Seconds]:
    started = time.perf_counter()
    quantized = qat.ranged(equalized(folded, np.concatenate([calibration, gather_beside(trained)])), calibration)
    return quantized, _since(started)


def _since(started: float, fitting: float | None = None) -> Seconds:
    now = time.perf_counter()
    fit = {} if fitting is None else {"fit_seconds": round(now - fitting, 2)}
    return {"seconds": round(now - started, 2), **fit}


def _corrected(trained: Trained, folded: Any, calibration: Any) -> tuple[Any, Seconds]:
    started = time.perf_counter()
    return qat.calibrated(folded, calibration, gather_beside(trained)), _since(started)


def _ours(folded: Any, calibration: Any, *, per_tensor: bool) -> tuple[Any, Seconds]:
    started = time.perf_counter()
    quantized = with_fake_quantization(folded)
    if per_tensor:
        _round_depthwise_per_tensor(quantized)
    calibrate(quantized, folded, [normalize(calibration[i : i + 16]) for i in range(0, len(calibration), 16)])
    return quantized, _since(started)


class _PerTensorKernel(PerChannelKernel):
    """One scale for the whole kernel, as tfmot's own scheme rounds depthwise kernels."""

    def __call__(self, inputs: Any, training: Any, weights: Any, **kwargs: Any) -> Any:
        """Return the kernel rounded to 255 levels of one range."""
        scale = tf.reduce_max(tf.abs(inputs)) / 127.0
        return inputs + tf.stop_gradient(tf.round(inputs / scale) * scale - inputs)


def _round_depthwise_per_tensor(quantized: Any) -> None:
    for layer in quantized.layers:
        if isinstance(getattr(layer, "layer", None), keras.layers.DepthwiseConv2D):
            layer._weight_vars = [(kernel, _PerTensorKernel(2), held) for kernel, _, held in layer._weight_vars]


def _plain_tfmot(trained: Trained, *, frozen: bool) -> tuple[Any, Seconds]:
    """Fine-tune as tfmot's guide does: `quantize_model`, then `fit` on pixels in memory, BatchNorm frozen."""
    spec = trained.recipe.quantize
    images, classes = trained.data.part("train")
    pixels = normalize(trained.pixels(images))
    model = graph.with_softmax(trained.model, trained.entry["temperature"])
    keras.utils.set_random_seed(trained.seed % 2**31)
    started = time.perf_counter()
    quantized = import_tfmot().quantization.keras.quantize_model(model)
    if frozen:
        _train_only(quantized, {layer.name for layer in model.layers[_position(model, trained.stage.unfreeze_from) :]})
    quantized.compile(keras.optimizers.Adam(spec.learning_rate), "sparse_categorical_crossentropy")
    fitting = time.perf_counter()
    quantized.fit(pixels, classes, batch_size=spec.batch_size, epochs=spec.epochs, verbose=0)
    return quantized, _since(started, fitting)


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


def _fine_tuned(trained: Trained, folded: Any, calibration: Any) -> tuple[Any, Seconds]:
    """Fine-tune on the target's labels alone: the same image passes as plain tfmot, nothing cached from before."""
    spec = trained.recipe.quantize
    with tempfile.TemporaryDirectory() as folder, _cache(folder):
        started = time.perf_counter()
        quantized = qat.calibrated(folded, calibration)
        fitting = time.perf_counter()
        qat.fine_tune(
            quantized,
            [qat.Lesson(*trained.data.part("train"))],
            qat.Lesson(*trained.data.part("validation")),
            trained.stage,
            spec,
            seed=trained.seed,
            folder=Path(folder),
            threads=THREADS,
            reporter=SILENT,
        )
        return quantized, _since(started, fitting)


def _distilled(trained: Trained, folded: Any, calibration: Any) -> tuple[Any, Seconds]:
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        candidate = build_quantization_aware(
            trained, folded, calibration, StageFolder(Path(folder)), threads=THREADS, reporter=SILENT
        )
    return candidate.fake_quant, _since(started)


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
