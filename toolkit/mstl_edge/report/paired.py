"""The float32 and the int8 file's answers to the same test images: as the export stored them, or answered again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mstl_edge.classifier import load_classifier
from mstl_edge.data.sources import open_source
from mstl_edge.data.splits import load_manifest
from mstl_edge.errors import DataError, MissingExtraError, RunError
from mstl_edge.progress import Reporter
from mstl_edge.report.records import Grid, read_grid
from mstl_edge.report.run_record import Answered, RunRecord, answered
from mstl_edge.runs import RunFolder


@dataclass(frozen=True)
class Paired:
    """Two files' answers to the same images, in the same order."""

    float32: Answered
    int8: Answered


def paired_answers(run: RunRecord, reporter: Reporter) -> Paired | str:
    """Return both files' answers to the test split, or why there are none.

    Raises:
        RunError: A stored table that is damaged.
        ArtifactError: A model file that is damaged.
    """
    if run.export is None or run.export.test is None:
        return "float32 against int8: mstl-edge export RUN --int8"
    if run.folder.test_predictions.is_file():
        return _stored(run.folder.test_predictions, run)
    files = (run.folder.path / run.export.float_model, run.folder.path / run.export.model)
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
        answered(grid, run.last, label_column=1, first_probability=2),
        answered(grid, run.last, label_column=1, first_probability=2 + len(labels)),
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
        both.append(answered(grid, run.last, label_column=1, first_probability=2))
    return Paired(*both)


def test_images(folder: RunFolder) -> list[tuple[Path, str, str]]:
    """Return the test images of a run's last stage: file, name, label.

    Raises:
        DataError: The manifest or the data set is gone.
    """
    stage = folder.recipe().stages[-1]
    manifest = load_manifest(folder.manifest(stage.name))
    source = open_source(manifest.source, patient=stage.split.patient, column=stage.split.column)
    return [(source.folder / row.name, row.name, row.label) for row in manifest.part("test")]


def labels_differ(paired: Paired) -> int:
    """Return how many images the two files label differently."""
    return int(np.count_nonzero(paired.float32.decided != paired.int8.decided))
