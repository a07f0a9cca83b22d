"""The app: every command registered, every expected error turned into one line and an exit code."""

from __future__ import annotations

import importlib
import sys

import typer

from mstl_edge.errors import MstlEdgeError

COMMANDS = ("run", "train", "export", "bench", "report", "predict", "inspect", "study", "recipes", "runs", "data")
"""Modules of `mstl_edge_cli.commands`, in the order of `--help`; each has `register(app)`."""

app = typer.Typer(
    name="mstl-edge",
    help="From a few hundred labelled medical images to an int8 model that is proven on a Raspberry Pi. "
    "Research software, no medical device.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for _name in COMMANDS:
    importlib.import_module(f"mstl_edge_cli.commands.{_name}").register(app)


def main() -> None:
    """Run the command line; a `MstlEdgeError` becomes one line on stderr and its exit code."""
    try:
        app()
    except MstlEdgeError as error:
        sys.stderr.write(f"mstl-edge: {error}\n")
        raise SystemExit(error.exit_code) from None
