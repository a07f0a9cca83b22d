"""Output folders: one process gets one, whole; the others get one line and leave nothing."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mstl_edge import output_folder, runs
from mstl_edge.errors import MstlEdgeError, RunError
from mstl_edge.recipe import load_recipe
from mstl_edge.storage import CLAIM, claimed


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def together(count: int, work: Callable[[int], object]) -> list[object]:
    """Run `work` in so many threads that start at once; return what each returned or raised."""
    start = threading.Barrier(count)
    ended: list[object] = [None] * count

    def one(number: int) -> None:
        start.wait()
        try:
            ended[number] = work(number)
        except Exception as error:  # noqa: BLE001 - looked at by the test
            ended[number] = error

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ended


@pytest.mark.parametrize("exists", [False, True], ids=["absent", "empty"])
def test_of_runs_that_name_one_folder_at_the_same_moment_one_gets_it_whole(exists, monkeypatch):
    if exists:
        Path("out").mkdir()
    meet = threading.Barrier(6)
    check = output_folder.check_unused

    def all_found_it_unused(out: Path | None) -> None:
        check(out)
        meet.wait()

    monkeypatch.setattr(output_folder, "check_unused", all_found_it_unused)
    ended = together(6, lambda seed: runs.create_run(load_recipe("phantom", seed=seed), Path("out"), versions={}))
    winners = [number for number, outcome in enumerate(ended) if isinstance(outcome, runs.RunFolder)]
    assert len(winners) == 1
    for outcome in ended:
        if not isinstance(outcome, runs.RunFolder):
            assert isinstance(outcome, RunError), outcome
            assert "an output folder that does not exist or is empty. Received: out." in str(outcome)
    assert runs.RunFolder(Path("out")).recipe().seed == winners[0]
    assert {path.name for path in Path("out").iterdir()} == {"recipe.toml", "run.json"}


def test_default_names_of_the_same_second_are_different(monkeypatch):
    monkeypatch.setattr("time.strftime", lambda _: "20260101-120000")
    made = together(6, lambda seed: runs.create_run(load_recipe("phantom", seed=seed), None, versions={}))
    assert all(isinstance(run, runs.RunFolder) for run in made), made
    assert len({run.path for run in made}) == 6
    for seed, run in enumerate(made):
        assert run.recipe().seed == seed


@pytest.mark.parametrize("exists", [False, True], ids=["absent", "empty"])
def test_a_folder_that_could_not_be_filled_is_as_it_was_before(exists):
    if exists:
        Path("out").mkdir()

    def fill() -> None:
        with claimed(Path("out")):
            Path("out/splits").mkdir()
            Path("out/splits/a.json").write_text("half")
            Path("out/recipe.toml").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill()
    assert Path("out").exists() is exists
    assert not exists or list(Path("out").iterdir()) == []


def test_a_disk_that_refuses_the_first_files_leaves_no_run_folder(monkeypatch):
    def refuse(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(MstlEdgeError, match=r"Received: out/run.json \(Input/output error\)"):
        runs.create_run(load_recipe("phantom"), Path("out"), versions={})
    assert list(Path().iterdir()) == []


def test_what_a_killed_process_was_making_is_said(tmp_path):
    Path("out").mkdir()
    Path("out", CLAIM).touch()
    with pytest.raises(RunError, match="Another process is making it at this moment; where none is, delete it first"):
        output_folder.check_unused(Path("out"))


@pytest.mark.parametrize("name", ["x" * 300, "loop/run"])
def test_a_path_that_no_file_system_takes_is_one_line(name):
    Path("loop").symlink_to("loop")
    with pytest.raises(MstlEdgeError, match="an output folder that can be written"):
        runs.create_run(load_recipe("phantom"), Path(name), versions={})
    with pytest.raises(RunError, match="a run folder"):
        runs.open_run(Path(name))


def test_a_folder_is_worked_on_by_one_process_at_a_time():
    run = runs.create_run(load_recipe("phantom"), Path("my run"), versions={})
    with output_folder.working_alone(run.path):
        message = r"that no other process is working on. Received: my run. .* mstl-edge train --resume 'my run'"
        with pytest.raises(RunError, match=message), output_folder.working_alone(run.path):
            pass
    with output_folder.working_alone(run.path):
        pass
    with output_folder.working_alone(Path("no-run")):
        pass


def test_work_goes_on_where_the_file_system_has_no_locks(monkeypatch):
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    run = runs.create_run(load_recipe("phantom"), Path("run"), versions={})
    monkeypatch.setattr("fcntl.flock", no_locks)
    done = []
    with output_folder.working_alone(run.path):
        done.append(run)
    assert done


def test_an_export_does_not_write_into_a_run_that_another_process_is_at_work_on(capsys, monkeypatch):
    from mstl_edge_cli.app import main

    run = runs.create_run(load_recipe("phantom"), Path("run"), versions={})
    monkeypatch.setattr("sys.argv", ["mstl-edge", "export", "run"])
    with output_folder.working_alone(run.path), pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "expected a folder that no other process is working on. Received: run." in capsys.readouterr().err
