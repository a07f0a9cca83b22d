r"""What a stage spends its time on, before and after, and how near it comes to the limit of the machine.

    python benchmarks/experiments/training_speed/profile_stage.py --data CHEST_FOLDER --patient '^(\d+)_' \
        --weights-1.0 mobilenet_1_0_224_tf_no_top.h5 --out benchmarks/results/profile.json

Writes benchmarks/results/profile.json. Before is plain Keras with oneDNN on and off, whose steps are timed in parts and
multiplied; after is one training of ours with an empty cache, its functions timed. Both are the published bridge at alpha 1.0
on 800 images and 20 epochs. The limit is what the multiply-accumulates of the trained layers take at the speed of the fastest
matrix product, and the features of the frozen layers once.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import numpy as np

from experiments.own_cache import own_cache
from experiments.training_speed.published_stage import IMAGES, STAGE, deal, frozen_below, network, samples
from mstl_edge.preprocess import normalize
from mstl_edge.storage import write_text
from mstl_edge.training._keras import keras, tf
from mstl_edge.training.fitting import features, fit
from mstl_edge.training.fitting.checkpoint import Checkpoint
from mstl_edge.training.network.cut import cut_at
from mstl_edge.training.network.keras import to_keras
from mstl_edge_bench.machine.host import describe_host

SCHEMA = "mstl-edge/profile/1"
REPEATS = 15
STEPS = STAGE.epochs * IMAGES // STAGE.batch_size


def main() -> None:
    """Measure both, and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="Chest X-rays, a folder per class.")
    parser.add_argument("--patient", default="", help="Regular expression for the patients.")
    parser.add_argument("--weights-1.0", dest="weights", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        sys.stdout.write(json.dumps(_work(options.worker, options.weights, Path(options.data))) + "\n")
        return
    with own_cache() as folder:
        deal(options.data, options.patient, folder, IMAGES)
        plain = [_run("plain", options.weights, folder, onednn=onednn) for onednn in (True, False)]
        ours = _run("ours", options.weights, folder, onednn=True)
    fastest, slowest = sorted(plain, key=lambda entry: float(entry["seconds"]))
    peak = ours.pop("peak")
    tree = {"schema": SCHEMA, "host": msgspec.to_builtins(describe_host())}
    tree |= {"plain": fastest, "plain_slower": slowest, "ours": ours, "peak": peak}
    write_text(options.out, json.dumps(tree, indent=1) + "\n")
    sys.stderr.write(json.dumps(tree, indent=1) + "\n")


def _run(name: str, weights: str, folder: Path, *, onednn: bool) -> dict[str, Any]:
    """Measure in a process of its own: oneDNN is chosen when TensorFlow is imported."""
    command = [sys.executable, __file__, "--data", str(folder), "--weights-1.0", weights, "--out", "", "--worker", name]
    flags = {"TF_ENABLE_ONEDNN_OPTS": str(int(onednn))}
    ended = subprocess.run(command, env={**os.environ, **flags}, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return measured


def _work(name: str, weights: str, folder: Path) -> dict[str, Any]:
    job = {"alpha": 1.0, "weights": weights, "seed": 0, "threads": os.cpu_count() or 1}
    with np.load(folder / "images.npz") as arrays:
        images = {part: arrays[part] for part in arrays.files}
    return _plain(job, images) if name == "plain" else _ours(job, images, folder)


def _fastest(*functions: Callable[[], Any]) -> list[float]:
    """Return the fewest seconds of each function; they are called in turn, so that noise meets all of them."""
    seconds: list[list[float]] = [[] for _ in functions]
    for repeat in range(1 + REPEATS):
        for function, measured in zip(functions, seconds, strict=True):
            started = time.perf_counter()
            function()
            if repeat:  # the first call traces
                measured.append(time.perf_counter() - started)
    return [min(measured) for measured in seconds]


def _plain(job: dict[str, Any], images: dict[str, Any]) -> dict[str, Any]:
    """Time one step of the whole graph, of its frozen half, and of its trained half."""
    begun = network(job)
    whole = frozen_below(begun, STAGE.unfreeze_from)
    cut = cut_at(begun, STAGE.unfreeze_from)
    frozen, convolutions = to_keras(cut.prefix), to_keras(cut.tail)  # type: ignore[arg-type]
    batch = tf.constant(normalize(images["x"][: STAGE.batch_size]))
    classes = tf.constant(images["y"][: STAGE.batch_size])
    border_values = frozen(batch, training=False)
    frozen_forward = tf.function(lambda pixels: frozen(pixels, training=False))
    whole_step, convolution_step = (_step(model) for model in (whole, convolutions))
    whole_seconds, frozen_seconds, convolutions_seconds = _fastest(
        lambda: whole_step(batch, classes).numpy(),
        lambda: frozen_forward(batch).numpy(),
        lambda: convolution_step(border_values, classes).numpy(),
    )
    parts = [
        {"name": "frozen layers, forward, in every epoch", "seconds": STEPS * frozen_seconds},
        {
            "name": "trained layers as convolutions: forward, gradients, Adam",
            "seconds": STEPS * convolutions_seconds,
        },
        {"name": "rest of a step", "seconds": STEPS * (whole_seconds - frozen_seconds - convolutions_seconds)},
    ]
    onednn = os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1"
    return {"onednn": onednn, "seconds": STEPS * whole_seconds, "parts": parts}


def _step(model: Any) -> Any:
    optimizer = keras.optimizers.Adam(STAGE.learning_rate, jit_compile=False)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(batch: Any, classes: Any) -> Any:
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(classes, model(batch, training=True))
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    return step


def _ours(job: dict[str, Any], images: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Train once, with the functions timed that the story of a stage consists of."""
    spent: dict[str, list[float]] = {"conversion": [], "steps": [], "validation": [], "checkpoints": []}

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            result = function(*arguments, **named)
            spent[name].append(time.perf_counter() - started)
            return result

        return call

    make_step = fit._training_step
    whole = network(job)
    started = time.perf_counter()
    cut = cut_at(whole, STAGE.unfreeze_from)
    tail = to_keras(cut.tail, matrix_products=True)
    built = time.perf_counter()
    prefix = features.FrozenPrefix(cut.prefix, job["threads"])
    with (
        mock.patch.object(features, "to_float_flatbuffer", timed("conversion", features.to_float_flatbuffer)),
        mock.patch.object(fit, "_training_step", lambda *given: timed("steps", make_step(*given))),
        mock.patch.object(fit, "_logits", timed("validation", fit._logits)),
        mock.patch.object(Checkpoint, "save", timed("checkpoints", Checkpoint.save)),
    ):
        train, held_out = (samples(prefix, images, part) for part in ("", "_test"))
        computed = time.perf_counter()
        fit.fit_tail(tail, train, held_out, STAGE, fit.Logbook(folder / "checkpoint.npz"), seed=0)
    ended = time.perf_counter()
    traced = spent["steps"].pop(0)
    total = {name: sum(seconds) for name, seconds in spent.items()}
    parts = {
        "cutting the network in two": built - started,
        "converting the frozen layers": total["conversion"],
        "features of the frozen layers, once": computed - built - total["conversion"],
        "first step, tracing included": traced,
        "steps of the trained layers, as matrix products": total["steps"],
        "validation": total["validation"],
        "checkpoints": total["checkpoints"],
    }
    parts["reading features, and the rest"] = ended - started - sum(parts.values())
    peak = _peak(tail, prefix, images)
    return {
        "seconds": ended - started,
        "parts": [{"name": name, "seconds": seconds} for name, seconds in parts.items()],
        "peak": peak,
    }


def _peak(tail: Any, prefix: features.FrozenPrefix, images: dict[str, Any]) -> dict[str, float]:
    """Compare a step with the fastest matrix product: two operations a multiply-accumulate, three products a layer and step."""
    step = _step(tail)
    classes = tf.constant(images["y"][: STAGE.batch_size])
    batch = tf.constant(np.stack([prefix.run(normalize(image)) for image in images["x"][: STAGE.batch_size]]))
    side = 2048
    left, right = (tf.constant(np.random.default_rng(seed).normal(size=(side, side)), tf.float32) for seed in (0, 1))
    product = tf.function(tf.matmul)
    first = normalize(images["x"][0])
    step_seconds, product_seconds, image_seconds = _fastest(
        lambda: step(batch, classes).numpy(), lambda: product(left, right).numpy(), lambda: prefix.run(first)
    )
    gflops = 2 * side**3 / product_seconds / 1e9
    cells = 7 * 7 * STAGE.batch_size
    macs = 3 * cells * (512 * 1024 + 1024 * 1024 + 9 * 512 + 9 * 1024)
    floor = 2 * macs / gflops / 1e9
    return {
        "matmul_gflops": gflops,
        "step_macs": macs,
        "floor_seconds": floor,
        "step_seconds": step_seconds,
        "share_of_peak": floor / step_seconds,
        "features_seconds": IMAGES * image_seconds,
    }


if __name__ == "__main__":
    main()
