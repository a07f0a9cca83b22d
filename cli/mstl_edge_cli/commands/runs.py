"""`mstl-edge runs`: run folders and what they weigh."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mstl_edge_cli import options
from mstl_edge_cli.console import print_json, print_table, say

runs = typer.Typer(help="List run folders, or delete those that are no longer needed.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the command group to `app`."""
    app.add_typer(runs, name="runs")


@runs.command("list")
def list_runs(json: options.Json = False) -> None:
    """List the runs under runs/, the latest last.

    Example: mstl-edge runs list
    """
    from mstl_edge import runs as folders

    found: list[dict[str, Any]] = [
        {
            "run": str(path),
            "finished_stages": folders.finished_stages(folders.open_run(path)),
            "finished": folders.RunFolder(path).metrics.is_file(),
            "size_bytes": folders.size_bytes(path),
        }
        for path in folders.list_runs()
    ]
    if json:
        print_json(found)
    else:
        rows = [
            (
                run["run"],
                ", ".join(run["finished_stages"]),
                "yes" if run["finished"] else "no",
                f"{run['size_bytes'] / 1e6:.1f}",
            )
            for run in found
        ]
        print_table("runs", ("run", "finished stages", "finished", "MB"), rows)


@runs.command("clean")
def clean(
    run: Annotated[list[Path] | None, typer.Argument(help="Run folders to delete.", show_default=False)] = None,
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
