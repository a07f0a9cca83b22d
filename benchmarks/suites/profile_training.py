r"""What a stage spends its time on, before and after, and how near it comes to the limit of the machine.

    python benchmarks/suites/profile_training.py --data CHEST_FOLDER --patient '^(\d+)_' \
        --weights-1.0 mobilenet_1_0_224_tf_no_top.h5 --out benchmarks/results/profile.json

Writes benchmarks/results/profile.json. Before is plain Keras, whose steps are timed in parts; after is ours under the
profiler. Both are the published bridge at alpha 1.0 on 800 images and 20 epochs; plain is extrapolated from single steps.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from published_stage import IMAGES, STAGE, deal, network, samples

from mstl_edge.preprocess import normalize
from mstl_edge.storage import CACHE_VARIABLE, write_text
from mstl_edge.training import graph
from mstl_edge.training._keras import keras, tf
from mstl_edge.training.features import FrozenPrefix
from mstl_edge.training.fit import fit_tail
from mstl_edge_bench.host import describe_host

SCHEMA = "mstl-edge/profile/1"
REPEATS = 15
STEPS = STAGE.epochs * IMAGES // STAGE.batch_size


def main() -> None:
    """Measure both, and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="Chest X-rays, a folder per class.")
    parser.add_argument("--patient", default="", help="Regular expression for the patients.")
    parser.add_argument("--weights-1.0", dest="weights", default="imagenet")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    job = {"alpha": 1.0, "weights": options.weights, "seed": 0, "threads": os.cpu_count() or 1}
    with tempfile.TemporaryDirectory() as folder:
        deal(options.data, options.patient, Path(folder), IMAGES)
        os.environ[CACHE_VARIABLE] = folder
        with np.load(Path(folder, "images.npz")) as arrays:
            images = {name: arrays[name] for name in arrays.files}
        step, plain = _plain(job, images)
        tree = {"schema": SCHEMA, "host": msgspec.to_builtins(describe_host()), "plain": plain}
        tree |= {"ours": _ours(job, images, Path(folder)), "peak": _peak(step)}
    write_text(options.out, json.dumps(tree, indent=1) + "\n")
    sys.stderr.write(json.dumps(tree, indent=1) + "\n")


def _fastest(function: Callable[[], Any]) -> float:
    function()
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def _plain(job: dict[str, Any], images: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    """Time one step of the whole graph, of its frozen half, and of its trained half with and without pointwise convolutions."""
    whole = network(job)
    names = [layer.name for layer in whole.layers]
    for layer in whole.layers[: names.index(STAGE.unfreeze_from)]:
        layer.trainable = False
    cut = graph.cut_at(whole, STAGE.unfreeze_from)
    border = whole.get_layer(STAGE.unfreeze_from)
    before = whole.layers[names.index(STAGE.unfreeze_from) - 1]
    start = before.input if isinstance(before, keras.layers.ZeroPadding2D) else border.input
    convolutions = keras.models.clone_model(keras.Model(start, whole.output))
    graph.freeze_batch_norm(convolutions)
    batch = tf.constant(normalize(images["x"][: STAGE.batch_size]))
    classes = tf.constant(images["y"][: STAGE.batch_size])
    features = cut.prefix(batch, training=False)
    frozen_forward = tf.function(lambda pixels: cut.prefix(pixels, training=False))
    whole_step, convolution_step, matrix_step = (_step(model) for model in (whole, convolutions, cut.tail))
    seconds = {
        "whole": _fastest(lambda: whole_step(batch, classes).numpy()),
        "frozen": _fastest(lambda: frozen_forward(batch).numpy()),
        "convolutions": _fastest(lambda: convolution_step(features, classes).numpy()),
        "matrix": _fastest(lambda: matrix_step(features, classes).numpy()),
    }
    parts = [
        {"name": "frozen layers, forward, in every epoch", "seconds": STEPS * seconds["frozen"]},
        {
            "name": "trained layers as convolutions: forward, gradients, Adam",
            "seconds": STEPS * seconds["convolutions"],
        },
        {"name": "rest of a step", "seconds": STEPS * (seconds["whole"] - seconds["frozen"] - seconds["convolutions"])},
    ]
    return seconds["matrix"], {"seconds": STEPS * seconds["whole"], "parts": parts}


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
    started = time.perf_counter()
    cut = graph.cut_at(network(job), STAGE.unfreeze_from)
    built = time.perf_counter()
    prefix = FrozenPrefix(cut.prefix, job["threads"])
    train, held_out = (samples(prefix, images, part) for part in ("", "_test"))
    computed = time.perf_counter()
    profiler = cProfile.Profile()
    profiler.enable()
    fit_tail(cut.tail, train, held_out, STAGE, seed=0, checkpoint=folder / "checkpoint.npz")
    profiler.disable()
    ended = time.perf_counter()
    spent = _cumulated(profiler)
    fitted = ended - computed
    known = {
        "steps of the trained layers, as matrix products": spent["call_flat"] - spent["_logits"],
        "validation": spent["_logits"],
        "reading features": spent["stack"],
        "checkpoints": spent["save"],
    }
    parts = [
        {"name": "building and cutting the network", "seconds": built - started},
        {"name": "features of the frozen layers, once, conversion included", "seconds": computed - built},
        *({"name": name, "seconds": seconds} for name, seconds in known.items()),
        {"name": "tracing and the rest", "seconds": fitted - sum(known.values())},
    ]
    return {"seconds": ended - started, "parts": parts}


def _cumulated(profiler: cProfile.Profile) -> dict[str, float]:
    """Return cumulative seconds by function name."""
    seconds: dict[str, float] = {}
    table: dict[Any, Any] = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    for (_, _, name), (_, _, _, cumulative, _) in table.items():
        seconds[name] = max(seconds.get(name, 0.0), cumulative)
    return seconds


def _peak(step_seconds: float) -> dict[str, float]:
    """Compare a step with the fastest matrix product: two operations a multiply-accumulate, three products a layer and step."""
    side = 2048
    left, right = (tf.constant(np.random.default_rng(seed).normal(size=(side, side)), tf.float32) for seed in (0, 1))
    product = tf.function(tf.matmul)
    gflops = 2 * side**3 / _fastest(lambda: product(left, right).numpy()) / 1e9
    cells = 7 * 7 * STAGE.batch_size
    macs = 3 * cells * (512 * 1024 + 1024 * 1024 + 9 * 512 + 9 * 1024)
    return {
        "matmul_gflops": gflops,
        "step_macs": macs,
        "step_seconds": step_seconds,
        "share_of_peak": 2 * macs / step_seconds / 1e9 / gflops,
    }


if __name__ == "__main__":
    main()
