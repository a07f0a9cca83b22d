r"""What a cluster brings a study: two machines against one process, what the engine costs, and equal bytes whoever does the work.

    python benchmarks/experiments/cluster/measure.py --data HEAD_CT \
        --weights mobilenet_v1:0.25=FILE --weights mobilenet_v2:0.35=FILE --work FOLDER --out benchmarks/results/cluster.json

The machines are two nodes of a Ray cluster on this one, real processes with a cache each and one thread per task. What comes behind
so many workers is reckoned from the measured tasks, not measured. On an idle machine of two cores, about half an hour.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from experiments.ray_nodes import kill, nodes, workers
from mstl_edge.cluster import OnRay, Place
from mstl_edge.cluster.connection import pinned
from mstl_edge.progress import SILENT
from mstl_edge.storage import write_text
from mstl_edge.study.folder import StudyFolder, open_study
from mstl_edge.study.processor import cpu_kind

EPOCHS, VIEWS, FOLDS = 10, 4, 5
WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1000)
ON_PAPER = {"arms": 8, "trainings of each": 50}
"""A study of eight backbones over fifty folds."""
KILLS = 50
SHARES = 4


def main() -> None:
    """Measure, and write the result; what it holds already, and whose study is there, is not measured again."""
    options = _options()
    plan = _planned(options)
    measured: dict[str, Any] = json.loads(options.out.read_text()) if options.out.is_file() else {}
    measured |= {"cpu": cpu_kind(), "trainings": len(list(_places(plan)))}
    studies = {name: options.work / name for name in ("alone", "one-node", "two-nodes", "shares", "killed")}

    def step(key: str, name: str, work: Callable[[StudyFolder, Path], float]) -> None:
        if key not in measured or not studies[name].is_dir():
            measured[key] = work(_copy(plan, studies[name]), options.work / f"caches-{name}")
            write_text(options.out, json.dumps(measured, indent=1) + "\n")

    deaths: list[int] = []
    step("one_process_s", "alone", lambda study, cache: _timed(lambda: _alone(study, cache)))
    step("one_worker_s", "one-node", lambda study, caches: _on_nodes(study, caches, 1))
    step("two_workers_s", "two-nodes", lambda study, caches: _on_nodes(study, caches, 2))
    step("four_shares_s", "shares", lambda study, cache: _timed(lambda: _in_shares(study, cache)))
    step("killed_s", "killed", lambda study, caches: _on_nodes(study, caches, 2, deaths))
    measured["workers_killed"] = len(deaths) or measured["workers_killed"]
    opened = {name: open_study(path) for name, path in studies.items()}
    measured["task_s"] = sorted(_task_seconds(opened["alone"]))
    measured["task_s_beside_another"] = sorted(_task_seconds(opened["two-nodes"]))
    measured["equal_bytes"] = {
        key: _answers(opened["alone"]) == _answers(opened[name])
        for key, name in {
            "one_worker": "one-node", "two_workers": "two-nodes", "four_shares": "shares", "killed": "killed"
        }.items()
    }  # fmt: skip
    serial = measured["one_process_s"] - sum(measured["task_s"])
    measured["serial_s"] = serial
    measured["on_paper"] = _on_paper(measured["task_s"], serial)
    write_text(options.out, json.dumps(measured, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="Images, one folder per class.")
    parser.add_argument("--weights", action="append", required=True, help="NAME:VARIANT=FILE, once for each network.")
    parser.add_argument("--work", type=Path, required=True, help="Folder for the studies and their caches.")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


def _planned(options: argparse.Namespace) -> StudyFolder:
    path = options.work / "planned"
    if not path.is_dir():
        networks = ",".join(one.partition("=")[0] for one in options.weights)
        keys = [f"stages.target.augment.views={VIEWS}", f"stages.target.epochs={EPOCHS}"]
        _study(
            [
                options.data, "--backbones", networks, *(f"--weights={one}" for one in options.weights),
                *(f"--set={key}" for key in keys), "--schemes", "float32,int8-ptq", "--folds", str(FOLDS),
                "--repeats", "1", "--plan-only", "--out", str(path),
            ],
            options.work / "cache-planned",
        )  # fmt: skip
    return open_study(path)


def _study(arguments: Sequence[str], cache: Path) -> None:
    environment = {**os.environ, "MSTL_EDGE_CACHE": str(cache)}
    subprocess.run([sys.executable, "-m", "mstl_edge_cli", "study", *arguments], check=True, env=environment)


def _copy(plan: StudyFolder, path: Path) -> StudyFolder:
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(plan.path, path)
    return open_study(path)


def _places(study: StudyFolder) -> Iterator[tuple[str, int, int]]:
    plan = study.plan()
    return ((arm.name, *place) for arm in plan.arms for place in plan.places)


def _timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return round(time.perf_counter() - started, 1)


def _alone(study: StudyFolder, cache: Path) -> None:
    """Do a study in a process of its own, without the times of an inference that the command line takes behind it."""
    code = (
        "import sys; from pathlib import Path; from mstl_edge.study.folder import open_study; "
        "from mstl_edge.training.study.run import run_study; run_study(open_study(Path(sys.argv[1])), threads=1)"
    )
    pins = {**pinned(1), "MSTL_EDGE_CACHE": str(cache)}
    subprocess.run([sys.executable, "-c", code, str(study.path)], check=True, env={**os.environ, **pins})


def _resume(study: StudyFolder, cache: Path) -> None:
    _study(["--resume", str(study.path), "--threads", "1"], cache)


def _in_shares(study: StudyFolder, cache: Path) -> None:
    parts = [
        threading.Thread(
            target=_study, args=(["--resume", str(study.path), "--threads", "1", "--task", f"{part}/{SHARES}"], cache)
        )
        for part in range(1, SHARES + 1)
    ]
    for part in parts:
        part.start()
    for part in parts:
        part.join()
    _resume(study, cache)


def _on_nodes(study: StudyFolder, caches: Path, count: int, deaths: list[int] | None = None) -> float:
    """Do a study on so many machines, killing workers where `deaths` counts them; return its seconds."""
    stopped = threading.Event()
    with nodes(caches, count) as cluster:
        killer = threading.Thread(target=_kill, args=(deaths, stopped), daemon=True)
        if deaths is not None:
            killer.start()
        seconds = _timed(lambda: _hand_out(study, cluster.address))
        stopped.set()
    return seconds


def _hand_out(study: StudyFolder, address: str) -> None:
    from mstl_edge.training.study.run import run_study

    run_study(study, threads=1, executor=OnRay(Place(address), 1, SILENT, retries=KILLS))


def _kill(deaths: list[int], stopped: threading.Event) -> None:
    """Kill the worker of a task at seeded moments."""
    rng = random.Random(24)
    while len(deaths) < KILLS and not stopped.wait(rng.uniform(1.0, 12.0)):
        if at_work := workers():
            deaths.append(rng.choice(at_work))
            kill(deaths[-1])


def _answers(study: StudyFolder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((study.path / "folds").glob("*.csv"))}


def _task_seconds(study: StudyFolder) -> list[float]:
    return [json.loads(study.training(*place, 0).read_text())["seconds"] for place in _places(study)]


def _on_paper(task_s: Sequence[float], serial_s: float) -> dict[str, Any]:
    """Return how long a large study would take: tasks like the measured ones, each given to the first worker that is free."""
    rng = random.Random(0)
    tasks = [rng.choice(task_s) for _ in range(ON_PAPER["arms"] * ON_PAPER["trainings of each"])]
    return {**ON_PAPER, "seconds": {str(count): round(serial_s + _makespan(tasks, count), 1) for count in WORKERS}}


def _makespan(tasks: Sequence[float], workers: int) -> float:
    free = [0.0] * workers
    for seconds in tasks:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)


if __name__ == "__main__":
    main()
