from __future__ import annotations

import pytest

from mstl_edge.errors import RecipeError
from mstl_edge.planning import which_door
from mstl_edge.planning.naming import name_after
from mstl_edge_models import recipes


@pytest.mark.parametrize("name", recipes.names())
def test_every_built_in_recipe_is_a_recipe(name):
    assert which_door(name) == "recipe"


@pytest.mark.parametrize("source", ["phantom:head-ct", "kaggle:owner/name", "kaggle:"])
def test_sources_with_a_prefix_are_data(source):
    assert which_door(source) == "data"


def test_what_lies_on_disk_is_told_by_what_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans").mkdir()
    (tmp_path / "labels.csv").write_text("image,label\n")
    (tmp_path / "mine.toml").write_text("")
    assert [which_door(word) for word in ("scans", "./scans/", "labels.csv", "mine.toml", "gone.toml")] == [
        "data", "data", "data", "recipe", "recipe",
    ]  # fmt: skip


def test_a_name_of_both_is_refused_and_both_ways_out_are_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "phantom").mkdir()
    with pytest.raises(RecipeError) as refused:
        which_door("phantom", "train")
    assert str(refused.value) == (
        "expected a recipe or data, and not one name of both. Received: phantom, which is a built-in recipe and a folder here. "
        "For what lies here: mstl-edge train ./phantom; for the recipe, type it in another folder."
    )
    assert which_door("./phantom") == "data"


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("phantm", "Did you mean phantom?"),
        ("scnas", "Did you mean scans?"),
        ("./scnas", "Did you mean scans?"),
        ("nothing like it", "Built-in recipes: mstl-edge recipes list; data to try: phantom:head-ct"),
        ("\0", "Built-in recipes"),
    ],
)
def test_a_name_of_neither_is_refused_with_what_comes_nearest(tmp_path, monkeypatch, word, hint):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans").mkdir()
    with pytest.raises(RecipeError, match=r"^expected a folder of images, a CSV of labels") as refused:
        which_door(word)
    assert hint in str(refused.value)


def test_a_file_where_a_folder_is_meant_and_a_run_folder_are_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.png").write_bytes(b"\x89PNG")
    with pytest.raises(RecipeError, match=r"Received: the file one\.png\. Images go into a folder for each class"):
        which_door("one.png")
    (tmp_path / "old run").mkdir()
    for name in ("run.json", "recipe.toml"):
        (tmp_path / "old run" / name).write_text("")
    with pytest.raises(
        RecipeError, match=r"which is a run folder\. To go on with it: mstl-edge run --resume 'old run'"
    ):
        which_door("old run")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("/data/scans", "scans"),
        ("/data/scans/", "scans"),
        ("/data/scans.v2", "scans.v2"),
        ("/data/scans/labels.csv", "scans"),
        ("/data/scans/images", "scans"),
        ("/data/study 7 (Köln)", "study-7-Koln"),
        ("/x/ham10000.csv", "ham10000"),
        ("kaggle:felipekitamura/head-ct-hemorrhage", "head-ct-hemorrhage"),
        ("phantom:head-ct?count=9&seed=2", "phantom-head-ct"),
        ("/", "images"),
        ("/data/日本語", "images"),
        ("/" + "a" * 200, "a" * 60),
    ],
)
def test_a_run_is_named_after_its_data(source, name):
    assert name_after(source) == name
