"""Options that several commands share, so that they read and behave the same everywhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from mstl_edge.errors import RecipeError
from mstl_edge_cli.completing import complete_backbone, complete_key, complete_positive, complete_recipe, complete_run

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Every table, and every column of it.")]


def limit_tensorflow(threads: int | None) -> int | None:
    """Tell TensorFlow, which takes every core unless told before it is imported."""
    if threads is not None:
        os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)
    return threads


def at_home(path: Path | None) -> Path | None:
    """Replace `~` in a path, which a shell leaves in `--out=~/runs`.

    Raises:
        MstlEdgeError: It is the home folder of nobody.
    """
    if path is None:
        return None
    from mstl_edge.storage import expanded  # and with it NumPy, only where it is needed

    return expanded(path)


Threads = Annotated[
    int | None,
    typer.Option(min=1, help="CPU threads; default all.", show_default=False, callback=limit_tensorflow),
]
RunArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="RUN",
        help="A run folder; default the latest under runs/.",
        show_default=False,
        callback=at_home,
        autocompletion=complete_run,
    ),
]
RecipeOrData = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RECIPE|DATA",
        help="A built-in recipe or a TOML file; or images, for which a recipe is made: a folder with one folder per class, a CSV, "
        "kaggle:OWNER/NAME, phantom:KIND. Default phantom.",
        show_default=False,
        autocompletion=complete_recipe,
    ),
]
Data = Annotated[
    list[str] | None,
    typer.Option("--data", metavar="STAGE=PATH", help="Data of a recipe's stage; without STAGE=, of the last."),
]
MovedData = Annotated[
    list[str] | None,
    typer.Option(
        "--data", metavar="STAGE=PATH", help="Where the data of a stage lies now; hashes prove that it is the same."
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(metavar="imagenet|bundled|none|FILE", help="First weights of the backbone.", show_default=False),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a key of the recipe: stages.bridge.epochs=5.",
        autocompletion=complete_key,
    ),
]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed of splits, heads and order.", show_default=False)]
Backbone = Annotated[
    str | None,
    typer.Option(
        metavar="NAME[:VARIANT]",
        help="The network, such as mobilenet_v1:0.5.",
        show_default=False,
        autocompletion=complete_backbone,
    ),
]
Epochs = Annotated[int | None, typer.Option(min=1, help="Epochs of the last stage.", show_default=False)]
LearningRate = Annotated[float | None, typer.Option(help="Learning rate of the last stage.", show_default=False)]
Size = Annotated[int | None, typer.Option(help="Height and width of the input in pixels.", show_default=False)]
PositiveClass = Annotated[
    str | None,
    typer.Option(
        metavar="CLASS",
        help="The class of two that sensitivity speaks of.",
        show_default=False,
        autocompletion=complete_positive,
    ),
]
Patient = Annotated[
    str | None,
    typer.Option(
        metavar="REGEX",
        help="Patient in a file name of the last stage: first group or whole match.",
        show_default=False,
    ),
]
MapFindings = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="FINDING=CLASS",
        help="What findings, or folders, are called as classes, with commas between several; images of any other are left out.",
        show_default=False,
    ),
]
OnlyClasses = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="CLASS",
        help="The classes to tell apart, with commas between; images of any other are left out.",
        show_default=False,
    ),
]
SlicesOfSeries = Annotated[
    Literal["all", "middle"] | None,
    typer.Option(
        "--slices", help="Slices of DICOM series, and of files with frames, that are images.", show_default=False
    ),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Column of the CSV that holds the label; default: found by its name.", show_default=False
    ),
]
ImageColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Column of the CSV that names the image; default: found by its cells.", show_default=False
    ),
]
Name = Annotated[str | None, typer.Option(help="Name of run folder, files and model.", show_default=False)]
Bridge = Annotated[
    str | None,
    typer.Option(metavar="DATA", help="With DATA: images of a stage in front of it.", show_default=False),
]
Out = Annotated[
    Path | None, typer.Option("--out", help="Folder for the results.", show_default=False, callback=at_home)
]

Resplit = Annotated[bool, typer.Option("--resplit", help="Ignore splits that folders or a column of the CSV declare.")]
Resume = Annotated[
    Path | None,
    typer.Option(
        metavar="RUN",
        help="Go on with a run that was stopped, by its own recipe; --data then says where data has moved.",
        show_default=False,
        callback=at_home,
        autocompletion=complete_run,
    ),
]


def stage_data(pairs: list[str] | None) -> dict[str, str]:
    """Return `STAGE=PATH` pairs as a mapping.

    Raises:
        RecipeError: A pair without `=`.
    """
    parsed = {}
    for pair in pairs or []:
        stage, separator, path = pair.partition("=")
        if not separator or not stage or not path:
            raise RecipeError("--data STAGE=PATH", received=pair, hint="For example --data target=./head-ct")
        parsed[stage] = path
    return parsed
