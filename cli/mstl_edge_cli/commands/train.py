"""`mstl-edge train`: every stage of a recipe, into a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mstl_edge_cli import options
from mstl_edge_cli.console import Terminal, print_json, print_table, say


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(train)


def train(
    recipe: options.RecipeArgument = "phantom",
    data: options.Data = None,
    weights: options.Weights = None,
    overrides: options.Overrides = None,
    seed: options.Seed = None,
    out: options.Out = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with a run that was stopped.", show_default=False)
    ] = None,
    threads: options.Threads = None,
    json: options.Json = False,
) -> None:
    """Train every stage of a recipe and measure each on its test split.

    Example: mstl-edge train ct-hemorrhage --data bridge=./chest_xray --data target=./head-ct --seed 1
    """
    from mstl_edge.recipe import load_recipe
    from mstl_edge.runs import create_run, open_run

    loaded = None
    if resume is None:
        loaded = load_recipe(
            recipe, overrides=overrides or (), data=options.stage_data(data), weights=weights, seed=seed
        )
        say(
            f"recipe: {recipe}{' (default)' if recipe == 'phantom' else ''}; {len(loaded.stages)} stages; starting TensorFlow"
        )
    else:
        say(f"resuming {open_run(resume).path}; starting TensorFlow")
    from mstl_edge.training import pipeline
    from mstl_edge.training._keras import versions

    run = open_run(resume) if loaded is None else create_run(loaded, out, versions={"versions": versions()})
    say(f"run: {run.path}")
    metrics = pipeline.train(run, threads=threads, reporter=Terminal())
    if json:
        print_json({**metrics, "run": str(run.path)})
    else:
        print_metrics(metrics)
        say(f"next: mstl-edge export {run.path}")


def print_metrics(metrics: dict[str, Any]) -> None:
    """Print the test metrics of every stage as a table."""
    print_table(
        f"{metrics['recipe']}, seed {metrics['seed']}: float model on each stage's test split (95 % intervals)",
        ("stage", "test images", "accuracy %", "sensitivity %", "specificity %", "AUC", "confusion (rows: truth)"),
        [_row(stage) for stage in metrics["stages"]],
    )


def _row(stage: dict[str, Any]) -> list[object]:
    test = stage["test"]
    labels = " / ".join(stage["labels"])
    confusion = " | ".join(" ".join(map(str, row)) for row in test["confusion"])
    return [
        stage["name"],
        test["n"],
        percent(test["accuracy"]),
        percent(test["sensitivity"]),
        percent(test["specificity"]),
        "–" if test["auc"] is None else "{value:.3f} ({low:.3f} to {high:.3f})".format(**test["auc"]),
        f"{confusion}  ({labels})",
    ]


def percent(interval: dict[str, float] | None) -> str:
    """Return an interval of shares as `87.5 (74 to 95)`."""
    if interval is None:
        return "–"
    return f"{100 * interval['value']:.1f} ({100 * interval['low']:.0f} to {100 * interval['high']:.0f})"
