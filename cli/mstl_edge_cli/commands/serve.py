"""`mstl-edge serve`: a page to show a model, on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mstl_edge_cli import options
from mstl_edge_cli.commands.predict import RuntimeName, Threads
from mstl_edge_cli.completing import complete_model
from mstl_edge_cli.console import print_json_line, say

LEAST_TOKEN = 12

Models = Annotated[
    list[Path],
    typer.Argument(
        metavar="MODEL [MODEL]",
        help="A .tflite file made by 'mstl-edge export', or a run folder for the one it chose; a second one to compare.",
        autocompletion=complete_model,
    ),
]
Host = Annotated[str, typer.Option(help="Address to listen on; any but this machine's own demands --token.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes one that is free.")]
Token = Annotated[
    str,
    typer.Option(
        envvar="MSTL_EDGE_TOKEN",
        help="What every request must bring; better by MSTL_EDGE_TOKEN, which no list of processes shows.",
    ),
]
Largest = Annotated[float, typer.Option("--max-mb", min=0.1, max=1000, metavar="MB", help="Largest upload.")]
Rate = Annotated[
    float, typer.Option(min=0, help="Images a second that one client may ask for, on average; 0 for any number.")
]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("serve", epilog="Example: mstl-edge serve model-int8.tflite model-float32.tflite")(serve)


def serve(
    models: Models,
    host: Host = "127.0.0.1",
    port: Port = 8337,
    token: Token = "",
    max_mb: Largest = 32,
    rate: Rate = 10,
    runtime: RuntimeName = "auto",
    threads: Threads = 1,
    json: options.Json = False,
) -> None:
    """Show a model on a page: drop an image, see the answer, where it comes from, and how sure it is.

    The page asks nothing of the network but this server; images stay in memory and are never stored. POST /v1/predict and
    GET /v1/card are for programs (/openapi.json). Ctrl-C ends it. Research software: no answer is a finding about a person.
    """
    from mstl_edge.serve.server import listening, require_packages

    require_packages()
    from mstl_edge.errors import MstlEdgeError, typed
    from mstl_edge.serve.guard import Access, is_loopback

    if len(models) > 2:
        raise MstlEdgeError("one model, or two to compare", received=f"{len(models)}")
    if not is_loopback(host) and len(token) < LEAST_TOKEN:
        raise MstlEdgeError(
            f"a --token of at least {LEAST_TOKEN} characters, since others can reach {host}",
            received="none" if not token else f"{len(token)} characters",
            hint=f"For example MSTL_EDGE_TOKEN=$(openssl rand -hex 16) {typed('mstl-edge', 'serve', *models, '--host', host)}",
        )
    on = listening(host, port)
    from mstl_edge.classifier import load_classifier
    from mstl_edge.serve.answering import Model
    from mstl_edge.serve.api import make_app
    from mstl_edge.serve.limits import Limits
    from mstl_edge.serve.server import run
    from mstl_edge_cli.commands.predict import file_of

    limits = Limits(upload_bytes=round(max_mb * 1e6), per_second=rate)
    files = [file_of(model) for model in models]
    loaded = []
    for file in files:
        classifier = load_classifier(file, runtime=runtime, threads=threads)  # type: ignore[arg-type]  # it checks the name
        loaded.append(Model(file.name, classifier, limits.waiting))
    for model in loaded:
        card = model.classifier.card
        say(f"model: {model.file}, {card.scheme} ({card.verdict}), {model.classifier.runtime.name}")
    app = make_app(loaded, Access(host, token), limits, _reports(files))
    address = _address(host, on.getsockname()[1])

    def ready() -> None:
        if json:
            print_json_line(
                {"schema": "mstl-edge/serving/1", "address": address, "models": [model.file for model in loaded]}
            )
        else:
            sys.stdout.write(f"{address}{'#token=…' if token else ''}\n")
        sys.stdout.flush()
        say(
            "on this machine alone"
            if is_loopback(host)
            else "anybody who reaches this machine and has the token may ask; the connection is not encrypted"
        )
        say("Ctrl-C ends it")

    run(app, on, limits.connections, ready)


def _address(host: str, port: int) -> str:
    import socket

    shown = socket.gethostname() if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/"


def _reports(files: list[Path]) -> dict[str, Path]:
    """Return the reports that lie beside the models, and those of the runs that they lie in, by a title each."""
    from mstl_edge.runs import is_run

    found: dict[Path, None] = {}
    for file in files:
        folder = file.resolve().parent
        for place in (folder, *([folder.parent] if is_run(folder.parent) else [])):
            if (place / "report.html").is_file():
                found[place / "report.html"] = None
    titles = [f"report in {path.parent.name}" for path in found]
    return {
        title if titles.count(title) == 1 else f"{title} ({number})": path
        for number, (title, path) in enumerate(zip(titles, found, strict=True), 1)
    }
