"""`mstl-edge run`: train, export, bench and report, the main job in one command."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mstl_edge.errors import GateRefusedError, typed
from mstl_edge_cli import options
from mstl_edge_cli.commands.bench import print_tables
from mstl_edge_cli.commands.export import plain, print_candidates, print_test_classes, refused_export
from mstl_edge_cli.commands.train import print_metrics, start_run, trained
from mstl_edge_cli.console import print_json, print_text, say
from mstl_edge_cli.endings.ending import print_ending
from mstl_edge_cli.resuming import resumable
from mstl_edge_cli.subject import asked_of
from mstl_edge_cli.terminal import Terminal

if TYPE_CHECKING:
    from mstl_edge.runs import RunFolder
    from mstl_edge.schemas.bench import BenchReport
    from mstl_edge.schemas.export import Export
    from mstl_edge.schemas.metrics import RunMetrics


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(run)


def run(
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
    """Do the main job: train every stage, export int8 through the gate, bench it here against float, report.

    Example: mstl-edge run ./scans
    """
    folder = start_run("run", recipe, data, asked_of(ctx.params), out=out, resume=resume)
    threads = threads or os.cpu_count() or 1
    metrics = trained(folder, threads, by="run")
    with resumable("run", folder.path):
        exported, refusal = _exported(folder, threads)
        measured = None if refusal else _bench(folder.path, threads)
        from mstl_edge.report import write_report

        report = write_report([folder.path], reporter=Terminal()).path
    if json:
        tree: dict[str, Any] = {"run": str(folder.path), "metrics": _plain(metrics), "export": plain(exported)}
        print_json({**tree, "bench": _plain(measured), "report": str(report)})
    else:
        print_run(metrics, exported, measured, verbose=verbose)
        from mstl_edge_cli.endings.run import run_ending

        print_ending(run_ending(metrics, exported, measured, run=folder.path, report=report))
    if refusal is not None:
        _say_what_helps(folder)
        raise refusal


def _exported(run: RunFolder, threads: int) -> tuple[Export, GateRefusedError | None]:
    """Export int8; where the gate refuses it and the recipe was made from data, try mixed precision as the next rule.

    Returns:
        What was exported or refused, and the refusal.
    """
    from mstl_edge.output_folder import working_alone
    from mstl_edge.training.exporting.export import Int8Options, export_int8

    begun = time.monotonic()
    with working_alone(run.path):
        try:
            return export_int8(run, Int8Options(), threads=threads, reporter=Terminal()), None
        except GateRefusedError as refused:  # the user who needs the report most
            refusal = refused
        if run.choices_file.is_file():
            say(f"gate: refused: {refusal.received}")
            say(
                f"trying mixed precision: layers that int8 hurts most stay float; {time.monotonic() - begun:.0f} s at most"
            )
            mixed = Int8Options(kinds=("ptq", "qat", "mixed"), allow_float=True)
            try:
                return export_int8(run, mixed, threads=threads, reporter=Terminal()), None
            except GateRefusedError as refused:
                refusal = refused
    return refused_export(refusal), refusal


def _say_what_helps(run: RunFolder) -> None:
    """Say after a refusal what is there all the same, and what may lead to an int8 file."""
    recipe = run.recipe()
    say(f"the float32 model is there: {run.exports}")
    say("what may help: more training images; longer fine-tuning under quantization, or a wider network:")
    again = ("mstl-edge", "run", run.recipe_file)
    say(f"  {typed(*again, '--set', f'quantize.epochs={3 * recipe.quantize.epochs}')}")
    wider = _next_wider(recipe.backbone.name, recipe.backbone.variant)
    if recipe.backbone.weights in ("imagenet", "none") and wider:
        say(f"  {typed(*again, '--backbone', f'{recipe.backbone.name}:{wider}')}")


def _next_wider(name: str, variant: str) -> str:
    """Return the published variant with the next more parameters and the same cut points; empty where there is none."""
    from mstl_edge_models.backbones import REGISTRY

    backbone = REGISTRY[name]
    own, points = backbone.parameters(variant), backbone.cut_names(variant)
    wider = [one for one in backbone.variants if backbone.parameters(one) > own and backbone.cut_names(one) == points]
    return min(wider, key=backbone.parameters, default="")


def print_run(metrics: RunMetrics, exported: Export, measured: BenchReport | None, *, verbose: bool) -> None:
    """Print what each class of more than two scored, or every table of training, export and benchmark."""
    if verbose:
        print_metrics(metrics, verbose=True)
        print_text("")
        print_candidates(exported, verbose=True)
        if measured is not None:
            print_tables(measured)
    elif exported.test is not None:
        print_test_classes(exported.test, answers=False)


def _bench(folder: Path, threads: int) -> BenchReport:
    """Measure the export and its float twin on the run's own test split, and keep the report in the run folder."""
    from mstl_edge.schemas.bench import encode_report
    from mstl_edge.storage import write_bytes
    from mstl_edge_bench.bench import BenchPlan, run_bench

    measured = run_bench(BenchPlan(models=(folder,), threads=tuple(sorted({1, threads}))), reporter=Terminal())
    write_bytes(folder / "bench.json", encode_report(measured))
    return measured


def _plain(record: BenchReport | RunMetrics | None) -> Any:
    import msgspec

    return msgspec.to_builtins(record)
