"""`mstl-edge export`: a trained run becomes model files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mstl_edge.errors import GateRefusedError
from mstl_edge_cli import options
from mstl_edge_cli.console import Terminal, print_json, print_table, say
from mstl_edge_cli.scores import percent, print_classes, share

if TYPE_CHECKING:
    from mstl_edge.metrics import ClassificationMetrics


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(export)


def export(
    run: options.RunArgument = None,
    int8: Annotated[bool, typer.Option("--int8", help="Full-integer int8, through the export gate (default).")] = False,
    float32: Annotated[bool, typer.Option("--float32", help="The float model.")] = False,
    float16: Annotated[bool, typer.Option("--float16", help="Float16 weights.")] = False,
    dynamic: Annotated[bool, typer.Option("--dynamic", help="Int8 weights, float activations.")] = False,
    qat: Annotated[
        bool | None,
        typer.Option(
            "--qat/--no-qat",
            help="Force quantization-aware or post-training; default: both, the better one.",
            show_default=False,
        ),
    ] = None,
    max_drop: Annotated[
        float | None, typer.Option(min=0.0, help="Points of accuracy the gate allows.", show_default=False)
    ] = None,
    min_agreement: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Share of equal labels the gate demands.", show_default=False)
    ] = None,
    allow_float: Annotated[bool, typer.Option("--allow-float", help="Let layers that int8 hurts stay float.")] = False,
    threads: options.Threads = None,
    json: options.Json = False,
) -> None:
    """Quantize and convert a run; an int8 file is proven on images it has not seen, or not written (exit 3).

    Example: mstl-edge export runs/phantom-20260101-120000 --int8
    """
    import os

    from mstl_edge.runs import open_run

    opened = open_run(run)
    say(f"run: {opened.path}{'' if run else ' (latest)'}; starting TensorFlow")
    from mstl_edge.training.candidates import Kind
    from mstl_edge.training.export import Int8Options, export_float, export_int8
    from mstl_edge.training.seal import FloatScheme

    flags: tuple[tuple[FloatScheme, bool], ...] = (("float32", float32), ("float16", float16), ("dynamic", dynamic))
    schemes = [scheme for scheme, flag in flags if flag]
    threads, reporter = threads or os.cpu_count() or 1, Terminal()
    if schemes and not int8:
        tree = export_float(opened, schemes, threads=threads, reporter=reporter)
    else:
        kinds: list[Kind] = ["qat"] if qat else ["ptq"] if qat is False else ["ptq", "qat"]
        wanted = Int8Options((*kinds, "mixed") if allow_float else tuple(kinds), max_drop, min_agreement, allow_float)
        try:
            tree = export_int8(opened, wanted, beside=schemes, threads=threads, reporter=reporter)
        except GateRefusedError as refused:
            _show(opened.path, refused.tree, json=json)
            raise
    _show(opened.path, tree, json=json)


def _show(run: Path, tree: dict[str, Any], *, json: bool) -> None:
    if json:
        print_json({**tree, "run": str(run)})
        return
    print_candidates(tree)
    if tree["model"] is not None:
        say(f"model: {run / tree['model']}")
        say(f"next: mstl-edge bench {run / tree['model']}")


def print_candidates(tree: dict[str, Any]) -> None:
    """Print every candidate, the chosen one marked, and what the gate said."""
    rows = tree["candidates"]
    chosen = next((number for number, row in enumerate(rows) if row["scheme"] == tree["chosen"]), None)
    print_table(
        "candidates: accuracy on validation, agreement with float32 (95 % intervals)",
        ("scheme", "accuracy %", "agreement %", "kB", "gate", "file"),
        [_row(row) for row in rows],
        marked=chosen,
    )
    for reason in tree.get("reasons", ()):
        say(f"gate: {tree['verdict']}: {reason}")
    if "test" in tree:
        _print_test(tree["test"])


def _print_test(test: dict[str, Any]) -> None:
    """Print both files' scores on the test split, and each class of more than two by itself."""
    import msgspec

    from mstl_edge.metrics import ClassificationMetrics

    scored = {name: msgspec.convert(test[name], ClassificationMetrics) for name in ("float32", "int8")}
    many = len(scored["int8"].confusion) > 2
    columns = ("macro-F1",) if many else ("sensitivity %", "specificity %")
    rows = [(name, one.n, percent(one.accuracy), *_beside_accuracy(one, many=many)) for name, one in scored.items()]
    title = f"test split, {_times(test['scored'])}: float32 and the chosen int8 file"
    print_table(title, ("model", "images", "accuracy %", *columns), rows)
    if many:
        print_classes("\nint8: each class by itself, and what its test images were answered", scored["int8"])


def _beside_accuracy(scored: ClassificationMetrics, *, many: bool) -> tuple[str, ...]:
    return (share(scored.macro_f1),) if many else (percent(scored.sensitivity), percent(scored.specificity))


def _times(scored: int) -> str:
    return "scored once" if scored == 1 else f"scored {scored} times in this run, each time for another file"


def _row(row: dict[str, Any]) -> tuple[object, ...]:
    agreement = row["agreement"]
    told = f"{percent(agreement['agreement'])} of {agreement['n']}" if agreement else "–"
    verdict = row["gate"]["verdict"] if "gate" in row else "–"
    return (row["scheme"], percent(row["accuracy"]), told, f"{row['size_bytes'] / 1000:,.0f}", verdict, row["path"])
