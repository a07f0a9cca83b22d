"""A recipe as a tree of plain values, and back: every key known, every value in range, every name found."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from mstl_edge.errors import RecipeError, typed
from mstl_edge.recipe.keys import RecipeKey, key_at, nearest_hint
from mstl_edge.recipe.spec import Recipe, StageSpec
from mstl_edge.recipe.windows import windows_of
from mstl_edge_models import backbones


def resolve(tree: Mapping[str, Any]) -> Recipe:
    """Turn a tree of plain values into a checked recipe with every default written out.

    Raises:
        RecipeError: See `load_recipe`.
    """
    tree = upgraded(tree)
    check_keys(tree)
    try:
        recipe = msgspec.convert(tree, Recipe)
    except msgspec.ValidationError as error:
        raise _invalid(tree, str(error)) from error
    return _checked(recipe)


def upgraded(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tree with what older recipes spelled otherwise spelled as today: `alpha = 0.25` is the variant `"0.25"`."""
    backbone = tree.get("backbone")
    if not isinstance(backbone, Mapping) or not backbone.keys() & {"alpha", "variant"}:
        return dict(tree)
    variant = backbone.get("alpha", backbone.get("variant"))
    number = isinstance(variant, int | float) and not isinstance(variant, bool)
    others = {key: value for key, value in backbone.items() if key != "alpha"}
    return {**tree, "backbone": {**others, "variant": str(variant) if number else variant}}


def to_tree(recipe: Recipe) -> dict[str, Any]:
    """Return the resolved recipe as plain values, every default written out."""
    tree: dict[str, Any] = msgspec.to_builtins(recipe)
    return tree


def to_toml(recipe: Recipe) -> str:
    """Return the resolved recipe as TOML that `load_recipe` reads back to the same recipe."""
    import tomli_w  # a training-side package: the device reads recipes from the card, as JSON

    return tomli_w.dumps(to_tree(recipe))


def check_keys(tree: Any) -> None:
    """Refuse unknown keys at any depth, naming what may have been meant, as it is typed.

    Raises:
        RecipeError: An unknown key.
    """
    _check_table(tree, Recipe, "", stage_names(tree))


def stage_names(tree: Any) -> list[str]:
    """Return how `--set` addresses the stages of a tree: by name, or by number where that is none or holds a dot."""
    stages = tree.get("stages", ()) if isinstance(tree, Mapping) else ()
    return [_stage_name(stages, number) for number in range(len(stages))] if isinstance(stages, list | tuple) else []


def _stage_name(stages: Sequence[Any], number: int) -> str:
    stage = stages[number]
    named = stage.get("name") if isinstance(stage, Mapping) else None
    return named if isinstance(named, str) and "." not in named else str(number)


def _check_table(tree: Any, spec: type[Struct], where: str, stages: Sequence[str]) -> None:
    if not isinstance(tree, Mapping):
        return
    fields = {field.name: field.type for field in msgspec.structs.fields(spec)}
    for key, value in tree.items():
        path = f"{where}.{key}" if where else str(key)
        if key not in fields:
            known = ", ".join(fields)
            raise RecipeError(
                f"a key of {where or 'the recipe'} ({known})", received=path, hint=nearest_hint(path, stages)
            )
        inner = getattr(fields[key], "__origin__", fields[key])  # without its meaning
        if key == "stages" and isinstance(value, list | tuple):
            for name, stage in zip(stages, value, strict=True):
                _check_table(stage, StageSpec, f"stages.{name}", stages)
        elif isinstance(inner, type) and issubclass(inner, Struct):
            _check_table(value, inner, path, stages)


_AT = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<where>.*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<field>\w+)`")


def _invalid(tree: Mapping[str, Any], problem: str) -> RecipeError:
    """Return what msgspec found wrong, with the key spelled as it is typed and the value that it has."""
    found = _AT.fullmatch(problem)
    assert found is not None
    steps = re.findall(r"\w+", found["where"] or "")
    if missing := _MISSING.fullmatch(found["what"]):
        path = _typed_path(tree, [*steps, missing["field"]])
        key = key_at(path)
        takes = f": {key.range}" if key else ""
        return RecipeError(
            f"a value for {path}, which has no default{takes}", hint=f"Add it to the recipe, or use --set {path}=VALUE."
        )
    path, value = _typed_path(tree, steps), _value_at(tree, steps)
    key = key_at(path)
    if key is None:  # a table, or the list of stages
        kind = "tables ([[stages]]), one at least" if path == "stages" else "a table"
        return RecipeError(f"{path} as {kind}", received=_told(value), hint="See 'mstl-edge recipes show phantom'.")
    return RecipeError(f"{path} as {key.expected}", received=_told(value), hint=_remedy(key, path, value))


def _typed_path(tree: Mapping[str, Any], steps: Sequence[str]) -> str:
    """Return a path as `--set` takes it: `stages`, `0`, `epochs` become `stages.bridge.epochs`; a place in a list is its key."""
    names = stage_names(tree)
    told = [names[int(step)] if after == "stages" else step for after, step in zip(["", *steps], steps, strict=False)]
    path = ".".join(told)
    return path.rpartition(".")[0] if key_at(path) is None and key_at(path.rpartition(".")[0]) else path


def _value_at(tree: Any, steps: Sequence[str]) -> Any:
    for step in steps:
        if isinstance(tree, Mapping) and step in tree:
            tree = tree[step]
        elif isinstance(tree, list | tuple) and step.isdigit() and int(step) < len(tree):
            tree = tree[int(step)]
    return tree


def _told(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _remedy(key: RecipeKey, path: str, value: Any) -> str:
    if key.kind == "text" and isinstance(value, int | float):
        quoted = f'{path}="{_told(value)}"'
        return f"Write text in quotes: {typed('--set', quoted)}"
    near = did_you_mean(value.lower(), key.choices) if isinstance(value, str) else ""
    return near or f"See 'mstl-edge recipes keys {key.path}'."


def _checked(recipe: Recipe) -> Recipe:
    """Check what types cannot say: names that must exist or be unique, and sums that must fit."""
    backbone = backbones.REGISTRY.get(recipe.backbone.name)
    if backbone is None:
        raise RecipeError(
            f"a backbone ({', '.join(backbones.REGISTRY)})",
            received=f"backbone.name={recipe.backbone.name}",
            hint=did_you_mean(recipe.backbone.name, list(backbones.REGISTRY)),
        )
    recipe = _with_variant(recipe, backbone)
    if recipe.backbone.input_size < backbone.smallest:
        raise RecipeError(
            f"backbone.input_size of {backbone.smallest} or more for {backbone.name}",
            received=recipe.backbone.input_size,
            hint=f"Use --size {backbone.smallest}, or another backbone.",
        )
    windows_of(recipe.preprocess.window)
    names = [stage.name for stage in recipe.stages]
    if len(set(names)) != len(names):
        raise RecipeError("stages with different names", received=", ".join(names))
    for stage in recipe.stages:
        _refuse_unknown_cut(backbone, recipe.backbone.variant, stage)
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


def _with_variant(recipe: Recipe, backbone: backbones.Backbone) -> Recipe:
    """Return a recipe with the variant of its backbone spelled as the backbone does."""
    asked = recipe.backbone.variant or backbone.default
    variant = backbone.variant(asked)
    if variant is None:
        raise RecipeError(
            f"a variant of {backbone.name} ({', '.join(backbone.variants)})",
            received=f"backbone.variant={asked}",
            hint=did_you_mean(asked, list(backbone.variants)) or f"For example {backbone.default}.",
        )
    return msgspec.structs.replace(recipe, backbone=msgspec.structs.replace(recipe.backbone, variant=variant))


def _refuse_unknown_cut(backbone: backbones.Backbone, variant: str, stage: StageSpec) -> None:
    known = backbone.cut_names(variant)
    if stage.unfreeze_from not in known:
        raise RecipeError(
            f"a cut point of {backbone.name} in stages.{stage.name}.unfreeze_from (such as {', '.join(known[-4:])})",
            received=stage.unfreeze_from,
            hint=did_you_mean(stage.unfreeze_from, list(known))
            or f"For example --set stages.{stage.name}.unfreeze_from={known[len(known) // 2]}",
        )


def did_you_mean(received: str, known: Sequence[str]) -> str:
    """Return a hint that names what comes nearest, or an empty one."""
    near = difflib.get_close_matches(received, known, n=1, cutoff=0.5)
    return f"Did you mean {near[0]}?" if near else ""
