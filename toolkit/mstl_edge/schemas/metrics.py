"""`metrics.json`: what a run's stages measured, and the same of one stage in the stage's own folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from mstl_edge.metrics import ClassificationMetrics, counted_scores, macro_f1
from mstl_edge.schemas.versioned import Schema, Tree, read_tree

AGAIN = "Train again: mstl-edge train"
_Threshold = Annotated[float, Meta(gt=0.0, lt=1.0)]


class Parameters(Struct, frozen=True):
    """Parameters of the network, and how many of them a stage trained."""

    total: int
    trained: int


class UnreadableFile(Struct, frozen=True):
    """A file that was left out, and why."""

    name: str
    reason: str


class Fitted(Struct, frozen=True, kw_only=True):
    """How a trained network's logits become answers; `positive` and `threshold` are None with more than two classes."""

    labels: Annotated[tuple[str, ...], Meta(min_length=2)]
    positive: str | None = None
    temperature: Annotated[float, Meta(gt=0.0)]
    threshold: _Threshold | None = None

    @property
    def positive_index(self) -> int | None:
        """Column of the positive class; None with more than two classes."""
        return None if self.positive is None else self.labels.index(self.positive)

    def __post_init__(self) -> None:
        if self.positive is not None and self.positive not in self.labels:
            raise ValueError(f"a positive class {self.positive} that is none of {', '.join(self.labels)}")


class StageMetrics(Fitted, frozen=True, kw_only=True):
    """A stage: its images by split, what was chosen on validation, and the scores of its float model on both other splits.

    `selected_epoch` is the one whose weights were kept, from 1; `seconds` those that the stage took over all sessions.
    """

    name: str
    images: dict[str, int]
    patients_known: bool = False
    unreadable: tuple[UnreadableFile, ...] = ()
    epochs: int
    selected_epoch: int
    parameters: Parameters
    validation: ClassificationMetrics
    test: ClassificationMetrics
    seconds: float | None = None


class StageFile(StageMetrics, frozen=True, kw_only=True):
    """A stage in a file of its own, `stages/STAGE/metrics.json`."""

    schema: str = "mstl-edge/stage-metrics/2"


class RunMetrics(Struct, frozen=True, kw_only=True):
    """`metrics.json` of a run, one entry per stage in the recipe's order."""

    schema: str = "mstl-edge/metrics/2"
    recipe: str = ""
    seed: int = 0
    stages: tuple[StageMetrics, ...]
    seconds: float | None = None


def _fields(entry: StageMetrics) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in StageMetrics.__struct_fields__}


def _stage_from_1(stage: Tree) -> Tree:
    """Return a stage of version 1, which named a positive class for any number of classes, as one of version 2."""
    labels = stage["labels"]
    two = len(labels) == 2
    alone = {} if two else {"positive": None, "threshold": None}
    scored = {split: _scores_from_1(stage[split], labels, stage["positive"]) for split in ("validation", "test")}
    return {**stage, **alone, **scored}


def _scores_from_1(scores: Tree, labels: list[str], positive: str) -> Tree:
    """Return scores of version 1 with what their confusion matrix says of each class; the AUC of one class is all that was kept."""
    two, counts = len(labels) == 2, msgspec.convert(scores["confusion"], list[list[int]])
    alone = {} if two else {"sensitivity": None, "specificity": None, "auc": None, "threshold": None}
    square = len(counts) == len(labels) and all(len(row) == len(labels) for row in counts)
    if not square or not any(map(any, counts)):
        return {**scores, **alone}
    classes = msgspec.to_builtins(counted_scores(counts, labels))
    for label in labels if two else [positive]:
        classes[label]["auc"] = scores.get("auc")
    return {**scores, **alone, "macro_f1": msgspec.to_builtins(macro_f1(counts)), "classes": classes}


def _run_from_1(run: Tree) -> Tree:
    return {**run, "stages": [_stage_from_1(stage) for stage in run["stages"]]}


METRICS = Schema("metrics", 2, RunMetrics, {1: _run_from_1})
STAGE_METRICS = Schema("stage-metrics", 2, StageFile, {1: _stage_from_1})


def write_stage_metrics(path: Path, entry: StageMetrics) -> None:
    """Write what a stage measured into its own folder."""
    STAGE_METRICS.write(path, StageFile(**_fields(entry)))


def read_stage_metrics(path: Path, *, hint: str = AGAIN) -> StageMetrics:
    """Return what a stage measured, from its own folder; a file without a schema is of version 1.

    Raises:
        RunError: See `Schema.convert` and `read_tree`.
    """
    tree = {"schema": "mstl-edge/stage-metrics/1", **read_tree(path, hint=hint)}
    return StageMetrics(**_fields(STAGE_METRICS.convert(tree, origin=path, hint=hint)))
