"""Where a recipe's data and weights lie: paths that hold from every folder, and data that has moved."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from mstl_edge.errors import RecipeError
from mstl_edge.recipe.spec import Recipe, StageSpec
from mstl_edge.recipe.tree import did_you_mean

REMOTE_SOURCES = ("phantom:", "kaggle:")
"""Data sources that name no place on somebody's machine."""
NAMED_WEIGHTS = ("imagenet", "bundled", "none")
"""Weights that are no file."""


def absolute_source(source: str) -> str:
    """Return a data source whose path holds from every working folder; `phantom:` and `kaggle:` stay as they are.

    Raises:
        MstlEdgeError: It begins with the home folder of nobody, or no recipe can hold it.
    """
    return source if source.startswith(REMOTE_SOURCES) else _absolute(source)


def with_absolute_paths(recipe: Recipe) -> Recipe:
    """Return the recipe with every path resolved against the working folder.

    Raises:
        MstlEdgeError: See `absolute_source`.
    """
    stages = tuple(msgspec.structs.replace(stage, data=absolute_source(stage.data)) for stage in recipe.stages)
    weights = recipe.backbone.weights
    backbone = recipe.backbone
    if weights not in NAMED_WEIGHTS:
        backbone = msgspec.structs.replace(backbone, weights=_absolute(weights))
    return msgspec.structs.replace(recipe, stages=stages, backbone=backbone)


def with_data(recipe: Recipe, moved: Mapping[str, str]) -> Recipe:
    """Return the recipe with other places for the data of the stages in `moved`; stages that it lacks are passed over."""
    stages = (msgspec.structs.replace(one, data=moved.get(one.name, one.data)) for one in recipe.stages)
    return msgspec.structs.replace(recipe, stages=tuple(stages))


def with_reading_of(recipe: Recipe, other: Recipe) -> Recipe:
    """Return the recipe with its last stage's data read as another recipe's last stage reads them: classes, labels and splits."""
    last = other.stages[-1]
    stage = msgspec.structs.replace(recipe.stages[-1], positive=last.positive, split=last.split, labels=last.labels)
    return msgspec.structs.replace(recipe, stages=(*recipe.stages[:-1], stage), preprocess=other.preprocess)


def stage_named(recipe: Recipe, name: str) -> StageSpec:
    """Return a stage by its name.

    Raises:
        RecipeError: There is none of that name.
    """
    names = [stage.name for stage in recipe.stages]
    if name not in names:
        raise RecipeError(
            f"a stage of the recipe ({', '.join(names)})",
            received=name,
            hint=did_you_mean(name, names) or f"For example --data {names[-1]}=PATH.",
        )
    return recipe.stages[names.index(name)]


def _absolute(path: str) -> str:
    from mstl_edge.storage import expanded  # and with it NumPy, which reading and explaining recipes does without

    whole = expanded(path)
    try:
        whole = whole.resolve()
    except (OSError, RuntimeError):  # a loop of links: whoever opens it says so
        whole = whole.absolute()
    try:
        str(whole).encode("utf-8")
    except UnicodeEncodeError as error:
        raise RecipeError(
            "a path in UTF-8, as recipes are written", received=whole, hint="Rename that folder."
        ) from error
    return str(whole)
