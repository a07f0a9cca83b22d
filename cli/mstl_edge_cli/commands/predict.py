"""`mstl-edge predict`: what the device would answer."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mstl_edge_cli import options
from mstl_edge_cli.completing import complete_model
from mstl_edge_cli.console import print_json_line, say
from mstl_edge_cli.terminal import progress_bar

if TYPE_CHECKING:
    from mstl_edge.errors import DataError
    from mstl_edge.prediction import Explanation, Prediction, Unreadable

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

ExplainFolder = Annotated[
    Path | None,
    typer.Option(
        "--explain",
        metavar="DIR",
        help="Write a picture for each image: where the answer comes from.",
        show_default=False,
        callback=options.at_home,
    ),
]

Write = Callable[[str, "Prediction | Explanation | Unreadable"], None]
WriteRow = Callable[[str, "Prediction | Unreadable"], None]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("predict", epilog="Example: mstl-edge predict model-int8.tflite scans/ --csv > answers.csv")(predict)


def predict(
    model: Model,
    images: Images,
    runtime: RuntimeName = "auto",
    threads: Threads = 1,
    explain: ExplainFolder = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line per image.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values.")] = False,
) -> None:
    """Print the label and the calibrated probability that a model gives each image.

    Research software: the label is a model's output on a picture, not a finding about a person.
    An unreadable image is reported and does not stop the others; the exit code is then 1. Of a folder, every file gets a row but
    for documents, hidden files and what links lead back to; those are counted.

    --explain DIR writes DIR/STEM.png for each image. Files that carry their feature map tell it exactly at no cost; with any other,
    patches of the image are covered one after the other, which takes 82 inferences.
    """
    from mstl_edge.classifier import load_classifier
    from mstl_edge.data.files.chosen import PassedOver, chosen_files
    from mstl_edge.errors import printable
    from mstl_edge.prediction import Unreadable

    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv exclude each other")
    classifier = load_classifier(file_of(model), runtime=runtime, threads=threads)  # type: ignore[arg-type]  # it checks the name
    card = classifier.card
    replayed = "golden answers reproduced" if classifier.replayed_lsb is not None else "no golden samples to check"
    say(
        f"model: {card.name} {card.scheme} ({card.verdict}), {classifier.runtime.name}: {classifier.runtime.why}; {replayed}"
    )
    passed_over = PassedOver()
    total = _count(chosen_files(images, passed_over), images, explain)
    unreadable = 0
    with nullcontext(lambda _: None) if total == 1 else progress_bar("predicting", total) as advance:
        write = _writer(card.labels, as_json=as_json, as_csv=as_csv)
        chosen = chosen_files(images)
        outcomes = (
            classifier.predict_many(chosen) if explain is None else _pictured(classifier.explain_many(chosen), explain)
        )
        for image, outcome in outcomes:
            write(str(image) if as_json or as_csv else printable(str(image)), outcome)
            # Whatever reads the rows need not wait for a full buffer.
            sys.stdout.flush()
            unreadable += isinstance(outcome, Unreadable)
            advance(1)
    for line in passed_over.lines():
        say(line)
    if explain is not None:
        say(f"maps: {explain}")
    if unreadable:
        say(f"mstl-edge: {unreadable:,} of {total:,} images could not be read")
        raise typer.Exit(1)


def file_of(model: Path) -> Path:
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


def _count(images: Iterable[Path], named: Sequence[str], maps: Path | None) -> int:
    """Count the images, and refuse a folder for maps among them: maps would replace images, or be taken for some.

    Raises:
        DataError: The folder holds an image, or lies in a folder that was named.
    """
    target = None if maps is None else maps.resolve()
    if target is not None:
        for name in named:
            if Path(name).is_dir() and target.is_relative_to(Path(name).resolve()):
                raise _among_images(maps, f"lies in {name}")
    total = 0
    for image in images:
        total += 1
        if image.parent.resolve() == target:
            raise _among_images(maps, f"holds {image}")
    return total


def _among_images(maps: Path | None, why: str) -> DataError:
    from mstl_edge.errors import DataError

    return DataError(
        "a folder of its own for the maps", received=f"{maps}, which {why}", hint="For example --explain maps"
    )


def _pictured(
    explained: Iterable[tuple[Path, Explanation | Unreadable]], folder: Path
) -> Iterator[tuple[Path, Explanation | Unreadable]]:
    """Write each picture as `STEM.png`, with a number where stems repeat, and pass the explanation on."""
    from mstl_edge.prediction import Explanation

    taken: set[str] = set()
    for image, outcome in explained:
        if isinstance(outcome, Explanation):
            name, number = image.stem, 1
            while name in taken:
                number += 1
                name = f"{image.stem}-{number}"
            taken.add(name)
            outcome.save(folder / f"{name}.png")
        yield image, outcome


def _writer(labels: Sequence[str], *, as_json: bool, as_csv: bool) -> Write:
    if as_json:
        return _write_json
    row = _csv_writer(labels) if as_csv else _row_writer(labels)

    def write(image: str, outcome: Prediction | Explanation | Unreadable) -> None:
        from mstl_edge.prediction import Explanation

        row(image, outcome.prediction if isinstance(outcome, Explanation) else outcome)

    return write


def _write_json(image: str, outcome: Prediction | Explanation | Unreadable) -> None:
    from mstl_edge.prediction import to_record

    print_json_line(to_record(image, outcome))


def _csv_writer(labels: Sequence[str]) -> WriteRow:
    import csv

    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(
        ["image", "label", "probability", *(f"p_{label}" for label in labels), "error", "warning", "set", "familiar"]
    )

    def write(image: str, outcome: Prediction | Unreadable) -> None:
        from mstl_edge.prediction import Prediction

        if isinstance(outcome, Prediction):
            shares = [f"{outcome.probabilities[label]:.6f}" for label in labels]
            familiar = None if outcome.familiarity is None else outcome.familiarity.familiar
            doubt = ["|".join(outcome.set or ()), _yes_or_no(familiar)]
            told = [image, outcome.label, f"{outcome.probability:.6f}", *shares]
            rows.writerow([*told, "", "; ".join(outcome.warnings), *doubt])
        else:
            rows.writerow([image, "", "", *("" for _ in labels), outcome.error, "", "", ""])

    return write


def _with_remarks(row: str, remarks: str, indent: int) -> str:
    """Return a row with what is remarked beside it; on a terminal that is too narrow, below it."""
    whole = f"{row}  {remarks}" if remarks else row
    if not remarks or not sys.stdout.isatty() or len(whole) <= shutil.get_terminal_size().columns:
        return whole
    return f"{row}\n{'':<{indent}}  {remarks}"


def _yes_or_no(value: bool | None) -> str:
    return "" if value is None else "yes" if value else "no"


def _row_writer(labels: Sequence[str]) -> WriteRow:
    """Rows are written as they come: a table that fits its widths to all rows would have to keep them all."""
    width = max(len("label"), *(len(label) for label in labels))
    sys.stdout.write(f"{'label':<{width}}  probability  image\n")

    def write(image: str, outcome: Prediction | Unreadable) -> None:
        from mstl_edge.prediction import Prediction

        if isinstance(outcome, Prediction):
            remarks = [*outcome.remarks(), *(f"warning: {'; '.join(outcome.warnings)}" for _ in outcome.warnings[:1])]
            row = f"{outcome.label:<{width}}  {outcome.probability:>11.1%}  {image}"
            sys.stdout.write(f"{_with_remarks(row, '; '.join(remarks), width)}\n")
        else:
            sys.stdout.write(f"{'–':<{width}}  {'–':>11}  {image}  {outcome.error}\n")

    return write
