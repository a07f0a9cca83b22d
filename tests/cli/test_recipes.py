"""`mstl-edge recipes`: what is built in, as a table, as JSON, and as TOML to start from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mstl_edge.recipe import load_recipe, recipe_keys
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


def test_every_key_is_explained_within_80_columns_and_nothing_is_cut(mstl_edge):
    ended = mstl_edge("recipes", "keys")
    assert ended.exit_code == 0
    lines = ended.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    words = " ".join(ended.stdout.split())
    for key in recipe_keys():
        assert any(line.startswith(f"{key.path} ") for line in lines)
        for told in (key.default_text, key.range, key.meaning):
            assert told in words


def test_keys_of_a_pattern_are_shown_with_default_range_and_meaning(mstl_edge):
    assert mstl_edge("recipes", "keys", "lr").stdout == (
        "key                        default  range\n"
        "stages.NAME.learning_rate  0.0001   above 0\n"
        "    Learning rate of the first step.\n"
        "quantize.learning_rate     3e-05    above 0\n"
        "    Learning rate of quantization-aware fine-tuning.\n"
    )


def test_keys_are_json_of_a_schema(mstl_edge):
    tree = json.loads(mstl_edge("recipes", "keys", "optimizer", "--json").stdout)
    assert tree == {
        "schema": "mstl-edge/keys/1",
        "keys": [
            {
                "path": "stages.NAME.optimizer",
                "kind": "choice",
                "choices": ["adam", "sgd"],
                "required": False,
                "default": "adam",
                "range": "adam or sgd",
                "meaning": "Optimizer; sgd has a momentum of 0.9.",
            }
        ],
    }


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [("epohcs", "Did you mean stages.NAME.epochs (or quantize.epochs)?"), ("zzz", "See 'mstl-edge recipes keys'.")],
)
def test_a_pattern_that_finds_no_key_is_one_line_with_the_nearest(mstl_edge, pattern, hint):
    ended = mstl_edge("recipes", "keys", pattern)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr == f"mstl-edge: expected a part of a key or of its meaning. Received: {pattern}. {hint}\n"
