"""What a run folder holds for a report: its stages, their curves and answers, the export, the answers of the exported files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mstl_edge.artifact import Artifact, open_artifact
from mstl_edge.errors import RunError
from mstl_edge.metrics import Agreement, ClassificationMetrics, Interval, McNemar, decide
from mstl_edge.recipe import Recipe
from mstl_edge.report.records import Grid, read_grid, read_record
from mstl_edge.runs import RunFolder

METRICS_SCHEMA = "mstl-edge/metrics/1"
EXPORT_SCHEMA = "mstl-edge/export/1"
QUANTIZE = "quantize"
"""The folder under `stages/` in which quantization-aware fine-tuning keeps its history."""


class Parameters(Struct, frozen=True):
    """Parameters of the network, and how many of them a stage trained."""

    total: int
    trained: int


class StageEntry(Struct, frozen=True, kw_only=True):
    """A stage in `metrics.json`."""

    name: str
    labels: tuple[str, ...]
    positive: str
    images: dict[str, int]
    epochs: int
    selected_epoch: int
    threshold: float
    temperature: float
    parameters: Parameters
    validation: ClassificationMetrics
    test: ClassificationMetrics
    patients_known: bool = False
    seconds: float | None = None

    @property
    def positive_index(self) -> int:
        """Column of the positive class."""
        return self.labels.index(self.positive)


class Gate(Struct, frozen=True, kw_only=True):
    """What the export gate said of a candidate."""

    verdict: str
    reasons: tuple[str, ...]
    drop: Interval
    mcnemar: McNemar
    agreement: Agreement
    origins: dict[str, int] = {}


class Candidate(Struct, frozen=True, kw_only=True):
    """A row of `export.json`; accuracy is on validation images."""

    scheme: str
    size_bytes: int
    accuracy: Interval | None = None
    agreement: Agreement | None = None
    gate: Gate | None = None


class PairedTest(Struct, frozen=True, kw_only=True):
    """The float32 and the chosen int8 file on the test split, paired."""

    float32: ClassificationMetrics
    int8: ClassificationMetrics
    drop: Interval
    mcnemar: McNemar
    agreement: Agreement


class Export(Struct, frozen=True, kw_only=True):
    """`export.json`."""

    model: str
    float_model: str
    chosen: str
    candidates: tuple[Candidate, ...]
    test: PairedTest | None = None
    verdict: str = ""
    reasons: tuple[str, ...] = ()
    calibration_warnings: tuple[str, ...] = ()


class _Metrics(Struct, frozen=True):
    stages: tuple[StageEntry, ...]


class _Seed(Struct, frozen=True):
    versions: dict[str, str] = {}


@dataclass(frozen=True)
class Answered:
    """Answers to test images: names, `(n,)` classes, `(n, classes)` probabilities, and the stage that asked."""

    names: tuple[str, ...]
    classes: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    entry: StageEntry

    @property
    def positive(self) -> NDArray[np.float64]:
        """`(n,)` probability of the positive class."""
        return self.probabilities[:, self.entry.positive_index]

    @property
    def is_positive(self) -> NDArray[np.bool_]:
        """`(n,)` whether the label is the positive class."""
        return np.asarray(self.classes == self.entry.positive_index)

    @property
    def decided(self) -> NDArray[np.int64]:
        """`(n,)` class that was answered."""
        return decide(self.probabilities, positive=self.entry.positive_index, threshold=self.entry.threshold)


@dataclass(frozen=True)
class RunRecord:
    """A run as a report sees it; `histories` are by stage, `quantize` among them where there was fine-tuning for int8."""

    folder: RunFolder
    recipe: Recipe
    stages: tuple[StageEntry, ...]
    histories: dict[str, Grid]
    answered: dict[str, Answered]
    export: Export | None
    artifact: Artifact | None
    versions: dict[str, str]

    @property
    def last(self) -> StageEntry:
        """The stage that is exported."""
        return self.stages[-1]


def read_run(folder: RunFolder) -> RunRecord:
    """Read a finished run; an export is read where there is one.

    Raises:
        RunError: Training is not finished, or a file of it is missing, damaged or of another version.
        ArtifactError: The exported file is damaged.
    """
    again = f"Finish it: mstl-edge train --resume {folder.path}"
    if not folder.metrics.is_file():
        raise RunError("a run whose training is finished", received=folder.path, hint=again)
    stages = read_record(folder.metrics, _Metrics, METRICS_SCHEMA, hint=again).stages
    if not stages:
        raise RunError("a run with at least one stage", received=folder.metrics, hint=again)
    for entry in stages:
        _check(entry, folder.metrics)
    histories = {entry.name: read_grid(folder.stage(entry.name).history) for entry in stages}
    if folder.stage(QUANTIZE).history.is_file():
        histories.setdefault(QUANTIZE, read_grid(folder.stage(QUANTIZE).history))
    export = _export(folder)
    model = folder.path / export.model if export else None
    return RunRecord(
        folder,
        folder.recipe(),
        stages,
        histories,
        {entry.name: _answers(folder.stage(entry.name).predictions, entry) for entry in stages},
        export,
        open_artifact(model) if model is not None and model.is_file() else None,
        msgspec.json.decode((folder.path / "run.json").read_bytes(), type=_Seed).versions,
    )


def _check(entry: StageEntry, path: Path) -> None:
    if entry.positive not in entry.labels:
        raise RunError(f"a positive class among {', '.join(entry.labels)}", received=f"{entry.positive} in {path}")


def _export(folder: RunFolder) -> Export | None:
    path = folder.exports / "export.json"
    if not path.is_file():
        return None
    return read_record(path, Export, EXPORT_SCHEMA, hint=f"Export it again: mstl-edge export {folder.path}")


def _answers(path: Path, entry: StageEntry) -> Answered:
    """Return the float model's answers to the test images of a stage."""
    grid = read_grid(path)
    if grid.head != ("image", "split", "label", *entry.labels):
        raise RunError(
            f"columns image, split, label, {', '.join(entry.labels)}", received=f"{path}: {', '.join(grid.head)}"
        )
    test = Grid(path, grid.head, tuple(row for row in grid.rows if row[1] == "test"))
    return answered(test, entry, label_column=2, first_probability=3)


def answered(grid: Grid, entry: StageEntry, *, label_column: int, first_probability: int) -> Answered:
    """Return a table's rows as answers.

    Args:
        grid: A row per image; its name stands in the first column.
        entry: The stage, for the labels and their order.
        label_column: Where the true label is.
        first_probability: The column of the first class's probability; the others follow.

    Raises:
        RunError: A label that the stage doesn't have, no rows, or a cell that is no number.
    """
    numbers = {label: position for position, label in enumerate(entry.labels)}
    strangers = sorted({row[label_column] for row in grid.rows} - set(numbers))
    if strangers or not grid.rows:
        raise RunError(
            f"rows labelled {', '.join(entry.labels)}", received=f"{grid.path}: {', '.join(strangers) or 'none'}"
        )
    classes = np.array([numbers[row[label_column]] for row in grid.rows], dtype=np.int64)
    columns = range(first_probability, first_probability + len(entry.labels))
    return Answered(tuple(row[0] for row in grid.rows), classes, grid.floats(columns), entry)
