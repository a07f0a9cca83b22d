"""`mstl-edge recipes`: what is built in."""

from __future__ import annotations

from typing import Annotated

import typer

from mstl_edge_cli import options
from mstl_edge_cli.console import print_json, print_table

recipes = typer.Typer(help="List and show the built-in recipes.", no_args_is_help=True)


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
    name: Annotated[str, typer.Argument(help="A built-in recipe.")],
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
