"""What stands where a recipe or data may stand: one word, read by what it names."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Literal

from mstl_edge.data.labels.table import is_table
from mstl_edge.errors import RecipeError, printable, typed
from mstl_edge.recipe import REMOTE_SOURCES
from mstl_edge.storage import expanded
from mstl_edge_models import recipes

Door = Literal["recipe", "data"]
_EXPECTED = (
    "a folder of images, a CSV of labels, kaggle:OWNER/NAME, phantom:KIND, a built-in recipe or a recipe's TOML file"
)


def which_door(word: str, command: str = "run") -> Door:
    """Return whether a word names a recipe or data.

    Args:
        word: What was typed.
        command: The command that it was typed behind, for what to type instead.

    Raises:
        RecipeError: It names both, neither, or a file that is neither.
    """
    if word.startswith(REMOTE_SOURCES):
        return "data"
    known = recipes.names()
    path = _path(word)
    if path is None or not _exists(path):
        if word in known or word.endswith(".toml"):
            return "recipe"  # a TOML file that is absent is told of by its reader
        raise _neither(word, known)
    if word in known:
        raise RecipeError(
            "a recipe or data, and not one name of both",
            received=f"{word}, which is a built-in recipe and {'a folder' if path.is_dir() else 'a file'} here",
            hint=f"For what lies here: {typed('mstl-edge', command, f'./{word}')}; for the recipe, type it in another folder.",
        )
    if path.suffix == ".toml" and not path.is_dir():
        return "recipe"
    if (path / "recipe.toml").is_file() and (path / "run.json").is_file():
        raise RecipeError(
            _EXPECTED,
            received=f"{printable(word)}, which is a run folder",
            hint=f"To go on with it: {typed('mstl-edge', command, '--resume', word)}; its recipe: {path / 'recipe.toml'}",
        )
    if path.is_dir() or is_table(path.name):
        return "data"
    raise RecipeError(
        _EXPECTED,
        received=f"the file {printable(word)}",
        hint="Images go into a folder for each class; name the folder that holds those.",
    )


def _path(word: str) -> Path | None:
    try:
        return expanded(word)
    except ValueError:  # a zero byte
        return None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long, or no name of a file at all
        return False


def _neither(word: str, known: list[str]) -> RecipeError:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6) or _siblings(word)
    hint = (
        f"Did you mean {near[0]}?" if near else "Built-in recipes: mstl-edge recipes list; data to try: phantom:head-ct"
    )
    return RecipeError(f"{_EXPECTED} that exists", received=printable(word), hint=hint)


def _siblings(word: str) -> list[str]:
    """Return what nearly has this name in the same folder."""
    path = _path(word)
    try:
        names = [] if path is None else [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return []
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6) if path is not None else []
    return [str(Path(word).parent / near[0])] if near else []
