"""`mstl-edge report`: one HTML file that shows what a run, a study or a benchmark found."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mstl_edge_cli import options
from mstl_edge_cli.completing import complete_source
from mstl_edge_cli.console import print_json, say
from mstl_edge_cli.terminal import Terminal

Sources = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="RUN|STUDY|BENCH.json",
        help="Run folders, studies, benchmark reports; default the latest run.",
        show_default=False,
        autocompletion=complete_source,
    ),
]
ReportFile = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="The HTML file; default RUN/report.html.", show_default=False),
]
WithImages = Annotated[
    bool,
    typer.Option(
        "--with-images",
        help="Show pictures and file names of test images, and where the model looked: patients' images.",
    ),
]
OpenReport = Annotated[bool, typer.Option("--open", help="Show it in the browser of this machine.")]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(report)


def report(
    sources: Sources = None,
    out: ReportFile = None,
    with_images: WithImages = False,
    show: OpenReport = False,
    json: options.Json = False,
) -> None:
    """Write one self-contained HTML file: figures, tables and the model card, for the screen and for paper.

    Example: mstl-edge report runs/phantom-20260101-120000 pi4-bench.json --out report.html
    """
    from mstl_edge.report import write_report

    written = write_report(sources or (), out=out, with_images=with_images, reporter=Terminal())
    for number, source in enumerate(written.sources):
        say(f"{source.kind}: {source.path}{' (latest)' if not sources and number == 0 else ''}")
    for entry in written.missing:
        say(f"not shown: {entry}")
    if json:
        tree = {
            "schema": "mstl-edge/report/1",
            "report": str(written.path),
            "sources": [{"kind": source.kind, "path": str(source.path)} for source in written.sources],
            "missing": list(written.missing),
        }
        print_json(tree)
    else:
        sys.stdout.write(f"{written.path}\n")
    if show:
        sys.stdout.flush()
        _open(written.path)


def _open(path: Path) -> None:
    """Show a file in a browser; where there is none, over SSH say, the report lies there all the same."""
    import webbrowser

    try:
        opened = webbrowser.open(path.resolve().as_uri())
    except webbrowser.Error:
        opened = False
    if not opened:
        say(f"note: no browser here; copy the file to where one is, and open it: {path.resolve()}")
