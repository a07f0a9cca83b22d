"""The recipe: everything that decides a result, as frozen data that TOML can say.

A recipe names a backbone, how an image becomes an array, any number of training stages, and how to quantize. The
resolved recipe (every default written out) is saved with a run and travels inside the exported model.
"""

from mstl_edge.recipe.commented import to_commented_toml
from mstl_edge.recipe.keys import RecipeKey, find_keys, recipe_keys
from mstl_edge.recipe.places import (
    NAMED_WEIGHTS,
    REMOTE_SOURCES,
    absolute_source,
    stage_named,
    with_absolute_paths,
    with_data,
    with_reading_of,
)
from mstl_edge.recipe.source import LAST, changed, load_recipe
from mstl_edge.recipe.spec import (
    AugmentSpec,
    BackboneSpec,
    FeaturePrecision,
    LabelsSpec,
    PreprocessSpec,
    QuantizeSpec,
    Recipe,
    SplitSpec,
    StageSpec,
)
from mstl_edge.recipe.tree import did_you_mean, resolve, to_toml, to_tree, upgraded
from mstl_edge.recipe.windows import WINDOWS, Window, in_numbers, windows_of

__all__ = [
    "LAST",
    "NAMED_WEIGHTS",
    "REMOTE_SOURCES",
    "WINDOWS",
    "AugmentSpec",
    "BackboneSpec",
    "FeaturePrecision",
    "LabelsSpec",
    "PreprocessSpec",
    "QuantizeSpec",
    "Recipe",
    "RecipeKey",
    "SplitSpec",
    "StageSpec",
    "Window",
    "absolute_source",
    "changed",
    "did_you_mean",
    "find_keys",
    "in_numbers",
    "load_recipe",
    "recipe_keys",
    "resolve",
    "stage_named",
    "to_commented_toml",
    "to_toml",
    "to_tree",
    "upgraded",
    "windows_of",
    "with_absolute_paths",
    "with_data",
    "with_reading_of",
]
