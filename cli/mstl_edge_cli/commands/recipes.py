"""`mstl-edge recipes`: what is built in, and what every key means."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mstl_edge_cli import options
from mstl_edge_cli.completing import complete_built_in, complete_pattern
from mstl_edge_cli.console import print_json, print_table

if TYPE_CHECKING:
    from mstl_edge.recipe import RecipeKey

WIDTH = 80
recipes = typer.Typer(help="List and show the built-in recipes, explain their keys.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the command group to `app`."""
    app.add_typer(recipes, name="recipes")


@recipes.command("list")
def list_recipes(json: options.Json = False) -> None:
    """List the built-in recipes.

    Example: mstl-edge recipes list
    """
    from mstl_edge.recipe import load_recipe
    from mstl_edge_models import recipes as built_in

    loaded = [load_recipe(name) for name in built_in.names()]
    if json:
        print_json([{"name": recipe.name, "description": recipe.description} for recipe in loaded])
    else:
        print_table(
            "built-in recipes", ("name", "description"), [(recipe.name, recipe.description) for recipe in loaded]
        )


@recipes.command("show")
def show(
    name: Annotated[str, typer.Argument(help="A built-in recipe.", autocompletion=complete_built_in)],
    json: options.Json = False,
) -> None:
    """Print a recipe as TOML, to be saved and changed.

    Example: mstl-edge recipes show phantom > my-recipe.toml
    """
    from mstl_edge.recipe import load_recipe, to_tree
    from mstl_edge_models import recipes as built_in

    recipe = load_recipe(name)
    if json:
        print_json(to_tree(recipe))
    else:
        typer.echo(built_in.read(recipe.name), nl=False)


@recipes.command("keys")
def keys(
    pattern: Annotated[
        str,
        typer.Argument(
            metavar="PATTERN",
            help="Part of a key, a glob such as '*.epochs', or a word such as lr.",
            autocompletion=complete_pattern,
        ),
    ] = "",
    json: options.Json = False,
) -> None:
    """Explain the keys of a recipe, spelled as --set takes them.

    NAME stands for the name of a stage: --set stages.bridge.epochs=5.

    Example: mstl-edge recipes keys augment
    """
    from mstl_edge.errors import RecipeError
    from mstl_edge.recipe.keys import KEYS_SCHEMA, STAGE, find_keys, nearest_hint

    found = find_keys(pattern)
    if not found:
        raise RecipeError("a part of a key or of its meaning", received=pattern, hint=nearest_hint(pattern, [STAGE]))
    if json:
        import msgspec

        print_json({"schema": KEYS_SCHEMA, "keys": msgspec.to_builtins(found)})
    else:
        typer.echo("\n".join(_explained(found)))


def _explained(found: Sequence[RecipeKey]) -> Iterator[str]:
    """Yield two lines or more for each key: its path, default and range, and beneath them its meaning."""
    paths = max(len("key"), *(len(key.path) for key in found))
    defaults = max(len("default"), *(len(key.default_text) for key in found))
    yield f"{'key':<{paths}}  {'default':<{defaults}}  range"
    for key in found:
        head = f"{key.path:<{paths}}  {key.default_text:<{defaults}}  "
        yield from _wrapped(key.range, head, " " * len(head))
        yield from _wrapped(key.meaning, "    ", "    ")


def _wrapped(text: str, first: str, others: str) -> list[str]:
    # A key may be typed from here: nothing is cut, and what has no spaces may stand out.
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=others, break_long_words=False, break_on_hyphens=False
    )
