"""`mstl-edge predict`: what the device would answer."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mstl_edge_cli.completing import complete_model
from mstl_edge_cli.console import print_json_line, progress_bar, say

if TYPE_CHECKING:
    from mstl_edge.classifier import Prediction, Unreadable

Model = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="A .tflite file made by 'mstl-edge export', or a run folder for the one it chose.",
        autocompletion=complete_model,
    ),
]
Images = Annotated[list[str], typer.Argument(metavar="IMAGE", help="Image files, folders, or quoted globs.")]
RuntimeName = Annotated[
    str, typer.Option("--runtime", metavar="auto|litert|tflite-runtime|reference", help="What runs the model.")
]
Threads = Annotated[int, typer.Option("--threads", help="Threads of one inference.")]

Write = Callable[[str, "Prediction | Unreadable"], None]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("predict", epilog="Example: mstl-edge predict model-int8.tflite scans/ --csv > answers.csv")(predict)


def predict(
    model: Model,
    images: Images,
    runtime: RuntimeName = "auto",
    threads: Threads = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line per image.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values.")] = False,
) -> None:
    """Print the label and the calibrated probability that a model gives each image.

    Research software: the label is a model's output on a picture, not a finding about a person.
    An unreadable image is reported and does not stop the others; the exit code is then 1. Of a folder, every file gets a row but
    for documents, hidden files and what links lead back to; those are counted.
    """
    from mstl_edge.classifier import Unreadable, load_classifier
    from mstl_edge.data.chosen import PassedOver, chosen_files
    from mstl_edge.errors import printable

    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv exclude each other")
    classifier = load_classifier(_file_of(model), runtime=runtime, threads=threads)  # type: ignore[arg-type]  # it checks the name
    card = classifier.card
    replayed = "golden answers reproduced" if classifier.replayed_lsb is not None else "no golden samples to check"
    say(
        f"model: {card.name} {card.scheme} ({card.verdict}), {classifier.runtime.name}: {classifier.runtime.why}; {replayed}"
    )
    passed_over = PassedOver()
    total = sum(1 for _ in chosen_files(images, passed_over))
    unreadable = 0
    with nullcontext(lambda _: None) if total == 1 else progress_bar("predicting", total) as advance:
        write = _writer(card.labels, as_json=as_json, as_csv=as_csv)
        for image, outcome in classifier.predict_many(chosen_files(images)):
            write(str(image) if as_json or as_csv else printable(str(image)), outcome)
            # Whatever reads the rows need not wait for a full buffer.
            sys.stdout.flush()
            unreadable += isinstance(outcome, Unreadable)
            advance(1)
    for line in passed_over.lines():
        say(line)
    if unreadable:
        say(f"mstl-edge: {unreadable:,} of {total:,} images could not be read")
        raise typer.Exit(1)


def _file_of(model: Path) -> Path:
    """Return the file that is run: of a run folder the int8 file that its export chose.

    Raises:
        RunError: The run has no export, or the gate refused it.
    """
    if model.suffix == ".tflite":  # a device has no runs
        return model
    from mstl_edge.runs import is_run, open_run

    if not is_run(model):
        return model
    from mstl_edge_bench.lineup import exported_models

    chosen = exported_models(open_run(model)).model
    say(f"run: {model}; its export chose {chosen.name}")
    return chosen


def _writer(labels: Sequence[str], *, as_json: bool, as_csv: bool) -> Write:
    if as_json:
        return _write_json
    return _csv_writer(labels) if as_csv else _row_writer(labels)


def _write_json(image: str, outcome: Prediction | Unreadable) -> None:
    from mstl_edge.classifier import to_record

    print_json_line(to_record(image, outcome))


def _csv_writer(labels: Sequence[str]) -> Write:
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(["image", "label", "probability", *(f"p_{label}" for label in labels), "error", "warning"])

    def write(image: str, outcome: Prediction | Unreadable) -> None:
        from mstl_edge.classifier import Prediction

        if isinstance(outcome, Prediction):
            shares = [f"{outcome.probabilities[label]:.6f}" for label in labels]
            rows.writerow(
                [image, outcome.label, f"{outcome.probability:.6f}", *shares, "", "; ".join(outcome.warnings)]
            )
        else:
            rows.writerow([image, "", "", *("" for _ in labels), outcome.error, ""])

    return write


def _row_writer(labels: Sequence[str]) -> Write:
    """Rows are written as they come: a table that fits its widths to all rows would have to keep them all."""
    width = max(len("label"), *(len(label) for label in labels))
    sys.stdout.write(f"{'label':<{width}}  probability  image\n")

    def write(image: str, outcome: Prediction | Unreadable) -> None:
        from mstl_edge.classifier import Prediction

        if isinstance(outcome, Prediction):
            warned = f"  warning: {'; '.join(outcome.warnings)}" if outcome.warnings else ""
            sys.stdout.write(f"{outcome.label:<{width}}  {outcome.probability:>11.1%}  {image}{warned}\n")
        else:
            sys.stdout.write(f"{'–':<{width}}  {'–':>11}  {image}  {outcome.error}\n")

    return write
