"""`mstl-edge runs`: run folders, what they weigh, and how they go."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import msgspec
import pytest

from mstl_edge import runs
from mstl_edge.recipe import load_recipe, to_toml

DRAWN = Path(__file__).parents[1] / "data" / "report" / "run"


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
    assert "2 of 2" in table


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


@pytest.fixture
def scored_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished and exported run, as other tests report it."""
    monkeypatch.chdir(tmp_path)
    path = Path(shutil.copytree(DRAWN, tmp_path / "runs" / "mine"))
    (path / "exports" / "phantom-int8.tflite").write_bytes(b"0" * 312_000)
    facts = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps({**facts, "made": "2026-03-04T05:06:07+01:00"}))
    return path


def test_a_run_is_shown_at_a_glance(mstl_edge, scored_run):
    ended = mstl_edge("runs", "show")
    assert ended.exit_code == 0
    size = sum(file.stat().st_size for file in scored_run.rglob("*") if file.is_file()) / 1e6
    assert ended.stdout.splitlines() == [
        "run     runs/mine (latest)",
        f"made    2026-03-04 05:06, finished, {size:.1f} MB",
        "recipe  phantom: mobilenet_v1 0.25, 96 pixels, seed 0",
        "stage   bridge: accuracy 79.2 % (66 to 88), n = 48",
        "        data phantom:chest",
        "stage   target: accuracy 75.0 % (60 to 86), n = 40",
        "        data phantom:head-ct",
        "export  int8-qat; test accuracy 77.5 % (62 to 88), n = 40",
        "        undecided: int8 costs at most 6.2 points of accuracy and labels at least",
        "        93.0 % of images as float does (95 %), on 80 images of the kind it is",
        "        for",
        "model   runs/mine/exports/phantom-int8.tflite (312 kB)",
        "files   recipe.toml, metrics.json, 1 model in exports/",
        "next    mstl-edge bench runs/mine",
    ]


def test_a_shown_run_is_json_of_a_schema(mstl_edge, scored_run):
    tree = json.loads(mstl_edge("runs", "show", "runs/mine", "--json").stdout)
    assert tree["schema"] == "mstl-edge/run-summary/1"
    assert (tree["recipe"], tree["made"], tree["finished"]) == ("phantom", "2026-03-04T05:06:07+01:00", True)
    assert [(stage["name"], stage["n"], stage["accuracy"]["value"]) for stage in tree["stages"]] == [
        ("bridge", 48, 0.791667),
        ("target", 40, 0.75),
    ]
    assert (tree["export"]["verdict"], tree["export"]["size_bytes"]) == ("undecided", 312_000)
    assert "exports/phantom-int8.tflite" in tree["files"]
    assert tree["next"] == "mstl-edge bench runs/mine"


def test_the_next_command_follows_what_the_run_has(mstl_edge, scored_run):
    def next_command() -> str:
        return json.loads(mstl_edge("runs", "show", "--json").stdout)["next"]

    (scored_run / "bench.json").write_text("{}")
    assert next_command() == "mstl-edge report runs/mine"
    (scored_run / "report.html").write_text("")
    assert next_command() == "mstl-edge predict runs/mine IMAGE"
    (scored_run / "exports" / "phantom-int8.tflite").unlink()
    assert next_command() == "mstl-edge export runs/mine"
    (scored_run / "metrics.json").unlink()
    assert next_command() == "mstl-edge train --resume runs/mine"


def test_a_long_run_is_shown_in_15_lines_and_keeps_its_next_command(mstl_edge, scored_run):
    export = json.loads((scored_run / "exports" / "export.json").read_text())
    export["gate"]["promise"] = "word " * 400
    (scored_run / "exports" / "export.json").write_text(json.dumps(export))
    stage = load_recipe("phantom").stages[0]
    stages = tuple(msgspec.structs.replace(stage, name=f"stage{number}") for number in range(12))
    (scored_run / "recipe.toml").write_text(to_toml(msgspec.structs.replace(load_recipe("phantom"), stages=stages)))
    lines = mstl_edge("runs", "show").stdout.splitlines()
    assert len(lines) <= 15
    assert max(map(len, lines)) <= 80
    assert lines[-1].startswith("next    mstl-edge ")


def test_a_refused_export_says_so(mstl_edge, scored_run):
    file = scored_run / "exports" / "export.json"
    refused = {"chosen": None, "model": None, "verdict": "refused", "gate": None, "test": None}
    refused["reasons"] = ["agreement 81.0 %, 97 % demanded"]
    file.write_text(json.dumps({**json.loads(file.read_text()), **refused}))
    lines = mstl_edge("runs", "show").stdout.splitlines()
    assert "export  no int8 file" in lines
    assert "        refused: agreement 81.0 %, 97 % demanded" in lines


def test_runs_are_listed_with_date_and_accuracy_of_the_last_stage(mstl_edge, scored_run):
    (entry,) = json.loads(mstl_edge("runs", "list", "--json").stdout)
    assert (entry["recipe"], entry["made"], entry["stage"], entry["n"]) == (
        "phantom", "2026-03-04T05:06:07+01:00", "target", 40,
    )  # fmt: skip
    assert entry["accuracy"] == {"value": 0.75, "low": 0.59806, "high": 0.858129}
    row = next(line for line in mstl_edge("runs", "list").stdout.splitlines() if "runs/mine" in line)
    assert "2026-03-04" in row
    assert "75.0 (60 to 86)" in row


def test_a_run_without_a_date_has_that_of_its_file(mstl_edge, two_runs):
    unfinished, _ = two_runs
    facts = json.loads((unfinished / "run.json").read_text())
    del facts["made"]
    (unfinished / "run.json").write_text(json.dumps(facts))
    os.utime(unfinished / "run.json", (86_400 * 365.25, 86_400 * 365.25))
    listed = {entry["run"]: entry for entry in json.loads(mstl_edge("runs", "list", "--json").stdout)}
    assert listed["runs/begun"]["made"].startswith(("1970-12-31", "1971-01-01"))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("run.json", '{"schema": "mstl-edge/run/0", "recipe": "older"}'),
        ("run.json", "{"),
        ("recipe.toml", "gone = 1"),
        ("metrics.json", "{}"),
        ("exports/export.json", "{}"),
    ],
)
def test_old_and_damaged_runs_are_listed_beside_the_others(mstl_edge, scored_run, file, content):
    shutil.copytree(scored_run, scored_run.with_name("older"))
    (scored_run.with_name("older") / file).write_text(content)
    ended = mstl_edge("runs", "list", "--json")
    assert ended.exit_code == 0
    assert {entry["run"] for entry in json.loads(ended.stdout)} == {"runs/mine", "runs/older"}


def test_what_is_no_run_is_not_shown(mstl_edge, tmp_path):
    ended = mstl_edge("runs", "show", tmp_path)
    assert ended.exit_code == 1
    assert "expected a run folder. Received: " in ended.stderr
