"""The tables of docs/recipe.md, made from the specs of a recipe."""

from __future__ import annotations

from collections.abc import Callable

from mstl_edge.recipe import RecipeKey, recipe_keys
from mstl_edge.recipe.keys import STAGE
from rendered.markdown import table

_STAGE = f"stages.{STAGE}"
GROUPS = {
    "recipe": "",
    "backbone": "backbone",
    "preprocess": "preprocess",
    "stage": _STAGE,
    "augment": f"{_STAGE}.augment",
    "split": f"{_STAGE}.split",
    "labels": f"{_STAGE}.labels",
    "quantize": "quantize",
}
"""What a table is called, and the table of the recipe whose keys it explains."""


def tables() -> dict[str, Callable[[], str]]:
    """Return what draws each table, by its mark."""
    return {f"keys-{name}": lambda inside=inside: _keys(inside) for name, inside in GROUPS.items()}  # type: ignore[misc]


def _keys(inside: str) -> str:
    rows = [_row(key) for key in recipe_keys() if key.path.rpartition(".")[0] == inside]
    return table(["key", "default", "range", "meaning"], rows)


def _row(key: RecipeKey) -> tuple[str, ...]:
    default = key.default_text if key.required else f"`{key.default_text}`"
    return f"`{key.path}`", default, key.range, key.meaning.replace("|", "\\|")
