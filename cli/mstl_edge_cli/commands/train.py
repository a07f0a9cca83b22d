"""`mstl-edge train`: every stage of a recipe, into a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mstl_edge.errors import RunError, typed
from mstl_edge_cli import options
from mstl_edge_cli.console import Terminal, print_json, print_table, say
from mstl_edge_cli.stopping import INTERRUPTED

if TYPE_CHECKING:
    from mstl_edge.recipe import Recipe
    from mstl_edge.runs import RunFolder

DEFAULT = "phantom"


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(train)


def train(
    recipe: options.RecipeArgument = DEFAULT,
    data: options.Data = None,
    weights: options.Weights = None,
    overrides: options.Overrides = None,
    seed: options.Seed = None,
    resplit: options.Resplit = False,
    out: options.Out = None,
    resume: options.Resume = None,
    threads: options.Threads = None,
    json: options.Json = False,
) -> None:
    """Train every stage of a recipe and measure each on its test split.

    A run that was stopped at any moment goes on with --resume RUN and ends with the same weights.

    Example: mstl-edge train ct-hemorrhage --data bridge=./chest_xray --data target=./head-ct --seed 1
    """
    run = start_run(recipe, data, weights, overrides, seed, resplit=resplit, out=out, resume=resume)
    metrics = trained(run, threads)
    if json:
        print_json({**metrics, "run": str(run.path)})
    else:
        print_metrics(metrics)
        say(f"next: {typed('mstl-edge', 'export', run.path)}")


def start_run(
    recipe: str,
    data: list[str] | None,
    weights: str | None,
    overrides: list[str] | None,
    seed: int | None,
    *,
    resplit: bool,
    out: Path | None,
    resume: Path | None,
) -> RunFolder:
    """Return the run folder that the options of `train` and `run` ask for, and say which it is.

    Raises:
        MstlEdgeError: A recipe, an option or a folder that does not hold.
    """
    from mstl_edge.output_folder import check_unused
    from mstl_edge.recipe import load_recipe, with_absolute_paths

    if resume is not None:
        changed = recipe != DEFAULT or weights or overrides or resplit or out or seed is not None
        run = _reopened(resume, options.stage_data(data), alone=not changed)
    else:
        loaded = load_recipe(
            recipe,
            overrides=overrides or (),
            data=options.stage_data(data),
            weights=weights,
            seed=seed,
            resplit=resplit,
        )
        check_unused(out)
        with_absolute_paths(loaded)  # before seconds of TensorFlow: a path that no run can hold
        default = " (default)" if recipe == DEFAULT else ""
        say(f"recipe: {recipe}{default}; {len(loaded.stages)} stages; starting TensorFlow")
        run = _started(loaded, out)
    say(f"run: {run.path}")
    return run


def _reopened(resume: Path, moved: dict[str, str], *, alone: bool) -> RunFolder:
    from mstl_edge.runs import open_run, relocate_run

    run = open_run(resume)
    if not alone:
        raise RunError(
            "--resume without a recipe or options that would change it, since a run goes on by its own recipe",
            received="such an option",
            hint=f"Go on with it: {typed('mstl-edge', 'train', '--resume', resume)}",
        )
    relocate_run(run, moved, Terminal())
    say(f"resuming {resume}; starting TensorFlow")
    return run


def _started(recipe: Recipe, out: Path | None) -> RunFolder:
    from mstl_edge.training.pipeline import start_run

    return start_run(recipe, out, reporter=Terminal())


def trained(run: RunFolder, threads: int | None) -> dict[str, Any]:
    """Train what is unfinished; Ctrl-C says how to go on."""
    from mstl_edge.training import pipeline

    try:
        return pipeline.train(run, threads=threads, reporter=Terminal())
    except KeyboardInterrupt:
        say(f"stopped; go on with: {typed('mstl-edge', 'train', '--resume', run.path)}")
        raise typer.Exit(INTERRUPTED) from None


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
