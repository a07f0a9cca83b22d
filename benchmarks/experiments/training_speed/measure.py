r"""How fast a stage trains, against plain Keras on the same machine: writes benchmarks/results/training-speed.json.

    python benchmarks/experiments/training_speed/measure.py --data CHEST_FOLDER --patient '^(\d+)_' \
        --weights-1.0 mobilenet_1_0_224_tf_no_top.h5 --weights-0.25 mobilenet_2_5_224_tf_no_top.h5 \
        --out benchmarks/results/training-speed.json

The stage is the published bridge: MobileNet at 224 pixels, frozen below `conv_dw_12`, batch 16, Adam, 20 epochs. Plain is the
whole call of `tf_keras`' `fit` of the whole graph, its arrays in memory, with oneDNN off and on; the faster one counts. Ours
starts from the same network with an empty cache: cutting it, converting the frozen layers and computing their features are
counted. Every training is a process of its own, all with the same threads, ours and plain in turn.

- `speed`: 800 images.
  With `--isa AVX2` once more as on a machine without AVX-512, where plain's own kernels are further from the peak.
- `equality`: largest difference of a probability before training and after one step, over several batches, by Adam and by SGD;
  and how far plain moves away from itself in that step when oneDNN, and so the order of additions, is switched.
- `paired`: both train on the same images of each seed to the end, and ours once more with features in half precision; accuracy
  and log-loss on images of other patients, which none has seen.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from experiments.own_cache import own_cache
from experiments.training_speed import published_stage
from experiments.training_speed.published_stage import IMAGES, LEARNING_RATES, STAGE, deal
from mstl_edge.storage import CACHE_VARIABLE, write_text
from mstl_edge_bench.machine.host import describe_host

SCHEMA = "mstl-edge/training-speed/1"
ALPHAS = ("1.0", "0.25")


def main() -> None:
    """Measure everything that the file lacks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="Chest X-rays, a folder per class.")
    parser.add_argument("--patient", default="", help="Regular expression for the patients.")
    parser.add_argument("--weights-1.0", dest="weights_1_0", required=True)
    parser.add_argument("--weights-0.25", dest="weights_0_25", required=True)
    parser.add_argument("--seeds", type=int, default=5, help="Seeds of the paired trainings.")
    parser.add_argument("--paired-images", type=int, default=320, help="Images that a paired training fits.")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--isa",
        default="",
        metavar="AVX2",
        help="Measure the speed at alpha 1.0 once more with oneDNN kept to these instructions on both sides (ONEDNN_MAX_CPU_ISA).",
    )
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    with own_cache() as cache:
        _measure(options, str(cache))


def _measure(options: argparse.Namespace, folder: str) -> None:
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

    if options.isa:
        job = Job(folder, 1.0, options.weights_1_0, options.threads, options.isa)
        if not done("speed", isa=options.isa):
            deal(options.data, options.patient, Path(folder), IMAGES)
            keep("speed", _speed(job))
        return
    jobs = [
        Job(folder, float(alpha), getattr(options, f"weights_{alpha.replace('.', '_')}"), options.threads)
        for alpha in ALPHAS
    ]
    for job in jobs:
        if not done("speed", alpha=job.alpha, isa="") or not done("equality", alpha=job.alpha):
            deal(options.data, options.patient, Path(folder), IMAGES)
        if not done("speed", alpha=job.alpha, isa=""):
            keep("speed", _speed(job))
        if not done("equality", alpha=job.alpha):
            keep("equality", {"alpha": job.alpha, **_equality(job)})
    for job in reversed(jobs):
        for seed in range(options.seeds):
            if not done("paired", alpha=job.alpha, seed=seed):
                deal(options.data, options.patient, Path(folder), options.paired_images, split_seed=seed)
                pair = {name: job.run(name, seed, STAGE.epochs, onednn=True) for name in ("ours", "plain", "half")}
                keep("paired", {"alpha": job.alpha, "seed": seed, **pair})


@dataclass(frozen=True)
class Job:
    """What all trainings of one width share."""

    folder: str
    alpha: float
    weights: str
    threads: int
    isa: str = ""

    def run(self, name: str, seed: int, epochs: int, *, onednn: bool) -> dict[str, Any]:
        """Train in a process of its own and return what it measured."""
        job = {"name": name, "alpha": self.alpha, "weights": self.weights, "threads": self.threads}
        job |= {"folder": self.folder, "seed": seed, "epochs": epochs}
        with tempfile.TemporaryDirectory() as cache:
            flags = {"TF_ENABLE_ONEDNN_OPTS": str(int(onednn)), "TF_USE_LEGACY_KERAS": "1"}
            flags |= {"TF_CPP_MIN_LOG_LEVEL": "3", CACHE_VARIABLE: cache}
            flags |= {"ONEDNN_MAX_CPU_ISA": self.isa} if self.isa else {}
            command = [sys.executable, published_stage.__file__, json.dumps(job)]
            ended = subprocess.run(command, env={**os.environ, **flags}, stdout=subprocess.PIPE, text=True, check=True)
        measured: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
        return measured


def _speed(job: Job) -> dict[str, Any]:
    order = [("ours", True), ("plain", True), ("ours", True), ("plain", False)]
    runs = [(name, onednn, job.run(name, 0, STAGE.epochs, onednn=onednn)) for name, onednn in order]
    ours = [measured for name, _, measured in runs if name == "ours"]
    plain = [{"onednn": on, "seconds": measured["seconds"]} for name, on, measured in runs if name == "plain"]
    seconds = [measured["seconds"] for measured in ours]
    return {
        "alpha": job.alpha,
        "isa": job.isa,
        "cpu": msgspec.to_builtins(describe_host())["features"],
        "images": ours[0]["images"],
        "ours": {"seconds": seconds, "features_seconds": [measured["features_seconds"] for measured in ours]},
        "plain": plain,
        "ratio": min(entry["seconds"] for entry in plain) / float(np.mean(seconds)),
    }


def _equality(job: Job) -> dict[str, Any]:
    steps, others = (job.run("equality", 0, 1, onednn=onednn)["steps"] for onednn in (True, False))
    for step, other in zip(steps, others, strict=True):
        step["plain_onednn_switched"] = float(np.abs(np.subtract(step.pop("plain_after"), other["plain_after"])).max())
    largest = {
        optimizer: {
            name: max(step[name] for step in steps if step["optimizer"] == optimizer)
            for name in ("before", "after_one_step", "plain_onednn_switched", "moved")
        }
        for optimizer in LEARNING_RATES
    }
    return {"largest": largest, "learning_rates": LEARNING_RATES, "steps": steps}


if __name__ == "__main__":
    main()
