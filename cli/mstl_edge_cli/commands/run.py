"""`mstl-edge run`: train, export, bench and report, the main job in one command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mstl_edge.errors import GateRefusedError
from mstl_edge_cli import options
from mstl_edge_cli.commands.bench import print_report as print_bench
from mstl_edge_cli.commands.export import plain, print_candidates, refused_export
from mstl_edge_cli.commands.train import DEFAULT, print_metrics, start_run, trained
from mstl_edge_cli.console import Terminal, print_json, say

if TYPE_CHECKING:
    from mstl_edge.schemas.bench import BenchReport
    from mstl_edge.schemas.metrics import RunMetrics


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(run)


def run(
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
    """Do the main job: train every stage, export int8 through the gate, bench it here against float, report.

    Example: mstl-edge run ct-hemorrhage --data bridge=./chest_xray --data target=./head-ct
    """
    folder = start_run(recipe, data, weights, overrides, seed, resplit=resplit, out=out, resume=resume)
    threads = threads or os.cpu_count() or 1
    metrics = trained(folder, threads)
    from mstl_edge.output_folder import working_alone
    from mstl_edge.training.export import Int8Options, export_int8

    refusal = None
    try:
        with working_alone(folder.path):
            exported = export_int8(folder, Int8Options(), threads=threads, reporter=Terminal())
    except GateRefusedError as refused:  # the user who needs the report most
        refusal, exported = refused, refused_export(refused)
    measured = None if refusal else _bench(folder.path, threads)
    from mstl_edge.report import write_report

    report = write_report([folder.path], reporter=Terminal()).path
    if json:
        tree: dict[str, Any] = {"run": str(folder.path), "metrics": _plain(metrics), "export": plain(exported)}
        print_json({**tree, "bench": _plain(measured), "report": str(report)})
    else:
        print_metrics(metrics)
        print_candidates(exported)
        if measured is not None:
            print_bench(measured)
            say(f"model: {folder.path / str(exported.model)}")
        say(f"report: {report}")
    if refusal is not None:
        raise refusal


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
