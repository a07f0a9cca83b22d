"""`mstl-edge run`: train, export, bench and report, the main job in one command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from mstl_edge_cli import options
from mstl_edge_cli.commands.export import print_candidates
from mstl_edge_cli.commands.train import print_metrics, start_run
from mstl_edge_cli.console import Terminal, print_json, say


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(run)


def run(
    recipe: options.RecipeArgument = "phantom",
    data: options.Data = None,
    weights: options.Weights = None,
    overrides: options.Overrides = None,
    seed: options.Seed = None,
    out: options.Out = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with a run that was stopped.", show_default=False)
    ] = None,
    resplit: options.Resplit = False,
    threads: options.Threads = None,
    json: options.Json = False,
) -> None:
    """Train every stage, export int8 through the gate, bench it here against the float model, and write a report.

    Example: mstl-edge run ct-hemorrhage --data bridge=./chest_xray --data target=./head-ct
    """
    folder = start_run(recipe, data, weights, overrides, seed, out, resume, resplit)
    from mstl_edge.training import pipeline
    from mstl_edge.training.export import Int8Options, export_int8

    threads = threads or os.cpu_count() or 1
    metrics = pipeline.train(folder, threads=threads, reporter=Terminal())
    if not json:
        print_metrics(metrics)
    exported = export_int8(folder, Int8Options(), threads=threads, reporter=Terminal())
    if not json:
        print_candidates(exported)
    measured = _bench(folder.path, json)
    report = _report(folder.path)
    say(f"report: {report}")
    if json:
        tree: dict[str, Any] = {"run": str(folder.path), "metrics": metrics, "export": exported}
        print_json({**tree, "bench": measured, "report": str(report)})
