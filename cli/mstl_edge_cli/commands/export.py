"""`mstl-edge export`: a trained run becomes model files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mstl_edge import bounded
from mstl_edge.errors import ArtifactError, GateRefusedError, typed
from mstl_edge_cli import options
from mstl_edge_cli.console import print_json, print_table, print_text, say
from mstl_edge_cli.endings.ending import print_ending
from mstl_edge_cli.scores import percent, print_classes, share
from mstl_edge_cli.terminal import Terminal

if TYPE_CHECKING:
    from mstl_edge.metrics import ClassificationMetrics, Interval
    from mstl_edge.schemas.export import Export, ExportedFile, Origin, PairedTest
    from mstl_edge.training.exporting.seal import FloatScheme
    from mstl_edge.training.quantize.candidates import Kind


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
    cross_fit: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=20,
            help="Judge the procedure on so many parts of the training images, 0 for not at all; default: the recipe's, where "
            "fewer than 100 images were kept from training.",
            show_default=False,
        ),
    ] = None,
    allow_float: Annotated[bool, typer.Option("--allow-float", help="Let layers that int8 hurts stay float.")] = False,
    single_output: Annotated[
        bool,
        typer.Option(
            "--single-output",
            help="Leave the feature map out, from which 'predict --explain' draws its maps, for programs that take one output.",
        ),
    ] = False,
    coverage: Annotated[
        float,
        typer.Option(
            "--coverage",
            min=0.5,
            max=0.99,
            help="Share of images whose set of labels, as 'predict' tells it, is promised to hold the true one.",
        ),
    ] = 0.9,
    metadata: Annotated[
        bool, typer.Option("--metadata", help="Also a copy of each file for MediaPipe Tasks and ML Kit.")
    ] = False,
    data: options.MovedData = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Also a copy of the chosen file, once it has passed.",
            show_default=False,
            callback=options.at_home,
        ),
    ] = None,
    threads: options.Threads = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Quantize and convert a run; an int8 file is proven on images it has not seen, or not written (exit 3).

    Example: mstl-edge export runs/phantom-20260101-120000 --int8
    """
    import os

    from mstl_edge.output_folder import working_alone
    from mstl_edge.runs import open_run, relocate_run

    opened = open_run(run)
    if out is not None and out.is_dir():
        raise ArtifactError(
            "a file to write the model to",
            received=f"{out}, a folder",
            hint=f"For example {typed('--out', out / 'model.tflite')}",
        )
    kinds: list[Kind] = ["qat"] if qat else ["ptq"] if qat is False else ["ptq", "qat"]
    flags: tuple[tuple[FloatScheme, bool], ...] = (("float32", float32), ("float16", float16), ("dynamic", dynamic))
    schemes = [scheme for scheme, flag in flags if flag]
    threads, reporter = threads or os.cpu_count() or 1, Terminal()
    with working_alone(opened.path):
        relocate_run(opened, options.stage_data(data), reporter)
        say(f"run: {opened.path}{'' if run else ' (latest)'}; starting TensorFlow")
        from mstl_edge.training.exporting.export import Int8Options, export_float, export_int8
        from mstl_edge.training.exporting.mediapipe import write_mediapipe_files

        if schemes and not int8:
            record = export_float(
                opened, schemes, single_output=single_output, coverage=coverage, threads=threads, reporter=reporter
            )
        else:
            built = (*kinds, "mixed") if allow_float else tuple(kinds)
            wanted = Int8Options(built, max_drop, min_agreement, cross_fit, allow_float, single_output, coverage)
            try:
                record = export_int8(opened, wanted, beside=schemes, threads=threads, reporter=reporter)
            except GateRefusedError as refused:
                if metadata:
                    write_mediapipe_files(opened, reporter)
                _show(opened.path, refused_export(refused), json=json, verbose=verbose)
                raise
        if metadata:
            record = write_mediapipe_files(opened, reporter)
    if out is not None and record.model is not None:
        from mstl_edge.storage import write_bytes

        write_bytes(out, (opened.path / record.model).read_bytes())
        say(f"copy: {out}")
    _show(opened.path, record, json=json, verbose=verbose)


def refused_export(refused: GateRefusedError) -> Export:
    """Return what a refused export leaves."""
    from mstl_edge.schemas.export import EXPORT

    return EXPORT.convert(refused.tree, origin="a refused export", hint="")


def _show(run: Path, record: Export, *, json: bool, verbose: bool) -> None:
    if json:
        print_json({**plain(record), "run": str(run)})
        return
    from mstl_edge_cli.endings.export import export_ending

    print_candidates(record, verbose=verbose)
    print_ending(export_ending(record, run))


def plain(record: Export) -> dict[str, Any]:
    """Return an export as plain values."""
    import msgspec

    tree: dict[str, Any] = msgspec.to_builtins(record)
    return tree


def print_candidates(record: Export, *, verbose: bool = False) -> None:
    """Print every candidate, the chosen one marked, and each class of more than two; or all that the gate saw and said."""
    from mstl_edge_cli.endings.export import VERDICTS

    chosen = next((number for number, row in enumerate(record.candidates) if row.scheme == record.chosen), None)
    columns = ("scheme", "accuracy %", "as float32 %, n", "kB", "gate", *(("file",) if verbose else ()))
    print_table(
        "candidates: accuracy on validation, answers as float32 gives them (95 %)",
        columns,
        [_row(row)[: len(columns)] for row in record.candidates],
        marked=chosen,
        meanings=VERDICTS,
    )
    if verbose:
        _print_reasons(record)
    if record.test is not None and verbose:
        _print_test(record.test)
    if record.test is not None:
        print_test_classes(record.test, answers=verbose)


def _print_reasons(record: Export) -> None:
    """Print what the verdict rests on, and every reason of every candidate."""
    if record.gate is not None:
        print_table(
            f"\n{record.chosen or 'the nearest candidate'} against float32, by origin of the images",
            ("images", "n", "answered by", "same label %", "drop, points", "counts"),
            [_origin(origin) for origin in record.gate.origins],
        )
    reasons = [
        (row.scheme, row.gate.verdict, reason) for row in record.candidates if row.gate for reason in row.gate.reasons
    ]
    if reasons:
        print_text("")
    for scheme, verdict, reason in reasons:
        print_text(f"{scheme}: {verdict}: {reason}")


def _print_test(test: PairedTest) -> None:
    """Print both files' scores on the test split."""
    scored = {"float32": test.float32, "int8": test.int8}
    many = len(test.int8.confusion) > 2
    columns = ("macro-F1",) if many else ("sensitivity %", "specificity %")
    rows = [(name, one.n, percent(one.accuracy), *_beside_accuracy(one, many=many)) for name, one in scored.items()]
    title = f"\ntest split, {_times(test.scored)}: float32 and the chosen int8 file"
    print_table(title, ("model", "images", "accuracy %", *columns), rows)


def print_test_classes(test: PairedTest, *, answers: bool) -> None:
    """Print what the int8 file scored on each class of more than two; with `answers`, also what it answered."""
    if len(test.int8.classes) > 2:
        print_classes("int8: each class by itself, on the test split (95 %)", test.int8, answers=answers)


def _beside_accuracy(scored: ClassificationMetrics, *, many: bool) -> tuple[str, ...]:
    return (share(scored.macro_f1),) if many else (percent(scored.sensitivity), percent(scored.specificity))


def _times(scored: int) -> str:
    return "scored once" if scored == 1 else f"scored {scored} times in this run, each time for another file"


def _row(row: ExportedFile) -> tuple[object, ...]:
    agreement = f"{percent(row.agreement.agreement)}, {row.agreement.n:,}" if row.agreement else "–"
    verdict = row.gate.verdict if row.gate is not None else "–"
    return (row.scheme, percent(row.accuracy), agreement, f"{row.size_bytes / 1000:,.0f}", verdict, row.path)


def _origin(origin: Origin) -> tuple[object, ...]:
    return (
        origin.origin,
        f"{origin.images}" if origin.views == 1 else f"{origin.images} × {origin.views} views",
        "the file" if origin.judged == "file" else "others made like it",
        percent(origin.agreement.agreement) if origin.agreement else "–",
        _points(origin.drop),
        "yes" if origin.carries else "no",
    )


def _points(drop: Interval | None) -> str:
    return "–" if drop is None else bounded.fine_percent(drop)
