"""Run folders: made once, opened only when they are ours, listed by age."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path

import pytest

from mstl_edge import runs
from mstl_edge.errors import MstlEdgeError, RunError
from mstl_edge.recipe import load_recipe


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def recipe():
    return load_recipe("phantom", seed=3)


def test_a_new_run_holds_the_resolved_recipe_and_the_versions(recipe):
    run = runs.create_run(recipe, Path("here/run"), versions={"versions": {"numpy": "2"}})
    assert run.recipe() == recipe
    assert runs.open_run(Path("here/run")) == run
    facts = json.loads((run.path / "run.json").read_text())
    assert datetime.datetime.fromisoformat(facts.pop("made")).tzinfo is not None
    assert facts == {"schema": "mstl-edge/run/1", "recipe": "phantom", "versions": {"numpy": "2"}}
    assert runs.finished_stages(run) == []


def test_runs_without_a_name_never_share_a_folder(recipe):
    made = {runs.create_run(recipe, None, versions={}).path for _ in range(3)}
    assert len(made) == 3
    assert all(path.parent == Path("runs") and path.name.startswith("phantom-") for path in made)


def test_an_output_folder_that_holds_a_run_says_how_to_go_on(recipe):
    runs.create_run(recipe, Path("taken"), versions={})
    before = sorted((path, path.read_bytes()) for path in Path("taken").rglob("*"))
    with pytest.raises(
        RunError, match=r"Received: taken. Go on with it by 'mstl-edge train --resume taken', or choose"
    ):
        runs.create_run(recipe, Path("taken"), versions={})
    assert sorted((path, path.read_bytes()) for path in Path("taken").rglob("*")) == before


def test_an_output_folder_with_other_files_or_a_file_is_refused(recipe):
    Path("mine").mkdir()
    Path("mine/thesis.tex").write_text("precious")
    for path in (Path("mine"), Path("mine/thesis.tex")):
        with pytest.raises(RunError, match="Choose another --out"):
            runs.create_run(recipe, path, versions={})
    assert [path.name for path in Path("mine").iterdir()] == ["thesis.tex"]


def test_an_empty_output_folder_is_used(recipe):
    Path("empty").mkdir()
    assert runs.create_run(recipe, Path("empty"), versions={}).recipe() == recipe


def test_an_output_folder_below_a_file_is_one_line(recipe):
    Path("file").write_text("")
    with pytest.raises(MstlEdgeError, match="an output folder that can be written"):
        runs.create_run(recipe, Path("file/run"), versions={})


def test_what_is_no_run_is_not_opened(recipe):
    Path("folder").mkdir()
    for path in (Path("folder"), Path("absent")):
        with pytest.raises(RunError, match=f"a run folder. Received: {path}. See 'mstl-edge runs list'"):
            runs.open_run(path)


@pytest.mark.parametrize("content", ["{", "[]", '"text"', "\x00"])
def test_a_damaged_run_file_is_one_line(recipe, content):
    run = runs.create_run(recipe, Path("run"), versions={})
    (run.path / "run.json").write_text(content)
    with pytest.raises(RunError, match="Received: run") as caught:
        runs.open_run(run.path)
    assert "\n" not in str(caught.value)


def test_a_run_of_another_version_says_how_to_repeat_it(recipe):
    run = runs.create_run(recipe, Path("run"), versions={})
    (run.path / "run.json").write_text('{"schema": "mstl-edge/run/99"}')
    with pytest.raises(
        RunError, match=r"run/1\). Received: run \(mstl-edge/run/99\). .* mstl-edge train run/recipe.toml"
    ):
        runs.open_run(run.path)


def test_the_latest_run_is_the_default_and_none_says_what_to_type(recipe):
    with pytest.raises(RunError, match="Make one first: mstl-edge train"):
        runs.open_run(None)
    made = [runs.create_run(recipe, Path("runs") / name, versions={}) for name in ("b", "a", "c")]
    for age, run in enumerate(made):
        os.utime(run.path / "run.json", ns=(age, age))
    assert runs.list_runs() == [Path("runs/b"), Path("runs/a"), Path("runs/c")]
    assert runs.open_run(None).path == Path("runs/c")


def test_only_runs_are_removed(recipe):
    run = runs.create_run(recipe, Path("run"), versions={})
    assert runs.size_bytes(run.path) > 0
    runs.remove_run(run.path)
    assert not run.path.exists()
    Path("mine").mkdir()
    with pytest.raises(RunError):
        runs.remove_run(Path("mine"))
    assert Path("mine").is_dir()
