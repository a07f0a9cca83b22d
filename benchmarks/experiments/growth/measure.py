r"""How time and memory grow: writes benchmarks/results/growth.json, which docs/performance.md shows.

    python benchmarks/experiments/growth/measure.py --weights mobilenet_1_0_224_tf_no_top.h5 --out benchmarks/results/growth.json

Every row is one process that trains on drawn chest X-rays (the published bridge: MobileNet 1.0/224, frozen below
`conv_dw_12`, batch 16), with one quantity varied. The first run finds an empty cache, the second one what the first
left. Memory is the largest private resident memory seen (RssAnon of /proc/self/status); features and pixels are mapped
files and are not in it. Images and cache lie in a folder of the suite's own, which is removed at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from experiments.own_cache import own_cache
from mstl_edge.data.phantom import phantom_folder
from mstl_edge.recipe import resolve
from mstl_edge.runs import create_run, size_bytes
from mstl_edge.storage import cache_folder, write_text
from mstl_edge_bench.machine.host import describe_host

SCHEMA = "mstl-edge/growth/1"
PLAIN = {"images": 500, "views": 1, "epochs": 2, "stages": 1, "folds": 0}
VARIED = {
    "images": (500, 1000, 2000, 4000, 6000),
    "views": (1, 2, 4, 8),
    "epochs": (2, 5, 10, 20),
    "stages": (1, 2, 3),
    "folds": (2, 5, 10),
}
POLLED_EVERY = 0.02


def main() -> None:
    """Measure every row that the file lacks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--alpha", type=float, default=1.0)
    for name, values in VARIED.items():
        parser.add_argument(
            f"--{name}", type=int, nargs="*", default=values, help=f"Default: {' '.join(map(str, values))}."
        )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        sys.stdout.write(json.dumps(_train(json.loads(options.worker))) + "\n")
        return
    tree: dict[str, Any] = {"schema": SCHEMA, "host": msgspec.to_builtins(describe_host()), "rows": []}
    if options.out.is_file():
        tree["rows"] = json.loads(options.out.read_text())["rows"]
    for varied in VARIED:
        for value in getattr(options, varied):
            case = {**PLAIN, varied: value}
            same = [row for row in tree["rows"] if case.items() <= row.items()]
            if any(row["varied"] == varied for row in same):
                continue
            # All quantities share one row in which nothing is varied; it is measured once.
            runs = same[0]["runs"] if same else _measure({**case, "alpha": options.alpha, "weights": options.weights})
            tree["rows"].append({"varied": varied, **case, "runs": runs})
            write_text(options.out, json.dumps(tree, indent=1) + "\n")
            sys.stderr.write(json.dumps(tree["rows"][-1]) + "\n")


def _measure(case: dict[str, Any]) -> list[dict[str, Any]]:
    command = [sys.executable, __file__, "--out", "", "--worker", json.dumps(case)]
    runs = []
    with own_cache():
        for stage in range(case["stages"]):
            phantom_folder("chest", seed=_phantom_seed(stage), count=case["images"])
        for _ in range(2):
            ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            stored = sum(size_bytes(cache_folder(filled)) for filled in ("pixels", "features"))
            runs.append({**json.loads(ended.stdout.splitlines()[-1]), "cache_bytes": stored})
    return runs


def _phantom_seed(stage: int) -> int:
    return 100 + stage


def _recipe(case: dict[str, Any]) -> Any:
    stages = [
        {
            "name": f"stage{stage}",
            "data": f"phantom:chest?count={case['images']}&seed={_phantom_seed(stage)}",
            "unfreeze_from": "conv_dw_12",
            "batch_size": 16,
            "epochs": case["epochs"],
            "augment": {"views": case["views"]},
        }
        for stage in range(case["stages"])
    ]
    backbone = {"alpha": case["alpha"], "input_size": 224, "weights": case["weights"]}
    return resolve({"name": "growth", "backbone": backbone, "stages": stages})


def _train(case: dict[str, Any]) -> dict[str, Any]:
    memory = _Memory()
    started = time.perf_counter()
    from mstl_edge.schemas.study_plan import StudyPlan
    from mstl_edge.study.plan import build_arms
    from mstl_edge.training import pipeline
    from mstl_edge.training.study.run import run_study, start_study

    imported = time.perf_counter()
    recipe = _recipe(case)
    with tempfile.TemporaryDirectory() as folder:
        if case["folds"]:
            arms = build_arms(recipe, wanted=["single"], schemes=["float32"])
            run_study(
                start_study(StudyPlan(recipe=recipe, arms=arms, folds=case["folds"], repeats=1), Path(folder, "study"))
            )
        else:
            pipeline.train(create_run(recipe, Path(folder, "run"), versions={}))
    return {
        "import_seconds": round(imported - started, 2),
        "seconds": round(time.perf_counter() - imported, 2),
        "private_memory_bytes": memory.largest(),
    }


class _Memory:
    """The largest RssAnon of this process, polled by a thread."""

    def __init__(self) -> None:
        self._largest = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()

    def _poll(self) -> None:
        while not self._ended.wait(POLLED_EVERY):
            for line in Path("/proc/self/status").read_text().splitlines():
                if line.startswith("RssAnon"):
                    self._largest = max(self._largest, 1024 * int(line.split()[1]))

    def largest(self) -> int:
        """Stop polling, and return the largest value in bytes."""
        self._ended.set()
        self._thread.join()
        return self._largest


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
