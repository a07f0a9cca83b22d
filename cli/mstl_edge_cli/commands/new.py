"""`mstl-edge new`: a recipe for images that none knows, as a commented file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mstl_edge.errors import RecipeError, typed
from mstl_edge_cli import options
from mstl_edge_cli.console import print_json, say
from mstl_edge_cli.subject import asked_of, told_of
from mstl_edge_cli.terminal import Terminal

if TYPE_CHECKING:
    from mstl_edge.planning import Planned

Source = Annotated[
    str,
    typer.Argument(
        metavar="DATA", help="A folder with one folder per class, a CSV of labels, kaggle:OWNER/NAME or phantom:KIND."
    ),
]
RecipeFile = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="FILE", help="The recipe; default NAME.toml.", show_default=False, callback=options.at_home
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(new)


def new(
    ctx: typer.Context,
    data: Source,
    bridge: options.Bridge = None,
    backbone: options.Backbone = None,
    weights: options.Weights = None,
    epochs: options.Epochs = None,
    learning_rate: options.LearningRate = None,
    size: options.Size = None,
    positive: options.PositiveClass = None,
    patient: options.Patient = None,
    map: options.MapFindings = None,  # noqa: A002 - the option's own name
    only: options.OnlyClasses = None,
    slices: options.SlicesOfSeries = None,
    label_column: options.LabelColumn = None,
    image_column: options.ImageColumn = None,
    name: options.Name = None,
    overrides: options.Overrides = None,
    seed: options.Seed = None,
    resplit: options.Resplit = False,
    out: RecipeFile = None,
    json: options.Json = False,
) -> None:
    """Look at images, choose a recipe for them, and write it with every key, its meaning, and the reason of each choice.

    Example: mstl-edge new ./scans --bridge ./chest_xray --out scans.toml
    """
    from mstl_edge.planning import plan_recipe

    planned = plan_recipe(data, asked_of(ctx.params), Terminal())
    path = out or Path(f"{planned.recipe.name}.toml")
    if path.exists():
        raise RecipeError("a file that does not exist yet", received=path, hint="Choose another one: --out FILE")
    for line in told_of(planned):
        say(line)
    _write(path, planned)
    if json:
        import msgspec

        print_json({"recipe": str(path), **msgspec.to_builtins(planned.choices)})
    else:
        say(f"recipe: {path}")
        say(f"next: {typed('mstl-edge', 'run', path)}")


def _write(path: Path, planned: Planned) -> None:
    from mstl_edge.planning.facts import left_out, told
    from mstl_edge.recipe.commented import to_commented_toml
    from mstl_edge.storage import write_text

    reasons = {
        one.key: one.why if one.asked or not one.source else f"{one.why} ({one.source})"
        for one in planned.choices.choices
    }
    preface = [
        f"{name}: {line}"
        for name, facts in planned.choices.facts.items()
        for line in (told(facts), left_out(facts))
        if line
    ]
    write_text(path, to_commented_toml(planned.recipe, reasons, preface))
