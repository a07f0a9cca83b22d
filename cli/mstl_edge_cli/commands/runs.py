"""`mstl-edge runs`: run folders, how good they are and what they weigh."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mstl_edge import bounded
from mstl_edge.errors import printable
from mstl_edge_cli import options
from mstl_edge_cli.completing import complete_run
from mstl_edge_cli.console import print_json, print_table, say
from mstl_edge_cli.scores import NOTHING, percent

if TYPE_CHECKING:
    from mstl_edge.metrics import Interval
    from mstl_edge.run_summary import ExportSummary, RunSummary

LINES, WIDTH = 15, 80
"""What a person reads at a glance."""
STAGES_SHOWN = 2
runs = typer.Typer(help="List and show run folders, or delete those that are no longer needed.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the command group to `app`."""
    app.add_typer(runs, name="runs")


@runs.command("list")
def list_runs(json: options.Json = False) -> None:
    """List the runs under runs/: date, accuracy, size.

    Example: mstl-edge runs list
    """
    from mstl_edge import runs as folders
    from mstl_edge.run_summary import summarise

    found = [summarise(path) for path in folders.list_runs()]
    if json:
        print_json(list(map(_listed, found)))
        return
    rows = [
        (
            run.run,
            _date(run.made)[: len("2026-01-01")],
            f"{sum(stage.finished for stage in run.stages)} of {len(run.stages)}",
            *((percent(run.last.accuracy), run.last.n) if run.last else (NOTHING, None)),
            f"{run.size_bytes / 1e6:.1f}",
        )
        for run in found
    ]
    print_table("runs", ("run", "made", "stages", "accuracy %", "n", "MB"), rows)


@runs.command("show")
def show(run: options.RunArgument = None, json: options.Json = False) -> None:
    """Show a run at a glance, and the next command.

    Example: mstl-edge runs show runs/phantom-20260101-120000
    """
    from mstl_edge.run_summary import summarise
    from mstl_edge.runs import open_run

    summary = summarise(open_run(run).path)
    if json:
        import msgspec

        print_json(msgspec.to_builtins(summary))
    else:
        latest = "" if run else " (latest)"
        sys.stdout.write("\n".join(_shown(summary, latest)) + "\n")


def _listed(run: RunSummary) -> dict[str, Any]:
    import msgspec

    last = run.last
    return {
        "run": run.run,
        "recipe": run.recipe,
        "made": run.made,
        "finished_stages": [stage.name for stage in run.stages if stage.finished],
        "finished": run.finished,
        "stage": last.name if last else None,
        "n": last.n if last else None,
        "accuracy": msgspec.to_builtins(last.accuracy) if last else None,
        "size_bytes": run.size_bytes,
    }


def _date(made: str) -> str:
    return made[:16].replace("T", " ")


def _shown(run: RunSummary, latest: str) -> list[str]:
    """Return a run in at most `LINES` lines; only a path that is longer than a line stands out."""
    state = "finished" if run.finished else "not finished"
    rows = [
        ("run", f"{run.run}{latest}"),
        ("made", f"{_date(run.made)}, {state}, {run.size_bytes / 1e6:.1f} MB"),
        ("recipe", f"{run.recipe}: {run.network}" if run.network else run.recipe),
        *_stage_rows(run),
    ]
    models = sum(name.endswith(".tflite") for name in run.files)
    beside = [name for name in run.files if not name.endswith(".tflite")]
    counted = [f"{models} model{'s' * (models != 1)} in exports/"] if models else []
    ends = [("files", ", ".join([*beside, *counted])), ("next", run.next)]
    if run.export is None:
        rows.append(("export", "none yet"))
    else:
        rows += _export_rows(run.export)
    lines = [line for row in rows for line in _lines(*row)]
    last = [line for row in ends for line in _lines(*row)]
    return [*lines[: LINES - len(last)], *last]


def _stage_rows(run: RunSummary) -> Iterator[tuple[str, str]]:
    """Yield two lines for each of the last stages, how good it is and its data; those before them are named."""
    before, shown = run.stages[:-STAGES_SHOWN], run.stages[-STAGES_SHOWN:]
    if before:
        yield "stages", f"{', '.join(stage.name for stage in before)} and:"
    for stage in shown:
        yield "stage", f"{stage.name}: {_accuracy(stage.accuracy, stage.n, finished=stage.finished)}"
        if stage.data:
            yield "", f"data {stage.data}"


def _accuracy(accuracy: Interval | None, n: int | None, *, finished: bool = True) -> str:
    if accuracy is None:
        return "finished, accuracy unknown" if finished else "not finished"
    return f"accuracy {bounded.percent(accuracy, ' %')}, n = {n}"


def _export_rows(export: ExportSummary) -> Iterator[tuple[str, str]]:
    scored = f"; test {_accuracy(export.accuracy, export.n)}" if export.accuracy else ""
    yield "export", f"{export.scheme or 'no int8 file'}{scored}"
    yield "", f"{export.verdict}: {export.words}"
    if export.model:
        size = "gone" if export.size_bytes is None else f"{export.size_bytes / 1000:,.0f} kB"
        yield "model", f"{export.model} ({size})"


def _lines(title: str, text: str) -> list[str]:
    first, others = f"{title:<8}", " " * 8
    wrapped = textwrap.wrap(
        printable(text), WIDTH, initial_indent=first, subsequent_indent=others, break_long_words=False,
        break_on_hyphens=False, max_lines=3, placeholder=" …",
    )  # fmt: skip
    return wrapped or [first.rstrip()]


@runs.command("clean")
def clean(
    run: Annotated[
        list[Path] | None,
        typer.Argument(help="Run folders to delete.", show_default=False, autocompletion=complete_run),
    ] = None,
    unfinished: Annotated[bool, typer.Option("--unfinished", help="Delete every run that did not finish.")] = False,
    cache: Annotated[bool, typer.Option("--cache", help="Empty the cache of decoded images and features.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete run folders, or the cache that later runs would refill.

    Example: mstl-edge runs clean --unfinished --cache --yes
    """
    import shutil

    from mstl_edge import runs as folders
    from mstl_edge.storage import cache_folder

    chosen = [folders.open_run(path).path for path in run or []]
    if unfinished:
        chosen += [path for path in folders.list_runs() if not folders.RunFolder(path).metrics.is_file()]
    caches = [cache_folder("features"), cache_folder("pixels")] if cache else []
    if not chosen and not caches:
        say("nothing to delete: name run folders, or use --unfinished or --cache")
        return
    for path in (*chosen, *caches):
        say(f"{folders.size_bytes(path) / 1e6:9.1f} MB  {path}")
    if not yes:
        typer.confirm("Delete these?", abort=True, err=True)
    for path in chosen:
        folders.remove_run(path)
    for path in caches:
        shutil.rmtree(path)
