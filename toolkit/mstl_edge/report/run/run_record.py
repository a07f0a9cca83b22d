"""What a run folder holds for a report: its stages, their curves and answers, the export, the answers of the exported files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct

from mstl_edge.artifact import Artifact, open_artifact
from mstl_edge.errors import RunError, typed
from mstl_edge.recipe import Recipe
from mstl_edge.report.answers.answers import Answered, answered
from mstl_edge.report.answers.records import Grid, read_grid
from mstl_edge.runs import RunFolder
from mstl_edge.schemas.export import EXPORT, Export
from mstl_edge.schemas.metrics import METRICS, StageMetrics

QUANTIZE = "quantize"
"""The folder under `stages/` in which quantization-aware fine-tuning keeps its history."""


class _Seed(Struct, frozen=True):
    versions: dict[str, str] = {}


@dataclass(frozen=True)
class RunRecord:
    """A run as a report sees it; `histories` are by stage, `quantize` among them where there was fine-tuning for int8."""

    folder: RunFolder
    recipe: Recipe
    stages: tuple[StageMetrics, ...]
    histories: dict[str, Grid]
    answered: dict[str, Answered]
    export: Export | None
    artifact: Artifact | None
    versions: dict[str, str]

    @property
    def last(self) -> StageMetrics:
        """The stage that is exported."""
        return self.stages[-1]


def read_run(folder: RunFolder) -> RunRecord:
    """Read a finished run; an export is read where there is one.

    Raises:
        RunError: Training is not finished, or a file of it is missing, damaged or of another version.
        ArtifactError: The exported file is damaged.
    """
    again = f"Finish it: {typed('mstl-edge', 'train', '--resume', folder.path)}"
    if not folder.metrics.is_file():
        raise RunError("a run whose training is finished", received=folder.path, hint=again)
    stages = METRICS.read(folder.metrics, hint=again).stages
    if not stages:
        raise RunError("a run with at least one stage", received=folder.metrics, hint=again)
    histories = {entry.name: read_grid(folder.stage(entry.name).history) for entry in stages}
    if folder.stage(QUANTIZE).history.is_file():
        histories.setdefault(QUANTIZE, read_grid(folder.stage(QUANTIZE).history))
    export = _export(folder)
    model = folder.path / export.model if export and export.model else None
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


def _export(folder: RunFolder) -> Export | None:
    path = folder.exports / "export.json"
    if not path.is_file():
        return None
    return EXPORT.read(path, hint=f"Export it again: {typed('mstl-edge', 'export', folder.path)}")


def _answers(path: Path, entry: StageMetrics) -> Answered:
    """Return the float model's answers to the test images of a stage."""
    grid = read_grid(path)
    if grid.head != ("image", "split", "label", *entry.labels):
        raise RunError(
            f"columns image, split, label, {', '.join(entry.labels)}", received=f"{path}: {', '.join(grid.head)}"
        )
    test = Grid(path, grid.head, tuple(row for row in grid.rows if row[1] == "test"))
    return answered(
        test,
        entry.labels,
        positive=entry.positive_index,
        threshold=entry.threshold,
        label_column=2,
        first_probability=3,
    )
