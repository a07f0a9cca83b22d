"""A commented recipe is read back as the recipe that it was written from, whatever stands in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mstl_edge.recipe import Recipe, load_recipe, recipe_keys, resolve, to_commented_toml
from mstl_edge_models import recipes


def read_back(text: str, folder: Path) -> Recipe:
    path = folder / "commented.toml"
    path.write_text(text, encoding="utf-8")
    return load_recipe(path)


@pytest.mark.parametrize("name", recipes.names())
def test_a_built_in_recipe_is_read_back_with_every_key_explained(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    text = to_commented_toml(recipe)
    assert read_back(text, tmp_path) == recipe
    lines = text.splitlines()
    assert not [line for line in lines if line.startswith("#") and len(line) > 100]
    told = " ".join(line.removeprefix("# ") for line in lines)
    for key in recipe_keys():
        default = "no default" if key.required else f"default {key.default_text}"
        stages = len(recipe.stages) if key.path.startswith("stages.") else 1
        assert told.count(f"{key.meaning} ({key.range}; {default})") >= stages, key.path


def test_reasons_and_preface_stand_where_they_belong(tmp_path: Path) -> None:
    recipe = load_recipe("phantom")
    reasons = {
        "stages.target.epochs": "200 images are few:\n15 epochs pass over each as often as views do.",
        "stages.bridge.augment.views": "drawn images vary.",
        "backbone.variant": "0.2 million parameters.",
    }
    text = to_commented_toml(recipe, reasons, ["Written by mstl-edge new.", "Saw 200 images of 2 classes."])
    assert read_back(text, tmp_path) == recipe
    assert text.startswith("# Written by mstl-edge new.\n#\n# Saw 200 images of 2 classes.\n\n# Name of the recipe")
    target = text.partition('name = "target"')[2]
    assert "# Why: 200 images are few: 15 epochs pass over each as often as views do.\nepochs = 15\n" in target
    assert "# Why: drawn images vary.\nviews = 4\n" in text
    assert '# Why: 0.2 million parameters.\nvariant = "0.25"\n' in text
    assert text.count("# Why: ") == 3


def test_a_reason_for_a_key_that_is_not_there_is_no_silent_loss() -> None:
    with pytest.raises(ValueError, match=r"does not have: stages\.taget\.epochs$"):
        to_commented_toml(load_recipe("phantom"), {"stages.taget.epochs": "few images"})


def test_a_list_stays_on_its_line() -> None:
    recipe = load_recipe("phantom", overrides=["preprocess.window=[-100, 300.5]"])
    assert "\nwindow = [-100.0, 300.5]\n" in to_commented_toml(recipe)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@settings(deadline=None)
@given(
    texts=st.fixed_dictionaries({"description": TEXT}),
    stage=st.fixed_dictionaries({"data": TEXT, "positive": TEXT, "epochs": st.integers(1, 10**9)}),
    names=st.lists(
        st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}", fullmatch=True), min_size=1, max_size=3, unique=True
    ),
    rate=st.floats(min_value=0.0, exclude_min=True, allow_infinity=False),
    said=TEXT,
)
def test_any_text_and_number_survives(
    texts: dict[str, Any], stage: dict[str, Any], names: list[str], rate: float, said: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    stages = [{**stage, "name": name, "unfreeze_from": "conv_dw_12", "learning_rate": rate} for name in names]
    recipe = resolve({"name": "any", "stages": stages, **texts})
    text = to_commented_toml(recipe, {"seed": said} if said else {}, [said])
    assert read_back(text, tmp_path_factory.mktemp("any")) == recipe
