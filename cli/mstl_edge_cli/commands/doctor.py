"""`mstl-edge doctor`: what is installed, what works here, what each extra would add."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

import typer

from mstl_edge_cli import options
from mstl_edge_cli.console import print_json, print_table

if TYPE_CHECKING:
    from mstl_edge.schemas.bench import Host
    from mstl_edge_cli.checkup import Checkup, Extra


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(doctor)


def doctor(json: options.Json = False) -> None:
    """Say what is installed, what works here and what each extra would add; exit code 1 where no model runs.

    Example: mstl-edge doctor
    """
    from mstl_edge_cli.checkup import check_up

    found = check_up()
    if json:
        import msgspec

        print_json(msgspec.to_builtins(found))
    else:
        _print_tables(found)
        typer.echo(f"\nverdict: {found.verdict}")
    if not found.works:
        raise typer.Exit(1)


def _print_tables(found: Checkup) -> None:
    print_table(f"mstl-edge {found.version}", ("machine", ""), _machine(found.host))
    typer.echo()
    checks = [(check.name, "yes" if check.works else "no", check.told) for check in found.checks]
    print_table("What works here", ("what", "works", "why"), checks)
    typer.echo()
    typer.echo("Packages")
    _print_wrapped("always, as a device needs them", _listed(found.packages))
    for extra in found.extras:
        _print_wrapped(f"extra {extra.name}, for {extra.adds}", _state(extra))
    typer.echo()
    for extra in found.extras:
        if extra.unmet:
            typer.echo(f"to add {extra.name}{', in an environment of its own' * extra.alone}: {extra.command}")
    for check in found.checks:
        # Without a second runtime nothing is missing.
        if check.hint and not (check.name.startswith("runtime ") and found.works):
            typer.echo(f"{check.name}: {check.hint}")


def _print_wrapped(title: str, text: str) -> None:
    indent = "    "
    typer.echo(f"  {title}:")
    typer.echo(textwrap.fill(text, 80, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False))


def _machine(host: Host) -> list[tuple[str, str]]:
    memory = "unknown" if host.memory_bytes is None else f"{host.memory_bytes / 1e9:.1f} GB"
    cpu = f"{host.cpu}{f' (emulated: {host.emulated})' if host.emulated else ''}"
    return [
        ("Python", f"{host.python}, {host.bits} bits"),
        ("system", f"{host.system}, Linux {host.kernel}, {host.architecture}"),
        ("board", host.board),
        ("CPU", cpu),
        ("that matter for int8", ", ".join(host.features) or "no instructions that are known"),
        ("cores, memory", f"{host.cores} cores, {memory}"),
    ]


def _listed(packages: Mapping[str, str | None]) -> str:
    return ", ".join(f"{name} {version}" for name, version in packages.items() if version) or "none"


def _state(extra: Extra) -> str:
    return f"lacks {', '.join(extra.unmet)}; has {_listed(extra.packages)}" if extra.unmet else _listed(extra.packages)
