"""`mstl-edge train`: every stage of a recipe, into a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mstl_edge.counted import counted
from mstl_edge.errors import RunError, typed
from mstl_edge_cli import options
from mstl_edge_cli.console import Terminal, print_json, print_table, say
from mstl_edge_cli.endings.ending import print_ending
from mstl_edge_cli.resuming import resumable
from mstl_edge_cli.scores import percent, print_classes, share

if TYPE_CHECKING:
    from mstl_edge.recipe import Recipe
    from mstl_edge.runs import RunFolder
    from mstl_edge.schemas.metrics import RunMetrics, StageMetrics

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
    verbose: options.Verbose = False,
) -> None:
    """Train every stage of a recipe and measure each on its test split.

    A run that was stopped at any moment goes on with --resume RUN and ends with the same weights.

    Example: mstl-edge train ct-hemorrhage --data bridge=./chest_xray --data target=./head-ct --seed 1
    """
    run = start_run(recipe, data, weights, overrides, seed, resplit=resplit, out=out, resume=resume)
    metrics = trained(run, threads)
    if json:
        import msgspec

        print_json({**msgspec.to_builtins(metrics), "run": str(run.path)})
    else:
        from mstl_edge_cli.endings.train import train_ending

        print_metrics(metrics, verbose=verbose)
        print_ending(train_ending(metrics, run.path))


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
        say(f"recipe: {recipe}{default}; {counted(len(loaded.stages), 'stage')}; starting TensorFlow")
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


def trained(run: RunFolder, threads: int | None, *, by: str = "train") -> RunMetrics:
    """Train what is unfinished; Ctrl-C says how to go on with the command `by`."""
    from mstl_edge.training import pipeline

    with resumable(by, run.path):
        return pipeline.train(run, threads=threads, reporter=Terminal())


def print_metrics(metrics: RunMetrics, *, verbose: bool = False) -> None:
    """Print what decides of every stage's test metrics, or all of it, and each class of more than two by itself."""
    many = [stage for stage in metrics.stages if len(stage.labels) > 2]
    of_two = len(many) < len(metrics.stages)
    columns = ["stage", "accuracy % (95 %), n"]
    columns += ["macro-F1"] if many else []
    columns += ["sensitivity %", "specificity %"] if of_two else []
    columns += ["AUC", "confusion (rows: truth)"] if of_two and verbose else []
    print_table(
        f"{metrics.recipe}, seed {metrics.seed}: float model on each stage's test split",
        columns,
        [_row(stage, macro=bool(many), of_two=of_two, verbose=verbose) for stage in metrics.stages],
    )
    for stage in many:
        print_classes(f"{stage.name}: each class by itself, on the test split (95 %)", stage.test, answers=verbose)


def _row(stage: StageMetrics, *, macro: bool, of_two: bool, verbose: bool) -> list[object]:
    test = stage.test
    row: list[object] = [stage.name, f"{percent(test.accuracy)}, {test.n:,}"]
    if macro:
        row.append(share(test.macro_f1))
    if of_two:
        row += [percent(test.sensitivity), percent(test.specificity)]
    if of_two and verbose:
        confusion = " | ".join(" ".join(map(str, counts)) for counts in test.confusion)
        told = f"{confusion}  ({' / '.join(stage.labels)})" if len(stage.labels) == 2 else "below"
        row += [share(test.auc), told]
    return row
