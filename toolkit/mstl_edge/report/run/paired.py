"""The float32 and the int8 file's answers to the same test images: as the export stored them, or answered again."""

from __future__ import annotations

from pathlib import Path

from mstl_edge.classifier import load_classifier
from mstl_edge.errors import DataError, MissingExtraError, RunError
from mstl_edge.progress import Reporter
from mstl_edge.report.answers.answers import Answered, Paired, answered
from mstl_edge.report.answers.records import Grid, read_grid
from mstl_edge.report.answers.thumbnails import test_images
from mstl_edge.report.run.run_record import RunRecord


def paired_answers(run: RunRecord, reporter: Reporter) -> Paired | str:
    """Return both files' answers to the test split, or why there are none.

    Raises:
        RunError: A stored table that is damaged.
        ArtifactError: A model file that is damaged.
    """
    export = run.export
    if export is not None and export.refused:
        return "float32 against int8: the gate refused every candidate, and the test images are for a chosen file alone"
    if export is None or export.test is None or export.model is None or export.float_model is None:
        return "float32 against int8: mstl-edge export RUN --int8"
    if run.folder.test_predictions.is_file():
        return _stored(run.folder.test_predictions, run)
    files = (run.folder.path / export.float_model, run.folder.path / export.model)
    absent = [file.name for file in files if not file.is_file()]
    if absent:
        return f"float32 against int8: {', '.join(absent)} is gone; mstl-edge export RUN --int8"
    try:
        return _asked_again(run, files, reporter)
    except (DataError, MissingExtraError) as error:
        # The page may be published, and the error may name a folder of this machine.
        reporter.say(f"float32 against int8 cannot be compared: {error}")
        return "float32 against int8: the test images cannot be answered again here"


def _stored(path: Path, run: RunRecord) -> Paired:
    grid = read_grid(path)
    labels = run.last.labels
    said = ("image", "label", *(f"float32 {label}" for label in labels), *(f"int8 {label}" for label in labels))
    if grid.head != said:
        raise RunError(f"columns {', '.join(said)}", received=f"{path}: {', '.join(grid.head)}")
    return Paired(
        _answered(grid, run, 2),
        _answered(grid, run, 2 + len(labels)),
    )


def _asked_again(run: RunRecord, files: tuple[Path, Path], reporter: Reporter) -> Paired:
    images = test_images(run.folder)
    both = []
    for file in files:
        classifier = load_classifier(file)
        rows = []
        with reporter.bar(f"answers of {file.name}", len(images)) as advance:
            for path, _, _ in images:
                rows.append(tuple(f"{p:.6f}" for p in classifier.predict(path).probabilities.values()))
                advance(1)
        cells = tuple((name, label, *row) for (_, name, label), row in zip(images, rows, strict=True))
        grid = Grid(file, ("image", "label", *run.last.labels), cells)
        both.append(_answered(grid, run, 2))
    return Paired(*both)


def _answered(grid: Grid, run: RunRecord, first_probability: int) -> Answered:
    last = run.last
    return answered(
        grid,
        last.labels,
        positive=last.positive_index,
        threshold=last.threshold,
        label_column=1,
        first_probability=first_probability,
    )
