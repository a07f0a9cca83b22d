"""`mstl-edge backbones`: which architectures there are, and what each costs."""

from __future__ import annotations

from typing import Annotated

import typer

from mstl_edge.errors import RecipeError
from mstl_edge_cli import options
from mstl_edge_cli.completing import complete_backbone
from mstl_edge_cli.console import print_json, print_table, say
from mstl_edge_cli.terminal import Terminal

DEFAULT_SIZE = 224


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(backbones)


def backbones(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="One architecture, with its cut points; default all.", autocompletion=complete_backbone
        ),
    ] = "",
    size: Annotated[
        int, typer.Option(min=32, max=1024, help="Pixels of the image that multiply-accumulates are counted for.")
    ] = DEFAULT_SIZE,
    json: options.Json = False,
) -> None:
    """List the architectures that a recipe or --backbone may name, without their heads.

    Example: mstl-edge backbones mobilenet_v2
    """
    from mstl_edge.planning.asked import parse_backbone

    chosen, variant = parse_backbone(name) if name else ("", "")
    say("starting TensorFlow, which builds them")
    from mstl_edge.training.registry import describe_registry
    from mstl_edge_models.backbones import REGISTRY

    found = describe_registry(size, (chosen,) if chosen else (), Terminal(), variant=variant)
    told = found.backbones
    if not told:
        smallest = min(REGISTRY[one].smallest for one in ([chosen] if chosen else REGISTRY))
        raise RecipeError(f"--size {smallest} or more for {chosen or 'any of them'}", received=size)
    if json:
        import msgspec

        print_json({**msgspec.to_builtins(found), "backbones": msgspec.to_builtins(told)})
        return
    print_table(
        f"backbones at {size} pixels, without a head",
        ("backbone", "parameters, M", "MACs, M", "first weights"),
        [
            (
                f"{one.name}:{one.variant}" + ("  (usual)" if one.default and len(found.backbones) > 1 else ""),
                f"{one.parameters / 1e6:.2f}",
                f"{one.macs / 1e6:,.0f}",
                ", ".join(["ImageNet"] * one.imagenet + ["bundled"] * one.bundled) or "a file, or random",
            )
            for one in told
        ],
    )
    if chosen:
        for points in dict.fromkeys(one.cut_points for one in told):
            typer.echo(f"\ncut points (unfreeze_from), from the image to the head:\n{_wrapped(points)}")


def _wrapped(names: tuple[str, ...]) -> str:
    import textwrap

    return textwrap.fill(", ".join(names), 78, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
