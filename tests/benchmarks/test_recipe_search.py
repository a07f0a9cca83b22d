"""The search around a recipe: its arms exist, and it runs."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from mstl_edge.recipe import load_recipe, resolve, to_tree

SEARCHED = ("ct-hemorrhage", "ct-hemorrhage-best", "ct-hemorrhage-lite")


@pytest.fixture(scope="module")
def search() -> ModuleType:
    return importlib.import_module("experiments.recipe_search.measure")


@pytest.mark.parametrize("name", SEARCHED)
def test_every_arm_of_a_search_is_a_recipe_that_changes_something(search: ModuleType, name: str) -> None:
    arms = search.recipes_by_arm(name, target="./ct", chest="./chest", patient=r"^(\d+)_", weights="w.h5")
    whole = arms[search.AS_IT_IS]
    assert next(iter(arms)) == search.AS_IT_IS
    assert whole.stages[-1] == load_recipe(name, data={"target": "./ct"}).stages[-1]
    for arm, recipe in arms.items():
        assert resolve(to_tree(recipe)) == recipe
        assert recipe.backbone.weights == "w.h5"
        assert recipe.stages[-1].data == "./ct"
        assert (recipe == whole) == (arm == search.AS_IT_IS)
    assert {
        "average-of-epochs",
        "mixup-0.2",
        "chest-then-drawn",
        "views-8",
    } <= arms.keys()
    assert ("no-bridge" in arms) == (len(whole.stages) > 1)
    assert ("stronger-views" in arms) == (whole.stages[-1].augment.rotate != search.STRONGER["rotate"])
    assert len(arms) <= 24


def test_bridges_of_a_search_know_their_own_patients_and_classes(search: ModuleType) -> None:
    arms = search.recipes_by_arm("ct-hemorrhage", target="./ct", chest="./chest", patient=r"^(\d+)_", weights="w.h5")
    chest, drawn, _ = arms["chest-then-drawn"].stages
    assert (chest.data, chest.positive, chest.split.patient) == ("./chest", "PNEUMONIA", r"^(\d+)_")
    assert (drawn.data.split("?")[0], drawn.positive, drawn.split.patient) == ("phantom:head-ct", "hemorrhage", "")


def test_changes_of_a_search_build_on_each_other(search: ModuleType) -> None:
    together = "no-bridge+views-8+stronger-views+half-the-rate+half-the-rate"
    given = {"target": "./ct", "chest": "./chest", "patient": "", "weights": "w.h5"}
    arms = search.recipes_by_arm("ct-hemorrhage-best", **given, only=[together, "no-bridge"])
    assert list(arms) == [search.AS_IT_IS, together, "no-bridge"]
    (changed,), (alone,) = arms[together].stages, arms["no-bridge"].stages
    assert (changed.augment.views, changed.augment.rotate) == (8, search.STRONGER["rotate"])
    assert changed.learning_rate == alone.learning_rate / 4
    assert (alone.augment.views, alone.unfreeze_from) == (16, changed.unfreeze_from)
    with pytest.raises(SystemExit, match=r"Received: fewer-bridges"):
        search.recipes_by_arm("ct-hemorrhage-best", **given, only=["no-bridge+fewer-bridges"])


def test_a_recipe_with_two_bridges_is_not_searched_around(search: ModuleType, tmp_path: Path) -> None:
    recipe = tmp_path / "two.toml"
    stages = "".join(f'[[stages]]\nname = "{name}"\ndata = "x"\nunfreeze_from = "conv_dw_13"\n' for name in "abc")
    recipe.write_text(f'name = "two"\n{stages}')
    with pytest.raises(SystemExit, match=r"one bridge, or none. Received: 2 stages before c"):
        search.recipes_by_arm(str(recipe), target="./ct", chest="./chest", patient="", weights="w.h5")


@pytest.mark.slow
def test_a_search_runs_compares_with_the_recipe_alone_and_goes_on_in_its_folder_only(
    search: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, draw_classes: Callable[..., Path]
) -> None:
    target = draw_classes(tmp_path / "target", ("healthy", "ill"))
    stage = 'epochs = 1\nbatch_size = 8\nunfreeze_from = "conv_dw_13"\n'
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(
        'name = "tiny"\n[backbone]\nalpha = 0.25\ninput_size = 32\n'
        f'[[stages]]\nname = "drawn"\ndata = "phantom:head-ct?count=40&seed=11"\n{stage}'
        f'[[stages]]\nname = "target"\ndata = "elsewhere"\n{stage}'
    )
    out = tmp_path / "search.json"
    monkeypatch.setenv("MSTL_EDGE_CACHE", str(tmp_path / "cache"))
    command = [
        "recipe_search.py", str(recipe), "--target", str(target), "--chest", "unused", "--weights", "bundled",
        "--folds", "2", "--repeats", "1", "--study", str(tmp_path / "study"), "--out", str(out), "--only",
    ]  # fmt: skip
    monkeypatch.setattr("sys.argv", [*command, "average-of-epochs", "mixup-0.2"])
    search.main()
    tree = json.loads(out.read_text())
    assert [arm["name"] for arm in tree["arms"]] == ["as-it-is", "average-of-epochs", "mixup-0.2"]
    told = [(entry["a"], entry["b"]) for entry in tree["comparisons"]]
    assert told == [("as-it-is/float32", "average-of-epochs/float32"), ("as-it-is/float32", "mixup-0.2/float32")]
    assert "per_fold" not in tree["arms"][0]
    assert len(out.with_name("search-answers.csv").read_text().splitlines()) == 1 + 3 * 20
    search.main()
    assert json.loads(out.read_text()) == tree
    monkeypatch.setattr("sys.argv", [*command, "no-bridge"])
    with pytest.raises(SystemExit, match="the folder of this very search"):
        search.main()
    monkeypatch.setattr("sys.argv", [*command, "mixup-2"])
    with pytest.raises(SystemExit, match=r"expected arms among as-it-is, .* Received: mixup-2"):
        search.main()
