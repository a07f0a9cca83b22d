"""Where a recipe comes from: a built-in name or a TOML file, and what the command line changes in it."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mstl_edge.errors import RecipeError
from mstl_edge.recipe.keys import STAGE, nearest_hint
from mstl_edge.recipe.spec import Recipe
from mstl_edge.recipe.tree import check_keys, did_you_mean, resolve, stage_names, upgraded
from mstl_edge_models import recipes

LAST = "-1"
"""The last stage, in a key of `--set`: no stage can have that name."""


def load_recipe(
    source: str | Path,
    *,
    overrides: Sequence[str] = (),
    data: Mapping[str, str] | None = None,
    weights: str | None = None,
    seed: int | None = None,
    resplit: bool = False,
) -> Recipe:
    """Read a built-in recipe or a TOML file, apply what the command line says, and check it whole.

    Args:
        source: A built-in name, or the path of a TOML file.
        overrides: `a.b=c` each; stages are addressed by name (`stages.bridge.epochs=5`), values are TOML or bare words.
        data: Stage name → data source, as in `--data target=PATH`.
        weights: Replaces `backbone.weights`.
        seed: Replaces `seed`.
        resplit: Deal every stage's images anew, whatever splits the folders declare.

    Raises:
        RecipeError: Unknown recipe, key, stage, backbone or layer, or a value out of range.
    """
    tree = upgraded(_read_tree(source))
    check_keys(tree)
    return changed(tree, overrides=overrides, data=data, weights=weights, seed=seed, resplit=resplit)


def changed(
    tree: dict[str, Any],
    *,
    overrides: Sequence[str] = (),
    data: Mapping[str, str] | None = None,
    weights: str | None = None,
    seed: int | None = None,
    resplit: bool = False,
) -> Recipe:
    """Return the recipe that a tree of plain values and changes to it make, checked whole.

    Args:
        tree: A recipe as TOML gives it; changed in place.
        overrides: See `load_recipe`, as the others.
        data: By stage; the stage `-1` is the last.
        weights: First weights.
        seed: The seed.
        resplit: Deal every stage anew.

    Raises:
        RecipeError: See `load_recipe`.
    """
    for stage_name, stage_data in (data or {}).items():
        _stage(tree, stage_name)["data"] = stage_data
    if weights is not None:
        _table(tree, "backbone")["weights"] = weights
    if seed is not None:
        tree["seed"] = seed
    if resplit:
        for stage in _stages(tree):
            _table(stage, "split")["resplit"] = True
    for override in overrides:
        tree = _override(tree, override)
    return resolve(tree)


def _read_tree(source: str | Path) -> dict[str, Any]:
    path = Path(source)
    if path.suffix != ".toml" and not path.is_file():
        known = recipes.names()
        if str(source) not in known:
            raise RecipeError(
                f"a built-in recipe ({', '.join(known)}) or the path of a TOML file",
                received=source,
                hint=did_you_mean(str(source), known) or "List them with 'mstl-edge recipes list'.",
            )
        return tomllib.loads(recipes.read(str(source)))
    if not path.is_file():
        raise RecipeError(
            "a recipe file that exists", received=path, hint="List the built-in ones: mstl-edge recipes list"
        )
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"a TOML file ({error})", received=path, hint="Start from 'mstl-edge recipes show phantom'."
        ) from error


def _stage(tree: dict[str, Any], name: str) -> dict[str, Any]:
    stages = _stages(tree)
    if name == LAST and stages:
        return stages[-1]
    for number, stage in enumerate(stages):
        if name in (stage.get("name"), str(number)):
            return stage
    names = [str(stage.get("name")) for stage in stages]
    raise RecipeError(
        f"a stage of the recipe ({', '.join(names)})",
        received=name,
        hint=did_you_mean(name, names) or f"For example --data {names[0] if names else 'target'}=PATH.",
    )


def _stages(tree: Mapping[str, Any]) -> list[dict[str, Any]]:
    stages = tree.get("stages", [])
    if not isinstance(stages, list) or not all(isinstance(stage, dict) for stage in stages):
        raise RecipeError(
            "stages as tables ([[stages]])",
            received=f"stages = {stages!r}",
            hint="See 'mstl-edge recipes show phantom'.",
        )
    return stages


def _table(tree: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the table under `key`, made where it is absent."""
    table = tree.setdefault(key, {})
    if not isinstance(table, dict):
        raise RecipeError(f"{key} as a table of the recipe", received=f"{key} = {table!r}")
    return table


def _override(tree: dict[str, Any], override: str) -> dict[str, Any]:
    path, separator, text = override.partition("=")
    if not separator or not path:
        raise RecipeError("--set KEY=VALUE", received=override, hint="For example --set stages.bridge.epochs=5.")
    *parents, leaf = _known_path(tree, path.strip()).split(".")
    node: dict[str, Any] = tree
    walk = iter(parents)
    for parent in walk:
        node = _stage(tree, next(walk)) if parent == "stages" and node is tree else _table(node, parent)
    node[leaf] = _value(text)
    tree = upgraded(tree)
    check_keys(tree)
    return tree


def _known_path(tree: dict[str, Any], path: str) -> str:
    """Return a path whose table and stage exist.

    Raises:
        RecipeError: They do not; what may have been meant is named as it is typed.
    """
    _stages(tree)
    names = stage_names(tree)
    root, *inner = path.split(".")
    if root not in Recipe.__struct_fields__:
        known = ", ".join(Recipe.__struct_fields__)
        raise RecipeError(f"a key of the recipe ({known})", received=path, hint=nearest_hint(path, names))
    if root != "stages" or not inner:
        return path
    stage, *rest = inner
    if stage == LAST and names:
        return ".".join([root, names[-1], *rest])
    if rest and (stage in names or stage in map(str, range(len(names)))):
        return path
    near = difflib.get_close_matches(stage, names, n=1, cutoff=0.5) if rest else []
    raise RecipeError(
        f"a stage of the recipe ({', '.join(names)}) and a key of it, as in stages.{names[-1] if names else STAGE}.epochs",
        received=path,
        hint=f"Did you mean stages.{'.'.join([near[0], *rest])}?" if near else nearest_hint(".".join(inner), names),
    )


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except ValueError:  # TOMLDecodeError is one; so is a number with more digits than Python parses
        return text
