"""Where data lies: absolute in a run's recipe, found again where it has moved, proven by the manifest's hashes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mstl_edge import runs
from mstl_edge.artifact import without_paths
from mstl_edge.data.scan import scan_source
from mstl_edge.data.sources import open_source
from mstl_edge.data.splits import split_source
from mstl_edge.errors import DataError, MstlEdgeError, RecipeError, RunError
from mstl_edge.recipe import Recipe, resolve, to_tree, with_absolute_paths
from mstl_edge_bench.scoring.images import moved_data
from mstl_edge_bench.scoring.images import test_split_of as split_for_testing


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def recipe_for(*sources: str, weights: str = "bundled") -> Recipe:
    names = ("bridge", "target")[-len(sources) :]
    stages = [
        {"name": name, "data": source, "unfreeze_from": "conv_dw_13"}
        for name, source in zip(names, sources, strict=True)
    ]
    return resolve({"name": "tiny", "stages": stages, "backbone": {"alpha": 0.25, "weights": weights}})


@pytest.fixture
def run(draw_classes: Callable[..., Path]) -> runs.RunFolder:
    """A run whose only stage was dealt from the folder `d`."""
    draw_classes(Path("d"))
    recipe = with_absolute_paths(recipe_for("d"))
    stage = recipe.stages[0]
    source = open_source(stage.data)
    manifest = split_source(source, scan_source(source, recipe.preprocess), stage.split, seed=0)
    return runs.create_run(recipe_for("d"), Path("r"), versions={}, manifests={"target": manifest})


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("d", "{here}/d"),
        ("./sub/../d", "{here}/d"),
        ("~/d", "{here}/home/d"),
        ("/data/x", "/data/x"),
        ("phantom:chest?count=40", "phantom:chest?count=40"),
        ("kaggle:owner/name", "kaggle:owner/name"),
    ],
)
def test_a_run_keeps_its_data_as_a_path_that_holds_from_every_folder(typed, kept, tmp_path):
    (tmp_path / "sub").mkdir()
    run = runs.create_run(recipe_for("phantom:chest", typed), Path("r"), versions={})
    assert [stage.data for stage in run.recipe().stages] == ["phantom:chest", kept.format(here=tmp_path)]


def test_a_file_of_first_weights_is_kept_as_an_absolute_path_too(tmp_path):
    assert with_absolute_paths(recipe_for("d", weights="my.h5")).backbone.weights == str(tmp_path / "my.h5")
    assert with_absolute_paths(recipe_for("d", weights="imagenet")).backbone.weights == "imagenet"


def test_a_card_holds_none_of_these_paths(tmp_path):
    whole = with_absolute_paths(recipe_for("d", "kaggle:owner/name", weights="my.h5"))
    card = json.dumps(without_paths(to_tree(whole)))
    assert "kaggle:owner/name" in card
    assert str(tmp_path) not in card
    assert "my.h5" not in card


def test_the_home_folder_of_nobody_and_a_path_that_no_recipe_can_hold_are_one_line():
    with pytest.raises(MstlEdgeError, match=r"~nobody9 is the home folder of somebody.* Received: ~nobody9/x"):
        with_absolute_paths(recipe_for("~nobody9/x"))
    with pytest.raises(RecipeError, match="a path in UTF-8"):
        with_absolute_paths(recipe_for("scan\udce9"))


def test_data_that_has_moved_is_found_again_once_hashes_prove_it(run, monkeypatch, tmp_path):
    shutil.move("d", "elsewhere")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir("sub")
    again = runs.open_run(Path("../r"))
    runs.relocate_run(again, {"target": "../elsewhere"})
    assert again.recipe().stages[0].data == str(tmp_path / "elsewhere")
    assert f'data = "{tmp_path / "d"}"' in again.recipe_file.read_text()
    assert len(split_for_testing(again).images) == 4


@pytest.mark.parametrize("change", ["changed", "absent"])
def test_another_data_set_is_one_line_that_names_the_first_file_that_differs(run, draw_classes, change):
    draw_classes(Path("other"))
    second = Path("other/cat/cat01.png")
    if change == "absent":
        second.unlink()
    else:
        shutil.copy("other/dog/dog00.png", second)
    with pytest.raises(DataError) as caught:
        runs.relocate_run(run, {"target": "other"})
    what = {"changed": "with other content", "absent": "which is not there"}[change]
    assert f"Received: cat/cat01.png, {what}." in str(caught.value)
    assert "--data target=PATH" in str(caught.value)
    assert not run.places_file.exists()


def test_a_stage_that_the_run_lacks_is_one_line(run):
    with pytest.raises(RecipeError, match=r"Received: taget. Did you mean target\?"):
        runs.relocate_run(run, {"taget": "d"})


def test_further_files_beside_the_same_ones_do_not_matter(run, draw_classes, picture):
    draw_classes(Path("more"))
    picture(Path("more/cat/new.png"), 3)
    runs.relocate_run(run, {"target": "more"})
    assert run.recipe().stages[0].data.endswith("/more")


@pytest.mark.parametrize("content", ["{", "[]", '{"target": 1}'])
def test_a_damaged_list_of_places_is_one_line(run, content):
    run.places_file.write_text(content)
    with pytest.raises(RunError, match=r"Received: r/data.json. Delete it"):
        run.recipe()


def test_a_bench_finds_the_test_split_where_it_is_named_and_leaves_the_run_as_it_is(run):
    shutil.move("d", "elsewhere")
    assert moved_data(run, "target=elsewhere") == "elsewhere"
    assert moved_data(run, "elsewhere") is None
    assert moved_data(run, "bridge=elsewhere") is None
    assert moved_data(None, "target=elsewhere") is None
    images = split_for_testing(run, "elsewhere").images
    assert images
    assert all(image.path.is_file() for image in images)
    assert not run.places_file.exists()
    shutil.copy("elsewhere/dog/dog00.png", images[0].path)
    with pytest.raises(DataError, match="with other content"):
        split_for_testing(run, "elsewhere")
