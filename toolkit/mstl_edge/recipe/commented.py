"""A recipe as a file for people: every key written out, with its meaning, range and default in front, and why it is what it is."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from mstl_edge.errors import printable
from mstl_edge.recipe.keys import RecipeKey, key_at
from mstl_edge.recipe.spec import Recipe
from mstl_edge.recipe.tree import stage_names, to_tree

WIDTH = 100
_NONE: Mapping[str, str] = MappingProxyType({})


def to_commented_toml(recipe: Recipe, reasons: Mapping[str, str] = _NONE, preface: Sequence[str] = ()) -> str:
    """Return a recipe as TOML that explains itself, and that `load_recipe` reads back to the same recipe.

    Args:
        recipe: What is written, every key of it.
        reasons: Why a key is what it is, by its path as `--set` takes it: `stages.target.epochs`, `backbone.alpha`.
        preface: Paragraphs that stand at the top, as comments.

    Raises:
        ValueError: A reason for a key that the recipe does not have.
    """
    tree = to_tree(recipe)
    left = dict(reasons)
    lines = [line for paragraph in preface for line in (*_comment(paragraph), "#")]
    written = [*lines[:-1], *([""] if lines else []), *_table(tree, "", "", left)]
    if left:
        raise ValueError(f"reasons for keys that the recipe does not have: {', '.join(left)}")
    return "\n".join(written).strip("\n") + "\n"


def _table(tree: Mapping[str, Any], typed: str, header: str, reasons: dict[str, str]) -> Iterator[str]:
    """Yield the lines of a table: its own keys, then the tables in it.

    Args:
        tree: Its values.
        typed: How `--set` spells it: nothing, `backbone`, `stages.target.augment`.
        header: How TOML does: nothing, `backbone`, `stages.augment`.
        reasons: By path; those that are written are taken out.
    """
    inner: list[tuple[str, str, str, Any]] = []
    for name, value in tree.items():
        path, inside = _joined(typed, name), _joined(header, name)
        if name == "stages" and not typed:
            named = zip(stage_names(tree), value, strict=True)
            inner += [(f"stages.{stage_name}", inside, f"[[{inside}]]", stage) for stage_name, stage in named]
        elif isinstance(value, Mapping):
            inner.append((path, inside, f"[{inside}]", value))
        else:
            yield from _explained(path, name, value, reasons.pop(path, ""))
    for path, inside, line, value in inner:
        yield from ("", line)
        yield from _table(value, path, inside, reasons)


def _joined(table: str, name: str) -> str:
    return f"{table}.{name}" if table else name


def _explained(path: str, name: str, value: Any, reason: str) -> Iterator[str]:
    key = key_at(path)
    assert key is not None
    yield from _comment(f"{key.meaning} {_bounds(key)}")
    if reason:
        yield from _comment(f"Why: {reason}")
    yield f"{name} = {_on_one_line(value)}"


def _on_one_line(value: Any) -> str:
    import tomli_w  # a training-side package: the device reads recipes from the card, as JSON

    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_on_one_line, value))}]"
    return tomli_w.dumps({"it": value}).removeprefix("it = ").removesuffix("\n")


def _bounds(key: RecipeKey) -> str:
    told = "no default" if key.required else f"default {key.default_text}"
    return f"({key.range}; {told})"


def _comment(text: str) -> list[str]:
    """Return a text as lines of a comment; what TOML allows in none, a line's end among them, is escaped or becomes a space."""
    plain = printable(" ".join(text.split()))
    marks = {"initial_indent": "# ", "subsequent_indent": "# "}
    return textwrap.wrap(plain, WIDTH, **marks, break_long_words=False, break_on_hyphens=False) or ["#"]  # type: ignore[arg-type]
