"""A recipe as a tree of plain values, and back: every key known, every value in range, every name found."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from mstl_edge.errors import RecipeError
from mstl_edge.recipe.spec import Recipe, StageSpec
from mstl_edge_models import backbones


def resolve(tree: Mapping[str, Any]) -> Recipe:
    """Turn a tree of plain values into a checked recipe with every default written out.

    Raises:
        RecipeError: See `load_recipe`.
    """
    check_keys(tree, Recipe, "")
    try:
        recipe = msgspec.convert(tree, Recipe)
    except msgspec.ValidationError as error:
        raise RecipeError(
            f"a valid recipe: {str(error).replace('`$.', '`')}", hint="See 'mstl-edge recipes show phantom'."
        ) from error
    return _checked(recipe)


def to_tree(recipe: Recipe) -> dict[str, Any]:
    """Return the resolved recipe as plain values, every default written out."""
    tree: dict[str, Any] = msgspec.to_builtins(recipe)
    return tree


def to_toml(recipe: Recipe) -> str:
    """Return the resolved recipe as TOML that `load_recipe` reads back to the same recipe."""
    import tomli_w  # a training-side package: the device reads recipes from the card, as JSON

    return tomli_w.dumps(to_tree(recipe))


def check_keys(tree: Any, spec: type, where: str) -> None:
    """Refuse unknown keys at any depth, naming the nearest one that exists.

    Raises:
        RecipeError: An unknown key.
    """
    if not isinstance(tree, Mapping):
        return
    fields = {field.name: field.type for field in msgspec.structs.fields(spec)}
    for key, value in tree.items():
        if key not in fields:
            raise RecipeError(
                f"a key of {where or 'the recipe'} ({', '.join(fields)})",
                received=f"{where}.{key}" if where else key,
                hint=did_you_mean(key, list(fields)) or "See 'mstl-edge recipes show phantom'.",
            )
        inner = fields[key]
        if key == "stages" and isinstance(value, Sequence):
            for number, stage in enumerate(value):
                label = stage.get("name", number) if isinstance(stage, Mapping) else number
                check_keys(stage, StageSpec, f"stages.{label}")
        elif isinstance(inner, type) and issubclass(inner, Struct):
            check_keys(value, inner, f"{where}.{key}" if where else key)


def _checked(recipe: Recipe) -> Recipe:
    """Check what types cannot say: names that must exist or be unique, and sums that must fit."""
    backbone = backbones.REGISTRY.get(recipe.backbone.name)
    if backbone is None:
        raise RecipeError(
            f"a backbone ({', '.join(backbones.REGISTRY)})",
            received=f"backbone.name={recipe.backbone.name}",
            hint=did_you_mean(recipe.backbone.name, list(backbones.REGISTRY)),
        )
    if recipe.preprocess.window and not _rising_pair(recipe.preprocess.window):
        raise RecipeError(
            "preprocess.window as [low, high] with low below high", received=list(recipe.preprocess.window)
        )
    names = [stage.name for stage in recipe.stages]
    if len(set(names)) != len(names):
        raise RecipeError("stages with different names", received=", ".join(names))
    for stage in recipe.stages:
        _refuse_unknown_layer(backbone, stage.unfreeze_from, f"stages.{stage.name}.unfreeze_from")
        if stage.split.validation + stage.split.test >= 1:
            raise RecipeError(
                f"validation and test shares of stages.{stage.name}.split that leave something to train on",
                received=f"{stage.split.validation} + {stage.split.test}",
            )
        if stage.select == "average" and stage.early_stopping:
            raise RecipeError(
                f"every epoch of stages.{stage.name} to be trained, since select = average takes the last ones",
                received=f"early_stopping={stage.early_stopping}",
                hint=f"Use --set stages.{stage.name}.early_stopping=0, or select = best.",
            )
    return recipe


def _refuse_unknown_layer(backbone: backbones.Backbone, layer: str, where: str) -> None:
    if layer not in backbone.layers:
        raise RecipeError(
            f"a layer of {backbone.name} in {where} (such as {', '.join(backbone.layers[-4:])})",
            received=layer,
            hint=did_you_mean(layer, list(backbone.layers)),
        )


def _rising_pair(window: tuple[float, ...]) -> bool:
    return len(window) == 2 and window[0] < window[1]


def did_you_mean(received: str, known: Sequence[str]) -> str:
    """Return a hint that names what comes nearest, or an empty one."""
    near = difflib.get_close_matches(received, known, n=1, cutoff=0.5)
    return f"Did you mean {near[0]}?" if near else ""
