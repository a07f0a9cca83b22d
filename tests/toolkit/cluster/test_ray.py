"""A study on two machines with a cache each: the bytes of one process, whoever is killed, whatever fails."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.ray_nodes import kill, nodes, ray_processes, workers
from mstl_edge.cluster import OnRay, Place
from mstl_edge.errors import RunError
from mstl_edge.study.folder import StudyFolder

from .conftest import Files, files_of

pytest.importorskip("ray")
pytestmark = pytest.mark.slow
KILLS, IN_FULL = 2, 50


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with nodes(tmp_path_factory.mktemp("nodes")) as cluster:
        yield cluster.address


class Told:
    """A reporter that remembers what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)

    def bar(self, description: str, total: int) -> Any:
        from mstl_edge.progress import SILENT

        return SILENT.bar(description, total)


def run_on(address: str, study: StudyFolder, reporter: Any, retries: int = 5) -> None:
    from mstl_edge.training.study.run import run_study

    run_study(study, threads=1, executor=OnRay(Place(address), 1, reporter, retries), reporter=reporter)


@pytest.mark.long
def test_two_machines_with_a_cache_each_answer_as_one_process_does(
    planned: Callable[[], StudyFolder], by_one_process: Files, address: str
) -> None:
    study, told = planned(), Told()
    run_on(address, study, told)
    assert files_of(study) == by_one_process
    assert len(by_one_process) == 2 * 2
    assert any("2 tasks at once, 1 thread each" in line for line in told.lines)
    assert not any("without mstl-edge" in line for line in told.lines), "both have it already"


def _kill_workers(seed: int, count: int, stopped: threading.Event) -> list[int]:
    """Kill workers at seeded moments until so many have died or the study is done."""
    rng, killed = random.Random(seed), []
    while len(killed) < count and not stopped.is_set():
        stopped.wait(rng.uniform(0.2, 4.0))
        at_work = workers()
        if at_work:
            killed.append(rng.choice(at_work))
            kill(killed[-1])
    return killed


@pytest.mark.parametrize("kills", [KILLS, pytest.param(IN_FULL, marks=pytest.mark.long)])
def test_two_machines_whose_workers_are_killed_answer_as_one_process_does(
    kills: int, planned: Callable[[], StudyFolder], by_one_process: Files, address: str
) -> None:
    study, stopped = planned(), threading.Event()
    killed: list[int] = []
    killer = threading.Thread(target=lambda: killed.extend(_kill_workers(5, kills, stopped)))
    killer.start()
    try:
        run_on(address, study, Told(), retries=kills)
    finally:
        stopped.set()
        killer.join()
    assert killed, "nobody was killed: the study was too short"
    assert files_of(study) == by_one_process


@pytest.mark.long
def test_a_task_that_fails_is_reported_with_its_log_and_the_others_are_kept(
    planned: Callable[[], StudyFolder], by_one_process: Files, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mstl_edge.cluster import engine
    from mstl_edge.cluster.crate import pack

    def torn(study: StudyFolder) -> Any:
        crate, contents = pack(study)
        weights = next(key for name, key in crate.files.items() if name.startswith("first-weights"))
        return crate, {**contents, weights: b"no weights"}

    study, told = planned(), Told()
    with monkeypatch.context() as patched:
        patched.setattr(engine, "pack", torn)
        # Under another key, or the weights that other tests have left with the workers would do.
        study.manifest_file.write_bytes(study.manifest_file.read_bytes() + b"\n")
        with pytest.raises(RunError, match=r"2 did not.*Its log: .*failed.*study --resume"):
            run_on(address, study, told)
    assert len(list((study.path / "failed").iterdir())) == 2
    assert "Traceback" in next((study.path / "failed").iterdir()).read_text()
    assert not study.result.exists()
    kept = files_of(study)
    assert kept == {name: content for name, content in by_one_process.items() if name.startswith("multi")}


@pytest.mark.long
def test_ctrl_c_leaves_a_study_that_goes_on_here(planned: Callable[[], StudyFolder], by_one_process: Files) -> None:
    study = planned()
    command = [sys.executable, "-m", "mstl_edge_cli", "study", "--resume", str(study.path)]
    going = subprocess.Popen(
        [*command, "--cluster", "local:2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not files_of(study) and time.monotonic() < deadline and going.poll() is None:
        time.sleep(0.2)
    assert [process for process in ray_processes() if _of_session(process, going.pid)]
    going.send_signal(2)
    _, narration = going.communicate(timeout=60)
    assert going.returncode == 130, narration
    assert f"--resume {study.path}" in narration
    assert 0 < len(files_of(study)) < len(by_one_process)
    assert not [process for process in ray_processes() if _of_session(process, going.pid)]
    subprocess.run([*command, "--threads", "1"], check=True, capture_output=True)
    assert files_of(study) == by_one_process


def _of_session(process: int, leader: int) -> bool:
    """Whether a session that `leader` began holds a process, whoever its parent is by now."""
    try:
        return os.getsid(process) == leader
    except ProcessLookupError:
        return False


def test_a_cluster_that_does_not_answer_is_one_line(planned: Callable[[], StudyFolder]) -> None:
    study = planned()
    with pytest.raises(RunError, match=r"a Ray cluster at 127\.0\.0\.1:1\b.*ray start --head"):
        run_on("127.0.0.1:1", study, Told())


def test_the_project_travels_as_a_wheel_that_installs_and_knows_its_version(tmp_path: Path) -> None:
    from importlib import metadata

    from mstl_edge.cluster.wheel import write_wheel

    wheel = write_wheel(tmp_path)
    again = write_wheel(tmp_path / "again")
    assert wheel.read_bytes() == again.read_bytes()
    target = tmp_path / "there"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--quiet",
        "--disable-pip-version-check",
        "install",
        "--no-deps",
        "--target",
        str(target),
    ]
    subprocess.run([*pip, str(wheel)], check=True)
    code = (
        f"import sys; sys.path.insert(0, {str(target)!r}); import mstl_edge, mstl_edge_models.weights as w; "
        "print(mstl_edge.__version__, mstl_edge.__file__, w.path('mobilenet_v1_0.25_bundled.h5').is_file())"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path
    ).stdout.split()
    assert told[0] == metadata.version("mstl-edge")
    assert Path(told[1]).is_relative_to(target)
    assert told[2] == "True"
