"""What the shell offers when Tab is pressed: recipes, runs, models, keys, backbones, classes.

Each function gets what was typed so far and returns what may stand there, with a word about it where there is one. All of them are
quick: nothing here imports NumPy, and `--help`, which imports this, needs no parser. What cannot be read offers nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer

Offered = list[tuple[str, str]]

RUNS = Path("runs")  # as in mstl_edge.runs, which imports NumPy
SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})


def complete_recipe(incomplete: str) -> Offered:
    """Offer the built-in recipes, TOML files, and folders, which may hold images."""
    from mstl_edge_models import recipes

    values = _behind_equals()
    if values is not None:
        return values
    built_in = [(name, _built_in(name).get("description", "")) for name in recipes.names()]
    return [*_starting(built_in, incomplete), *_paths(incomplete, lambda path: path.suffix == ".toml")]


def complete_built_in(incomplete: str) -> Offered:
    """Offer the built-in recipes."""
    from mstl_edge_models import recipes

    return _starting([(name, _built_in(name).get("description", "")) for name in recipes.names()], incomplete)


def complete_run(incomplete: str) -> Offered:
    """Offer the runs under runs/, the latest first, and other folders once something else is typed."""
    runs = _starting(_runs(), incomplete)
    return runs or _paths(incomplete, lambda path: False)


def complete_model(incomplete: str) -> Offered:
    """Offer model files, and runs, which stand for the model that they export."""
    models = _paths(incomplete, lambda path: path.suffix == ".tflite")
    return [*_starting(_runs(), incomplete), *models]


def complete_source(incomplete: str) -> Offered:
    """Offer what can be reported: runs, and JSON files of studies and benchmarks."""
    return [*_starting(_runs(), incomplete), *_paths(incomplete, lambda path: path.suffix == ".json")]


def complete_key(ctx: typer.Context, incomplete: str) -> Offered:
    """Offer `KEY=` for every key of the recipe on the line, and behind the `=` the values of a key that has a few.

    Where the line names none that can be read, the stages are those of the built-in recipes.
    """
    from mstl_edge.recipe.keys import key_at, typed_paths

    path, separator, value = incomplete.partition("=")
    if separator:
        return [(f"{path}={one}", "") for one in _values(path) if one.startswith(value)]
    offered = []
    for one in typed_paths(_stages(ctx)):
        key = key_at(one)
        if key is not None and one.startswith(incomplete):
            offered.append((f"{one}=", key.meaning))
    return offered


def complete_pattern(incomplete: str) -> Offered:
    """Offer the keys of a recipe, as they are explained."""
    from mstl_edge.recipe.keys import recipe_keys

    return _starting([(key.path, key.meaning) for key in recipe_keys()], incomplete)


def complete_backbone(incomplete: str) -> Offered:
    """Offer the backbones by name, and `NAME:VARIANT` where they have variants."""
    from mstl_edge_models.backbones import REGISTRY

    offered = []
    for name, backbone in REGISTRY.items():
        offered.append((name, ""))
        offered += [(f"{name}:{variant}", "") for variant in getattr(backbone, "variants", ())]
    return _starting(offered, incomplete)


def complete_positive(ctx: typer.Context, incomplete: str) -> Offered:
    """Offer the classes of the data folder on the line, if it is one with a folder for each class."""
    classes: dict[str, None] = {}
    for folder in _data_folders(ctx):
        inner = _folders_in(folder)
        splits = [one for one in inner if one.name.lower() in SPLITS]
        classes |= dict.fromkeys(one.name for split in splits for one in _folders_in(split))
        if not splits:
            classes |= dict.fromkeys(one.name for one in inner)
    return _starting([(name, "") for name in classes], incomplete)


def _behind_equals() -> Offered | None:
    """Return what may stand behind the `=` of an option's KEY=VALUE; None where the line does not end with one.

    bash parts words at a `=`, so that what comes next looks like the recipe.
    """
    words = os.environ.get("COMP_WORDS", "").split()
    if len(words) < 3 or words[-1] != "=":
        return None
    return [(value, "") for value in _values(words[-2])] if words[-3] == "--set" else []


def _starting(offered: Sequence[tuple[str, str]], incomplete: str) -> Offered:
    return [(value, about) for value, about in offered if value.startswith(incomplete)]


def _runs() -> Offered:
    found = []
    for marker in RUNS.glob("*/run.json"):
        with suppress(OSError):
            found.append((marker.stat().st_mtime_ns, str(marker.parent)))
    return [(run, "") for _, run in sorted(found, reverse=True)]


def _paths(incomplete: str, wanted: Callable[[Path], bool]) -> Offered:
    """Return files that are wanted and all folders, below what was typed."""
    begun = incomplete[: incomplete.rfind("/") + 1]
    start = incomplete[len(begun) :]
    folder = Path(os.path.expanduser(begun or "."))  # noqa: PTH111  # a ~ of nobody stays as it is
    found = []
    for path in _entries(folder):
        if path.name.startswith(start) and (start or not path.name.startswith(".")):
            found += [(f"{begun}{path.name}", path.is_dir())] if path.is_dir() or wanted(path) else []
    if len(found) == 1 and found[0][1]:
        # A single offer would be closed with a space: this one may be gone into.
        found.append((f"{found[0][0]}/", True))
    return [(path, "") for path, _ in found]


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _folders_in(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_dir() and not path.name.startswith(".")]


def _stages(ctx: typer.Context) -> list[str]:
    from mstl_edge_models import recipes

    # Where an option still lacks its value, the words before it are no parameters yet.
    named = [*ctx.args[:1], *_texts(ctx.params.get("recipe"))]
    told = _names(_tree(named[0])) if named else []
    return told or list(dict.fromkeys(name for one in recipes.names() for name in _names(_built_in(one))))


def _names(tree: dict[str, Any]) -> list[str]:
    from mstl_edge.recipe.tree import stage_names

    return stage_names(tree)


def _tree(recipe: str) -> dict[str, Any]:
    import tomllib

    from mstl_edge_models import recipes

    if recipe in recipes.names():
        return _built_in(recipe)
    try:
        return tomllib.loads(Path(recipe).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _built_in(name: str) -> dict[str, Any]:
    import tomllib

    from mstl_edge_models import recipes

    return tomllib.loads(recipes.read(name))


def _values(path: str) -> Sequence[str]:
    from mstl_edge.recipe.keys import key_at
    from mstl_edge.recipe.places import NAMED_WEIGHTS
    from mstl_edge_models.backbones import REGISTRY

    key = key_at(path)
    if key is None:
        return ()
    known: dict[str, Sequence[str]] = {
        "backbone.name": list(REGISTRY),
        "backbone.weights": NAMED_WEIGHTS,
        "backbone.variant": [variant for backbone in REGISTRY.values() for variant in backbone.variants],
        "stages.NAME.unfreeze_from": list(
            dict.fromkeys(name for backbone in REGISTRY.values() for name in backbone.cut_names(backbone.default))
        ),
    }
    return key.choices or known.get(key.path, ("true", "false") if key.kind == "true or false" else ())


def _data_folders(ctx: typer.Context) -> Iterator[Path]:
    """Yield what the line names that may be a folder of images: the source itself, and the last of --data STAGE=PATH."""
    told = [value for name in ("source", "recipe") for value in _texts(ctx.params.get(name))]
    for value in (*told, *ctx.args[:1], *_texts(ctx.params.get("data"))[-1:]):
        yield Path(os.path.expanduser(value.rpartition("=")[2]))  # noqa: PTH111


def _texts(value: object) -> list[str]:
    """Return what a parameter holds as texts, whether it takes one or several."""
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list | tuple) else []
