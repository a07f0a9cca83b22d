"""The keys of a recipe: one source for what each takes and means, and no way to add one without a meaning."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest

from mstl_edge.recipe import RecipeKey, find_keys, load_recipe, recipe_keys, to_tree
from mstl_edge.recipe import keys as module
from mstl_edge_models import recipes

KEYS = {key.path: key for key in recipe_keys()}


def leaves(tree: Any, prefix: str = "") -> set[str]:
    """Return the paths of a recipe's values, as keys spell them."""
    if not isinstance(tree, dict):
        return {prefix[:-1]}
    found: set[str] = set()
    for key, value in tree.items():
        inner = value if key == "stages" else [value]
        for one in inner:
            found |= leaves(one, f"{prefix}{key}.{'NAME.' if key == 'stages' else ''}")
    return found


@pytest.mark.parametrize("name", recipes.names())
def test_every_value_of_a_recipe_has_a_key_and_every_key_a_value(name: str) -> None:
    assert leaves(to_tree(load_recipe(name))) == set(KEYS)


@pytest.mark.parametrize("key", recipe_keys(), ids=lambda key: key.path)
def test_every_key_says_what_it_takes_and_means_in_a_sentence(key: RecipeKey) -> None:
    assert key.meaning.endswith(".")
    assert key.meaning[0].isupper() or key.meaning[0].isdigit()
    assert key.range
    assert key.required == (
        key.path in {"name", *(f"stages.NAME.{leaf}" for leaf in ("name", "data", "unfreeze_from"))}
    )


def test_a_field_without_a_meaning_is_refused() -> None:
    class Spec(msgspec.Struct):
        told: Annotated[int, msgspec.Meta(description="Told.")] = 1
        silent: Annotated[int, msgspec.Meta(ge=1)] = 1

    with pytest.raises(TypeError, match=r"^stages\.NAME\.silent has no meaning"):
        list(module._keys_of(Spec, "stages.NAME."))


@pytest.mark.parametrize(
    ("path", "kind", "default", "told", "range_in_words"),
    [
        ("seed", "whole number", 0, "0", "0 or more"),
        ("backbone.variant", "text", "", '""', "a variant that the architecture has, of a MobileNet any width"),
        ("backbone.input_size", "whole number", 224, "224", "32 to 1024"),
        ("preprocess.resize", "choice", "bilinear", "bilinear", "bilinear, bicubic, lanczos or box"),
        (
            "preprocess.window",
            "text or numbers",
            [],
            "[]",
            "auto, brain, subdural, stroke, bone, lung, mediastinum, [low, high] or three names",
        ),
        ("stages.NAME.data", "text", None, "required", "a folder, a CSV, kaggle:owner/name or phantom:KIND"),
        ("stages.NAME.positive", "text", "", '""', "a class"),
        ("stages.NAME.augment.flip", "true or false", True, "true", "true or false"),
        ("stages.NAME.split.test", "number", 0.2, "0.2", "above 0 and below 1"),
        ("stages.NAME.label_smoothing", "number", 0.0, "0.0", "0 to below 1"),
        ("quantize.weight_bits", "whole number", 8, "8", "7 or 8"),
    ],
)
def test_a_key_tells_type_default_and_range(path: str, kind: str, default: Any, told: str, range_in_words: str) -> None:
    key = KEYS[path]
    assert (key.kind, key.default, key.default_text, key.range) == (kind, default, told, range_in_words)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("stages.target.epochs", {"stages.NAME.epochs"}),
        ("quantize.epochs", {"quantize.epochs"}),
        ("*.epochs", {"stages.NAME.epochs", "quantize.epochs"}),
        ("weight_b", {"quantize.weight_bits"}),
        ("Early-Stopping", {"stages.NAME.early_stopping"}),
        ("lr", {"stages.NAME.learning_rate", "quantize.learning_rate"}),
        ("dropout", {"stages.NAME.label_smoothing", "stages.NAME.mixup"}),
        ("momentum", {"stages.NAME.optimizer"}),
        ("nothing of that kind", set()),
    ],
)
def test_keys_are_found_by_path_glob_foreign_word_and_meaning(pattern: str, found: set[str]) -> None:
    assert {key.path for key in find_keys(pattern)} == found


def test_no_pattern_finds_every_key() -> None:
    assert find_keys("") == recipe_keys()


@pytest.mark.parametrize(("word", "ends"), module.SYNONYMS.items())
def test_every_foreign_word_leads_to_keys_that_exist(word: str, ends: tuple[str, ...]) -> None:
    assert word == module._squeezed(word)
    for end in ends:
        assert any(module._ends_with(path, [end]) for path in KEYS), end
