"""`mstl-edge runs`: run folders, what they weigh, and how they go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mstl_edge import runs
from mstl_edge.recipe import load_recipe


@pytest.fixture
def two_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """An unfinished run and a finished one under runs/."""
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe("phantom")
    unfinished, finished = (runs.create_run(recipe, Path("runs") / name, versions={}) for name in ("begun", "done"))
    for stage in recipe.stages:
        finished.stage(stage.name).path.mkdir(parents=True)
        finished.stage(stage.name).metrics.write_text("{}")
    finished.metrics.write_text("{}")
    return unfinished.path, finished.path


def test_runs_are_listed_with_their_stages_and_weight(mstl_edge, two_runs):
    listed = {entry["run"]: entry for entry in json.loads(mstl_edge("runs", "list", "--json").stdout)}
    assert listed["runs/begun"]["finished"] is False
    assert listed["runs/begun"]["finished_stages"] == []
    assert listed["runs/done"]["finished"] is True
    assert listed["runs/done"]["finished_stages"] == ["bridge", "target"]
    assert listed["runs/done"]["size_bytes"] > 0
    table = mstl_edge("runs", "list").stdout
    assert "runs/begun" in table
    assert "bridge, target" in table


def test_no_runs_are_an_empty_list(mstl_edge):
    assert json.loads(mstl_edge("runs", "list", "--json").stdout) == []


def test_unfinished_runs_are_deleted_and_finished_ones_stay(mstl_edge, two_runs):
    ended = mstl_edge("runs", "clean", "--unfinished", "--yes")
    assert ended.exit_code == 0
    assert "runs/begun" in ended.stderr
    assert [path.exists() for path in two_runs] == [False, True]


def test_a_named_run_is_deleted(mstl_edge, two_runs):
    assert mstl_edge("runs", "clean", "runs/done", "--yes").exit_code == 0
    assert [path.exists() for path in two_runs] == [True, False]


def test_what_is_no_run_is_never_deleted(mstl_edge, tmp_path):
    (tmp_path / "thesis").mkdir()
    ended = mstl_edge("runs", "clean", "thesis", "--yes")
    assert ended.exit_code == 1
    assert "expected a run folder. Received: thesis. See 'mstl-edge runs list'." in ended.stderr
    assert (tmp_path / "thesis").is_dir()


def test_a_no_deletes_nothing(mstl_edge, two_runs, monkeypatch):
    import io
    import sys

    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    assert mstl_edge("runs", "clean", "--unfinished").exit_code == 1
    assert all(path.exists() for path in two_runs)


def test_cleaning_without_a_choice_says_what_can_be_chosen(mstl_edge, two_runs):
    ended = mstl_edge("runs", "clean")
    assert ended.exit_code == 0
    assert "use --unfinished or --cache" in ended.stderr


def test_the_cache_is_emptied_and_nothing_else(mstl_edge, two_runs):
    from mstl_edge.storage import cache_folder

    (cache_folder("features", "x") / "rows.bin").write_bytes(b"rows")
    (cache_folder("phantom") / "kept").write_bytes(b"drawn")
    assert mstl_edge("runs", "clean", "--cache", "--yes").exit_code == 0
    assert not (cache_folder("features") / "x").exists()
    assert (cache_folder("phantom") / "kept").exists()
    assert all(path.exists() for path in two_runs)
