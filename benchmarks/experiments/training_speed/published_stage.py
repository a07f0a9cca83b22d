"""The published bridge stage, trained once in a process of its own: by us, or by plain Keras.

    python benchmarks/suites/published_stage.py JOB_AS_JSON

prints what it measured as one line of JSON. `training_speed.py` starts it; `profile_training.py` takes the parts.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from mstl_edge.data.pixels import load_pixels
from mstl_edge.data.scan import scan_source
from mstl_edge.data.sources import open_source
from mstl_edge.data.splits import split_source
from mstl_edge.preprocess import normalize
from mstl_edge.recipe import BackboneSpec, FeaturePrecision, PreprocessSpec, SplitSpec, StageSpec
from mstl_edge.storage import CACHE_VARIABLE, digest
from mstl_edge_models import backbones

IMAGES = 800
BATCHES = 8
"""On how many batches one step is compared."""
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


Optimizer = Literal["adam", "sgd"]
LEARNING_RATES: dict[Optimizer, float] = {"adam": STAGE.learning_rate, "sgd": 1e-2}
"""Of the one step that is compared: Adam's is the stage's own; SGD's moves the answers about as far."""


def deal(data: str, patient: str, folder: Path, images: int, *, split_seed: int | None = None) -> None:
    """Write the arrays that both sides train on: `images` of all, or of the training part of a seed's split by patient.

    The rest, without the rest of the training part where there is one, is held out.
    """
    source = open_source(data, patient=patient)
    manifest = split_source(source, scan_source(source, PreprocessSpec()), SplitSpec(), seed=split_seed or 0)
    pixels = load_pixels(source.folder, manifest.rows, 224, PreprocessSpec())
    everything = np.asarray(pixels[np.arange(len(manifest.rows))], dtype=np.uint8)
    classes = np.array([manifest.labels.index(row.label) for row in manifest.rows], dtype=np.int64)
    splits = np.array([row.split for row in manifest.rows])
    candidates = np.arange(len(splits)) if split_seed is None else np.flatnonzero(splits == "train")
    train = np.sort(np.random.default_rng(split_seed or 0).permutation(candidates)[:images])
    held_out = np.setdiff1d(np.arange(len(splits)), train if split_seed is None else candidates)
    parts = {"": train, "_test": held_out}
    arrays = {f"x{part}": everything[chosen] for part, chosen in parts.items()}
    arrays |= {f"y{part}": classes[chosen] for part, chosen in parts.items()}
    np.savez(folder / "images.npz", **arrays)


def main() -> None:
    """Do one job."""
    sys.stdout.write(json.dumps(_work(json.loads(sys.argv[1]))) + "\n")


def _work(job: dict[str, Any]) -> dict[str, Any]:
    """Train as `job` says and return what was measured; nothing that our training does to Keras is imported for `plain`."""
    with np.load(Path(job["folder"], "images.npz")) as arrays:
        images = {name: arrays[name] for name in arrays.files}
    workers = {"ours": _ours, "half": _ours, "plain": _plain, "equality": _equality}
    measured: dict[str, Any] = workers[job["name"]](job, images)
    return measured


def _ours(job: dict[str, Any], images: dict[str, NDArray[Any]]) -> dict[str, Any]:
    from mstl_edge.training._keras import tf
    from mstl_edge.training.fitting.features import FrozenPrefix
    from mstl_edge.training.fitting.fit import fit_tail, predict_logits
    from mstl_edge.training.fitting.workshop import Logbook
    from mstl_edge.training.network.cut import cut_at
    from mstl_edge.training.network.keras import to_keras

    _limit_threads(tf, job["threads"])
    whole = network(job)
    started = time.perf_counter()
    cut = cut_at(whole, STAGE.unfreeze_from)
    tail = to_keras(cut.tail, matrix_products=True)
    prefix = FrozenPrefix(cut.prefix, job["threads"])
    precision: FeaturePrecision = "float16" if job["name"] == "half" else "float32"
    held = {part: samples(prefix, images, part, precision) for part in ("", "_test")}
    features_seconds = time.perf_counter() - started
    stage = msgspec.structs.replace(STAGE, epochs=job["epochs"])
    checkpoint = Path(os.environ[CACHE_VARIABLE], "checkpoint.npz")
    fit_tail(tail, held[""], held["_test"], stage, Logbook(checkpoint), seed=job["seed"])
    seconds = time.perf_counter() - started
    logits = predict_logits(tail, held["_test"].views[0])
    timed = {"images": len(images["x"]), "seconds": seconds, "features_seconds": features_seconds}
    return {**timed, **_scores(logits, images["y_test"])}


def network(job: dict[str, Any]) -> Any:
    """Return the whole network that a job starts from, a `Graph`."""
    from mstl_edge.training.network.classifier import classifier, fresh_head
    from mstl_edge.training.weights import loaded_backbone

    spec = BackboneSpec(variant=str(job["alpha"]), weights=job["weights"])
    return fresh_head(classifier(spec, loaded_backbone(spec, job["seed"]), 2), job["seed"])


def frozen_below(whole: Any, unfreeze_from: str) -> Any:
    """Return a whole network as a Keras model in which no layer in front of `unfreeze_from` is trained."""
    from mstl_edge.training.network.keras import to_keras

    model = to_keras(whole)
    for layer in model.layers[: [layer.name for layer in model.layers].index(unfreeze_from)]:
        layer.trainable = False
    return model


def samples(prefix: Any, images: dict[str, NDArray[Any]], part: str, precision: FeaturePrecision = "float32") -> Any:
    """Return features and labels of the training ("") or the held-out ("_test") images."""
    from mstl_edge.recipe import AugmentSpec
    from mstl_edge.training.fitting.features import Images, prefix_features
    from mstl_edge.training.fitting.fit import Samples

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
    started = time.perf_counter()
    model.fit(x, y, batch_size=STAGE.batch_size, epochs=job["epochs"], verbose=0)
    seconds = time.perf_counter() - started
    logits = model.predict(normalize(images["x_test"]), batch_size=64, verbose=0)
    return {"images": len(x), "seconds": seconds, **_scores(logits, images["y_test"])}


def _plain_network(keras: Any, job: dict[str, Any]) -> Any:
    """Return the same graph with the same first weights, made without anything that our training does to Keras."""
    spec = BackboneSpec(variant=str(job["alpha"]), weights=job["weights"])
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


def _equality(job: dict[str, Any], images: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Compare the probabilities of whole graph and tail on mixed batches, each before training and after one step on it."""
    from mstl_edge.training._keras import tf

    _limit_threads(tf, job["threads"])
    steps = []
    for seed in range(BATCHES):
        # Not the first images: they are of one class, of which any network is sure after one step.
        chosen = np.random.default_rng(seed).permutation(len(images["x"]))[: STAGE.batch_size]
        x, y = images["x"][chosen], images["y"][chosen]
        steps += [_one_step(job, x, y, seed, optimizer) for optimizer in LEARNING_RATES]
    return {"steps": steps}


def _one_step(
    job: dict[str, Any], x: NDArray[np.uint8], y: NDArray[np.int64], seed: int, optimizer: Optimizer
) -> dict[str, Any]:
    from mstl_edge.metrics import softmax
    from mstl_edge.training._keras import keras
    from mstl_edge.training.fitting.features import FrozenPrefix
    from mstl_edge.training.fitting.fit import fit_tail, predict_logits
    from mstl_edge.training.fitting.workshop import Logbook
    from mstl_edge.training.network.cut import cut_at
    from mstl_edge.training.network.keras import to_keras

    begun = network(job)
    whole = frozen_below(begun, STAGE.unfreeze_from)
    cut = cut_at(begun, STAGE.unfreeze_from)
    tail = to_keras(cut.tail, matrix_products=True)
    held = samples(FrozenPrefix(cut.prefix, job["threads"]), {"x": x, "y": y}, "")

    def probabilities() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        plain = whole.predict(normalize(x), verbose=0)
        return softmax(plain)[:, 0], softmax(predict_logits(tail, held.views[0]))[:, 0]

    plain_before, ours_before = probabilities()
    rate = LEARNING_RATES[optimizer]
    told = keras.optimizers.SGD(rate, momentum=0.9) if optimizer == "sgd" else keras.optimizers.Adam(rate)
    whole.compile(told, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    whole.train_on_batch(normalize(x), y)
    checkpoint = Path(os.environ[CACHE_VARIABLE], f"{optimizer}{seed}.npz")
    stage = msgspec.structs.replace(STAGE, epochs=1, optimizer=optimizer, learning_rate=rate)
    fit_tail(tail, held, held, stage, Logbook(checkpoint), seed=0)
    plain_after, ours_after = probabilities()
    return {
        "optimizer": optimizer,
        "classes": np.bincount(y, minlength=2).tolist(),
        "before": float(np.abs(plain_before - ours_before).max()),
        "after_one_step": float(np.abs(plain_after - ours_after).max()),
        "moved": float(np.abs(plain_after - plain_before).max()),
        "plain_after": plain_after.tolist(),
    }


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
