r"""How fast a stage trains, against plain Keras on the same machine: writes benchmarks/results/training-speed.json.

    python benchmarks/suites/training_speed.py --data CHEST_FOLDER --patient '^(\d+)_' \
        --weights-1.0 mobilenet_1_0_224_tf_no_top.h5 --weights-0.25 mobilenet_2_5_224_tf_no_top.h5 \
        --out benchmarks/results/training-speed.json

The stage is the published bridge: MobileNet at 224 pixels, frozen below `conv_dw_12`, batch 16, Adam, 20 epochs. Ours starts
with an empty cache, so the features of the frozen layers are computed and counted. Plain is `tf_keras`' `fit` of the whole graph,
its arrays in memory, with oneDNN off and on; the faster one counts. Every training is a process of its own, all with the same
threads, ours and plain in turn.

- `speed`: 800 images. Plain is measured for a few epochs after one that warms up, and multiplied; its warm-up is not counted.
- `equality`: largest difference of a probability before training and after one step on the same batch.
- `paired`: both train on the same split of each seed to the end, and ours once more with features in half precision; accuracy
  and log-loss on images that none has seen.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mstl_edge.data.pixels import load_pixels
from mstl_edge.data.scan import scan_source
from mstl_edge.data.sources import open_source
from mstl_edge.data.splits import split_source
from mstl_edge.preprocess import normalize
from mstl_edge.recipe import BackboneSpec, FeaturePrecision, PreprocessSpec, SplitSpec, StageSpec
from mstl_edge.storage import CACHE_VARIABLE, digest, write_text
from mstl_edge_bench.host import describe_host
from mstl_edge_models import backbones

SCHEMA = "mstl-edge/training-speed/1"
IMAGES = 800
ALPHAS = ("1.0", "0.25")
STAGE = StageSpec(
    name="bridge",
    data="",
    unfreeze_from="conv_dw_12",
    batch_size=16,
    epochs=20,
    learning_rate=1e-4,
    class_weight="none",
    select="last",
)


def main() -> None:
    """Measure everything that the file lacks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="Chest X-rays, a folder per class.")
    parser.add_argument("--patient", default="", help="Regular expression for the patients.")
    parser.add_argument("--weights-1.0", dest="weights_1_0", default="imagenet")
    parser.add_argument("--weights-0.25", dest="weights_0_25", default="imagenet")
    parser.add_argument("--plain-epochs", type=int, default=3, help="Epochs of plain `fit` that are measured.")
    parser.add_argument("--seeds", type=int, default=5, help="Seeds of the paired trainings.")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        sys.stdout.write(json.dumps(_work(json.loads(options.worker))) + "\n")
        return
    _measure(options)


def _measure(options: argparse.Namespace) -> None:
    tree: dict[str, Any] = {
        "schema": SCHEMA,
        "host": msgspec.to_builtins(describe_host()),
        "threads": options.threads,
        "stage": {"unfreeze_from": STAGE.unfreeze_from, "batch_size": STAGE.batch_size, "epochs": STAGE.epochs},
        "speed": [],
        "equality": [],
        "paired": [],
    }
    if options.out.is_file():
        tree |= {part: json.loads(options.out.read_text())[part] for part in ("speed", "equality", "paired")}

    def done(part: str, **wanted: Any) -> bool:
        return any(wanted.items() <= entry.items() for entry in tree[part])

    def keep(part: str, entry: dict[str, Any]) -> None:
        tree[part].append(entry)
        write_text(options.out, json.dumps(tree, indent=1) + "\n")
        sys.stderr.write(f"{part} {json.dumps(entry)}\n")

    with tempfile.TemporaryDirectory() as folder:
        weights = {"1.0": options.weights_1_0, "0.25": options.weights_0_25}
        for alpha in ALPHAS:
            job = Job(folder, float(alpha), weights[alpha], options.threads)
            if not done("speed", alpha=job.alpha) or not done("equality", alpha=job.alpha):
                deal(options.data, options.patient, Path(folder), 0, whole=True)
            if not done("speed", alpha=job.alpha):
                keep("speed", _speed(job, options.plain_epochs))
            if not done("equality", alpha=job.alpha):
                keep("equality", {"alpha": job.alpha, **job.run("equality", 0, STAGE.epochs, onednn=True)})
        for alpha in reversed(ALPHAS):
            job = Job(folder, float(alpha), weights[alpha], options.threads)
            for seed in range(options.seeds):
                if not done("paired", alpha=job.alpha, seed=seed):
                    deal(options.data, options.patient, Path(folder), seed, whole=False)
                    pair = {name: job.run(name, seed, STAGE.epochs, onednn=True) for name in ("ours", "plain", "half")}
                    keep("paired", {"alpha": job.alpha, "seed": seed, **pair})


@dataclass(frozen=True)
class Job:
    """What all trainings of one width share."""

    folder: str
    alpha: float
    weights: str
    threads: int

    def run(self, name: str, seed: int, epochs: int, *, onednn: bool) -> dict[str, Any]:
        """Train in a process of its own and return what it measured."""
        job = {"name": name, "alpha": self.alpha, "weights": self.weights, "threads": self.threads}
        job |= {"folder": self.folder, "seed": seed, "epochs": epochs}
        with tempfile.TemporaryDirectory() as cache:
            flags = {"TF_ENABLE_ONEDNN_OPTS": str(int(onednn)), "TF_USE_LEGACY_KERAS": "1", CACHE_VARIABLE: cache}
            command = [sys.executable, __file__, "--data", "", "--out", "", "--worker", json.dumps(job)]
            ended = subprocess.run(command, env={**os.environ, **flags}, stdout=subprocess.PIPE, text=True, check=True)
        measured: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
        return measured


def deal(data: str, patient: str, folder: Path, seed: int, *, whole: bool) -> None:
    """Write the arrays that both sides train on: the first `IMAGES`, or the training part of a seed's split by patient."""
    source = open_source(data, patient=patient)
    manifest = split_source(source, scan_source(source, PreprocessSpec()), SplitSpec(), seed=seed)
    pixels = load_pixels(source.folder, manifest.rows, 224, PreprocessSpec())
    everything = np.asarray(pixels[np.arange(len(manifest.rows))], dtype=np.uint8)
    classes = np.array([manifest.labels.index(row.label) for row in manifest.rows], dtype=np.int64)
    train = np.array([row.split == "train" for row in manifest.rows])
    if whole:
        mixed = np.random.default_rng(0).permutation(len(train))
        train[:] = False
        train[mixed[:IMAGES]] = True
    np.savez(
        folder / "images.npz", x=everything[train], y=classes[train], x_test=everything[~train], y_test=classes[~train]
    )


def _speed(job: Job, plain_epochs: int) -> dict[str, Any]:
    ours = job.run("ours", 0, STAGE.epochs, onednn=True)
    plain = []
    for onednn in (True, False):
        measured = job.run("plain", 0, 1 + plain_epochs, onednn=onednn)
        per_epoch = float(np.mean(measured["epoch_seconds"][1:]))
        plain.append({"onednn": onednn, "epochs_measured": plain_epochs, "seconds": per_epoch * STAGE.epochs})
    again = job.run("ours", 0, STAGE.epochs, onednn=True)
    seconds = [ours["seconds"], again["seconds"]]
    fastest = min(entry["seconds"] for entry in plain)
    return {
        "alpha": job.alpha,
        "images": ours["images"],
        "ours": {"seconds": seconds, "features_seconds": [ours["features_seconds"], again["features_seconds"]]},
        "plain": plain,
        "ratio": fastest / float(np.mean(seconds)),
    }


def _work(job: dict[str, Any]) -> dict[str, Any]:
    with np.load(Path(job["folder"], "images.npz")) as arrays:
        images = {name: arrays[name] for name in arrays.files}
    workers = {"ours": _ours, "half": _ours, "plain": _plain, "equality": _equality}
    measured: dict[str, Any] = workers[job["name"]](job, images)
    return measured


def _ours(job: dict[str, Any], images: dict[str, NDArray[Any]]) -> dict[str, Any]:
    from mstl_edge.training import graph
    from mstl_edge.training._keras import tf
    from mstl_edge.training.features import FrozenPrefix
    from mstl_edge.training.fit import fit_tail, predict_logits

    _limit_threads(tf, job["threads"])
    started = time.perf_counter()
    cut = graph.cut_at(network(job), STAGE.unfreeze_from)
    prefix = FrozenPrefix(cut.prefix, job["threads"])
    precision: FeaturePrecision = "float16" if job["name"] == "half" else "float32"
    held = {part: samples(prefix, images, part, precision) for part in ("", "_test")}
    features_seconds = time.perf_counter() - started
    stage = msgspec.structs.replace(STAGE, epochs=job["epochs"])
    checkpoint = Path(os.environ[CACHE_VARIABLE], "checkpoint.npz")
    fit_tail(cut.tail, held[""], held["_test"], stage, seed=job["seed"], checkpoint=checkpoint)
    seconds = time.perf_counter() - started
    logits = predict_logits(cut.tail, held["_test"].views[0])
    timed = {"images": len(images["x"]), "seconds": seconds, "features_seconds": features_seconds}
    return {**timed, **_scores(logits, images["y_test"])}


def network(job: dict[str, Any]) -> Any:
    """Return the whole network that a job starts from."""
    from mstl_edge.training import graph
    from mstl_edge.training.weights import load_backbone_weights

    spec = BackboneSpec(alpha=job["alpha"], weights=job["weights"])
    model = graph.build_classifier(spec, 2)
    load_backbone_weights(model, spec, job["seed"])
    width = model.get_layer(graph.LOGITS).input_shape[-1]
    graph.set_weights(model, {graph.LOGITS: graph.fresh_head(width, 2, job["seed"])})
    return model


def samples(prefix: Any, images: dict[str, NDArray[Any]], part: str, precision: FeaturePrecision = "float32") -> Any:
    """Return features and labels of the training ("") or the held-out ("_test") images."""
    from mstl_edge.recipe import AugmentSpec
    from mstl_edge.training.features import Images, prefix_features
    from mstl_edge.training.fit import Samples

    pixels = images[f"x{part}"]
    keys = tuple(digest(image.tobytes()) for image in pixels)
    rows = Images(pixels, keys)  # type: ignore[arg-type]
    return Samples(prefix_features(prefix, rows, AugmentSpec(), precision=precision), images[f"y{part}"])


def _plain(job: dict[str, Any], images: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Fit the whole graph as a Keras guide would: frozen layers not trainable, images as float arrays in memory."""
    import tensorflow as tf
    import tf_keras as keras

    _limit_threads(tf, job["threads"])
    keras.utils.set_random_seed(job["seed"])
    model = _plain_network(keras, job)
    model.compile(
        keras.optimizers.Adam(STAGE.learning_rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    x, y = normalize(images["x"]), images["y"]
    clock = _EpochClock(keras)
    started = time.perf_counter()
    model.fit(x, y, batch_size=STAGE.batch_size, epochs=job["epochs"], callbacks=[clock.callback], verbose=0)
    seconds = time.perf_counter() - started
    logits = model.predict(normalize(images["x_test"]), batch_size=64, verbose=0)
    timed = {"images": len(x), "seconds": seconds, "epoch_seconds": clock.seconds}
    return {**timed, **_scores(logits, images["y_test"])}


def _plain_network(keras: Any, job: dict[str, Any]) -> Any:
    """Return the same graph with the same first weights, made without anything that our training does to Keras."""
    spec = BackboneSpec(alpha=job["alpha"], weights=job["weights"])
    backbone = backbones.REGISTRY[spec.name].build(keras, spec)
    backbone.load_weights(job["weights"])
    pooled = keras.layers.GlobalAveragePooling2D()(backbone.output)
    model = keras.Model(backbone.input, keras.layers.Dense(2)(pooled))
    names = [layer.name for layer in model.layers]
    for layer in model.layers[: names.index(STAGE.unfreeze_from)]:
        layer.trainable = False
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    return model


class _EpochClock:
    """Seconds of every epoch."""

    def __init__(self, keras: Any) -> None:
        self.seconds: list[float] = []
        self._started = 0.0
        self.callback = keras.callbacks.LambdaCallback(on_epoch_begin=self._begin, on_epoch_end=self._end)

    def _begin(self, epoch: int, logs: Any) -> None:
        self._started = time.perf_counter()

    def _end(self, epoch: int, logs: Any) -> None:
        self.seconds.append(time.perf_counter() - self._started)


def _equality(job: dict[str, Any], images: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Compare the probabilities of whole graph and tail on one batch, before training and after one step on it."""
    from mstl_edge.metrics import softmax
    from mstl_edge.training import graph
    from mstl_edge.training._keras import keras, tf
    from mstl_edge.training.features import FrozenPrefix
    from mstl_edge.training.fit import fit_tail, predict_logits

    _limit_threads(tf, job["threads"])
    batch = {f"{name}{part}": images[name][: STAGE.batch_size] for name in ("x", "y") for part in ("", "_test")}
    whole = network(job)
    for layer in whole.layers[: [layer.name for layer in whole.layers].index(STAGE.unfreeze_from)]:
        layer.trainable = False
    cut = graph.cut_at(whole, STAGE.unfreeze_from)
    held = samples(FrozenPrefix(cut.prefix, job["threads"]), batch, "")

    def difference() -> float:
        plain = softmax(whole.predict(normalize(batch["x"]), verbose=0))
        return float(np.abs(plain - softmax(predict_logits(cut.tail, held.views[0]))).max())

    before = difference()
    whole.compile(
        keras.optimizers.Adam(STAGE.learning_rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    whole.train_on_batch(normalize(batch["x"]), batch["y"])
    checkpoint = Path(os.environ[CACHE_VARIABLE], "checkpoint.npz")
    fit_tail(cut.tail, held, held, msgspec.structs.replace(STAGE, epochs=1), seed=0, checkpoint=checkpoint)
    return {"before": before, "after_one_step": difference()}


def _limit_threads(tf: Any, threads: int) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(threads)


def _scores(logits: NDArray[Any], classes: NDArray[Any]) -> dict[str, float]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_likelihood = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return {
        "test_n": len(classes),
        "accuracy": float((logits.argmax(axis=1) == classes).mean()),
        "log_loss": -float(log_likelihood[np.arange(len(classes)), classes].mean()),
    }


if __name__ == "__main__":
    main()
