"""`mstl-edge train`: every stage of a recipe, into a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mstl_edge.errors import RunError, typed
from mstl_edge_cli import options
from mstl_edge_cli.console import print_json, print_table, say
from mstl_edge_cli.endings.ending import print_ending
from mstl_edge_cli.resuming import resumable
from mstl_edge_cli.scores import percent, print_classes, share
from mstl_edge_cli.subject import Subject, asked_of, subject_of
from mstl_edge_cli.terminal import Terminal

if TYPE_CHECKING:
    from mstl_edge.planning import Asked
    from mstl_edge.runs import RunFolder
    from mstl_edge.schemas.metrics import RunMetrics, StageMetrics


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(train)


def train(
    ctx: typer.Context,
    recipe: options.RecipeOrData = None,
    data: options.Data = None,
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
    out: options.Out = None,
    resume: options.Resume = None,
    threads: options.Threads = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Train every stage of a recipe, or of one made for your images, and measure each on its test split.

    A run that was stopped at any moment goes on with --resume RUN and ends with the same weights.

    Example: mstl-edge train ./scans --epochs 30 --seed 1
    """
    run = start_run("train", recipe, data, asked_of(ctx.params), out=out, resume=resume)
    metrics = trained(run, threads)
    if json:
        import msgspec

        print_json({**msgspec.to_builtins(metrics), "run": str(run.path)})
    else:
        from mstl_edge_cli.endings.train import train_ending

        print_metrics(metrics, verbose=verbose)
        print_ending(train_ending(metrics, run.path))


def start_run(
    command: str,
    words: list[str] | None,
    data: list[str] | None,
    asked: Asked,
    *,
    out: Path | None,
    resume: Path | None,
) -> RunFolder:
    """Return the run folder that the options of `train` and `run` ask for, and say which it is.

    Raises:
        MstlEdgeError: A recipe, an option or a folder that does not hold.
    """
    from mstl_edge.output_folder import check_unused
    from mstl_edge.planning import Asked

    if resume is not None:
        run = _reopened(command, resume, options.stage_data(data), alone=not words and asked == Asked() and out is None)
    else:
        check_unused(out, command)
        subject = subject_of(command, words, data, asked)
        say("starting TensorFlow")
        run = _started(subject, out)
    say(f"run: {run.path}")
    return run


def _reopened(command: str, resume: Path, moved: dict[str, str], *, alone: bool) -> RunFolder:
    from mstl_edge.runs import open_run, relocate_run

    run = open_run(resume)
    if not alone:
        raise RunError(
            "--resume without a recipe or options that would change it, since a run goes on by its own recipe",
            received="such an option",
            hint=f"Go on with it: {typed('mstl-edge', command, '--resume', resume)}",
        )
    relocate_run(run, moved, Terminal())
    say(f"resuming {resume}; starting TensorFlow")
    return run


def _started(subject: Subject, out: Path | None) -> RunFolder:
    from mstl_edge.training import pipeline

    return pipeline.start_run(subject.recipe, out, reporter=Terminal(), seen=subject.seen, choices=subject.choices)


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
