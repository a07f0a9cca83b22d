"""One stage trained by two processes: equal to one within rounding, and what it would bring light and heavy networks.

    python benchmarks/experiments/two_trainers/measure.py --out benchmarks/results/two-trainers.json

Two processes on this machine train the tail of MobileNet 0.25 by tf.distribute.MultiWorkerMirroredStrategy, each on half of every
batch; their weights are held against those of one process after each step. Then, for several networks, the bytes that a step sends
(a ring all-reduce), the seconds of a step on one thread, and from both what several machines would bring: reckoned, not measured.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

STEPS, BATCH, CLASSES, SIZE = 20, 16, 2, 96
PORTS = (29741, 29742)
NETWORKS = (
    ("mobilenet_v1", "0.25"), ("shufflenet_v2", "1.0"), ("mobilenet_v2", "0.35"), ("mobilenet_v3", "small"),
    ("mobilenet_v1", "1.0"), ("mobilenet_v2", "1.0"), ("densenet", "121"), ("resnet", "50"), ("inception_v3", "1.0"),
)  # fmt: skip
"""Light and heavy."""
MACHINES = (2, 4, 8)
GIGABITS = (1, 10)
TIMED = 4


def main() -> None:
    """Train, compare and write; or, as one of the two processes, train and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--as-worker", type=int, choices=(0, 1), help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
    if options.as_worker is not None:
        np.savez(options.out, *trained(options.as_worker))
        return
    from mstl_edge.storage import write_text
    from mstl_edge.study.processor import cpu_kind

    result = {"cpu": cpu_kind(), "batch": BATCH, "steps": compared(), "networks": [cost(*each) for each in NETWORKS]}
    write_text(options.out, json.dumps(result, indent=1) + "\n")


def compared() -> list[float]:
    """Return after each step by how much the weights of two processes differ from those of one, over their largest."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.npz" for number in (0, 1)]
        hosts = [f"127.0.0.1:{port}" for port in PORTS]
        workers = [
            subprocess.Popen(
                [sys.executable, __file__, "--out", str(file), "--as-worker", str(number)],
                env=os.environ
                | {
                    "TF_CONFIG": json.dumps({"cluster": {"worker": hosts}, "task": {"type": "worker", "index": number}})
                },
            )
            for number, file in enumerate(files)
        ]
        if any(worker.wait(timeout=600) for worker in workers):
            raise SystemExit("one of the two processes failed")
        first, second = (np.load(file) for file in files)
        alone = trained(None)
        for name in first.files:
            np.testing.assert_array_equal(first[name], second[name], err_msg="the two processes disagree")
        return [
            float(np.abs(first[f"arr_{step}"] - alone[step]).max() / np.abs(alone[step]).max()) for step in range(STEPS)
        ]


def trained(worker: int | None) -> list[Any]:
    """Return the trained weights, flat, after each step: of one process, or of one of two that each see half of a batch."""
    from mstl_edge.training._keras import keras, tf

    strategy = tf.distribute.get_strategy() if worker is None else tf.distribute.MultiWorkerMirroredStrategy()
    with strategy.scope():
        tail, shape = tail_of("mobilenet_v1", "0.25", SIZE, "bundled")
        optimizer = keras.optimizers.Adam(1e-3, jit_compile=False)
        optimizer.build(tail.trainable_variables)
    rng = np.random.default_rng(3)
    features = rng.normal(size=(STEPS, BATCH, *shape)).astype(np.float32)
    targets = np.eye(CLASSES, dtype=np.float32)[rng.integers(0, CLASSES, (STEPS, BATCH))]
    part = slice(None) if worker is None else slice(worker * BATCH // 2, (worker + 1) * BATCH // 2)

    def one(batch: Any, wanted: Any) -> None:
        with tf.GradientTape() as tape:
            losses = tf.nn.softmax_cross_entropy_with_logits(wanted, tail(batch, training=True))
            loss = tf.reduce_sum(losses) / BATCH  # the sum over processes is the mean over the batch
        optimizer.apply_gradients(
            zip(tape.gradient(loss, tail.trainable_variables), tail.trainable_variables, strict=True)
        )

    step = tf.function(lambda batch, wanted: strategy.run(one, (batch, wanted)), autograph=False)
    kept = []
    for number in range(STEPS):
        step(tf.constant(features[number, part]), tf.constant(targets[number, part]))
        kept.append(np.concatenate([np.ravel(variable.numpy()) for variable in tail.trainable_variables]))
    return kept


def tail_of(name: str, variant: str, size: int, weights: str) -> tuple[Any, tuple[int, ...]]:
    """Return what a stage trains of a network, as the rules cut it, and the shape of one feature."""
    from mstl_edge.planning.rules import usual_cut
    from mstl_edge.recipe import BackboneSpec
    from mstl_edge.training.network.classifier import classifier, fresh_head
    from mstl_edge.training.network.cut import cut_at
    from mstl_edge.training.network.keras import to_keras
    from mstl_edge.training.weights import loaded_backbone

    spec = BackboneSpec(name=name, variant=variant, input_size=size, weights=weights)
    cut = cut_at(fresh_head(classifier(spec, loaded_backbone(spec, 0), CLASSES), 0), usual_cut(spec))
    tail = to_keras(cut.tail, matrix_products=True)
    return tail, tuple(tail.input_shape[1:])


def cost(name: str, variant: str) -> dict[str, Any]:
    """Return what a step of a network's tail takes and sends, and what several machines would bring."""
    import time

    from mstl_edge.training._keras import keras, tf

    tail, shape = tail_of(name, variant, 224, "none")
    optimizer = keras.optimizers.Adam(1e-4, jit_compile=False)
    optimizer.build(tail.trainable_variables)
    batch = tf.constant(np.random.default_rng(0).normal(size=(BATCH, *shape)).astype(np.float32))
    wanted = tf.constant(np.eye(CLASSES, dtype=np.float32)[np.arange(BATCH) % CLASSES])

    @tf.function(autograph=False)
    def step() -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(wanted, tail(batch, training=True)))
        optimizer.apply_gradients(
            zip(tape.gradient(loss, tail.trainable_variables), tail.trainable_variables, strict=True)
        )
        return loss

    step()
    seconds = []
    for _ in range(TIMED):
        started = time.perf_counter()
        step().numpy()
        seconds.append(time.perf_counter() - started)
    numbers = int(sum(np.prod(variable.shape) for variable in tail.trainable_variables))
    keras.backend.clear_session()
    median = float(np.median(seconds))
    return {
        "network": f"{name}:{variant}",
        "trained_parameters": numbers,
        "bytes_per_step": {str(count): sent(numbers, count) for count in MACHINES},
        "step_s": round(median, 4),
        "times_as_fast": {
            f"{gigabits} Gbit/s": {str(count): round(gain(median, numbers, count, gigabits), 2) for count in MACHINES}
            for gigabits in GIGABITS
        },
    }


def sent(numbers: int, machines: int) -> int:
    """Return the bytes that each machine sends in a step: a ring all-reduce of float32 (Patarasuk and Yuan 2009)."""
    return round(2 * (machines - 1) / machines * 4 * numbers)


def gain(step_s: float, numbers: int, machines: int, gigabits: int) -> float:
    """Return how many times as fast a step is, its batch dealt out and nothing of the sending hidden behind it."""
    return step_s / (step_s / machines + 8 * sent(numbers, machines) / (1e9 * gigabits))


if __name__ == "__main__":
    main()
