"""The app: every command found by its name, every expected error turned into one line and an exit code."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from mstl_edge import __version__
from mstl_edge.errors import MstlEdgeError
from mstl_edge_cli.console import say
from mstl_edge_cli.stopping import ended_by_signals, stopped
from mstl_edge_cli.streams import narration_on_stderr, results_on_stdout

COMMANDS = (
    "run",
    "new",
    "train",
    "export",
    "bench",
    "report",
    "predict",
    "serve",
    "inspect",
    "study",
    "recipes",
    "backbones",
    "runs",
    "data",
    "doctor",
)
"""Modules of `mstl_edge_cli.commands`, in the order of `--help`; each has `register(app)`."""

_WHOLE = 10_000
"""Characters that no first sentence has."""
_STYLE: dict[str, Any] = {"rich_markup_mode": None, "pretty_exceptions_enable": False}


class _Commands(Mapping[str, Any]):
    """The commands by name, each built when it is looked up: working out every command's options is most of a start."""

    def __getitem__(self, name: str) -> Any:
        if name not in COMMANDS:
            raise KeyError(name)
        holder = _holder(name)
        command: Any = typer.main.get_command(holder)
        return command.commands[name] if holder.registered_groups else command

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class CommandGroup(TyperGroup):
    """What `mstl-edge` is to Typer: a group that knows its commands by name and builds the one that is called."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Commands()  # type: ignore[assignment]  # nothing is added to it

    def invoke(self, ctx: Any) -> Any:
        """Run the command; Typer would answer Ctrl-C with "Aborted!" and exit code 1."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise stopped() from None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List every command with the first sentence of its help, whole; its options are not worked out for that."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _outline(name).get_short_help_str(_WHOLE)) for name in COMMANDS])


def _holder(name: str) -> typer.Typer:
    holder = typer.Typer(add_completion=False, **_STYLE)
    importlib.import_module(f"mstl_edge_cli.commands.{name}").register(holder)
    return holder


def _outline(name: str) -> TyperCommand:
    """Return a command's name and help without its options."""
    holder = _holder(name)
    for group in holder.registered_groups:
        assert group.typer_instance is not None
        return TyperCommand(name, help=group.typer_instance.info.help)
    return TyperCommand(name, help=inspect.getdoc(holder.registered_commands[0].callback))


app = typer.Typer(
    name="mstl-edge",
    cls=CommandGroup,
    help="From a few hundred labelled medical images to an int8 model that is proven on a Raspberry Pi. "
    "Research software, no medical device.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    **_STYLE,
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"mstl-edge {__version__}")
        raise typer.Exit


@app.callback()
def _options_of_its_own(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; a `MstlEdgeError`, and what a file system refuses, become one line on stderr and an exit code."""
    with ended_by_signals(), narration_on_stderr():
        try:
            with results_on_stdout():
                try:
                    app()
                except MstlEdgeError as error:
                    say(f"mstl-edge: {error}")
                    raise SystemExit(error.exit_code) from None
        except OSError as error:
            say(f"mstl-edge: {_of_the_system(error)}")
            raise SystemExit(1) from None


def _of_the_system(error: OSError) -> MstlEdgeError:
    """Return the error for what no part of the program could explain better."""
    files = [str(name) for name in (error.filename, error.filename2) if name is not None]
    reason = error.strerror or str(error) or type(error).__name__
    return MstlEdgeError(
        "a file system that does what it is asked" if files else "a system that does what it is asked",
        received=f"{' and '.join(files)} ({reason})" if files else reason,
        hint="See whether the file may be read and written, and whether its disk is sound, mounted and not full.",
    )
