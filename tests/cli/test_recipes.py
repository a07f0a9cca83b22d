"""`mstl-edge recipes`: what is built in, as a table, as JSON, and as TOML to start from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mstl_edge.recipe import load_recipe
from mstl_edge_models import recipes


def test_all_built_in_recipes_are_listed_with_what_they_are(mstl_edge):
    ended = mstl_edge("recipes", "list")
    assert ended.exit_code == 0
    for name in recipes.names():
        assert name in ended.stdout
    listed = json.loads(mstl_edge("recipes", "list", "--json").stdout)
    assert [recipe["name"] for recipe in listed] == recipes.names()
    assert all(recipe["description"] for recipe in listed)


@pytest.mark.parametrize("name", recipes.names())
def test_a_shown_recipe_can_be_saved_and_used(mstl_edge, tmp_path: Path, name):
    (tmp_path / "mine.toml").write_text(mstl_edge("recipes", "show", name).stdout)
    assert load_recipe(tmp_path / "mine.toml") == load_recipe(name)
    assert json.loads(mstl_edge("recipes", "show", name, "--json").stdout)["name"] == name


def test_an_unknown_recipe_is_one_line_and_exit_1(mstl_edge):
    ended = mstl_edge("recipes", "show", "phantim")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr.startswith("mstl-edge: expected a built-in recipe")
    assert ended.stderr.endswith("Received: phantim. Did you mean phantom?\n")
    assert ended.stderr.count("\n") == 1
