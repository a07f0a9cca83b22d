"""What a study's JSON holds for a report; fields of schema `mstl-edge/study/1` that are not drawn are passed over."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from mstl_edge.errors import RunError
from mstl_edge.metrics import Interval
from mstl_edge.report.records import read_record

STUDY_SCHEMA = "mstl-edge/study/1"


class Arm(Struct, frozen=True, kw_only=True):
    """One way to train, cross-validated: `n` images were answered out of fold.

    `images` of a fold's training part were used; 0 for all.
    """

    name: str
    n: int
    accuracy: Interval
    scheme: str = ""
    images: int = 0
    sensitivity: Interval | None = None
    specificity: Interval | None = None
    auc: Interval | None = None
    calibration_error: Interval | None = None

    @property
    def title(self) -> str:
        """Name and scheme, as comparisons call it."""
        return f"{self.name}/{self.scheme}" if self.scheme else self.name


class Comparison(Struct, frozen=True, kw_only=True):
    """What going from `a` to `b` did to accuracy: a difference of shares with its 95 % interval, a verdict, and that in words."""

    a: str
    b: str
    difference: float
    low: float
    high: float
    verdict: str
    p: float | None = None
    words: str = ""
    images: int = 0


class LearningCurve(Struct, frozen=True, kw_only=True):
    """Arms and comparisons after training on `images` images each."""

    arms: tuple[Arm, ...] = ()
    comparisons: tuple[Comparison, ...] = ()


class Study(Struct, frozen=True, kw_only=True):
    """A study."""

    arms: tuple[Arm, ...]
    comparisons: tuple[Comparison, ...] = ()
    learning_curve: LearningCurve = LearningCurve()
    folds: int | None = None
    repeats: int | None = None
    patients_known: bool = False
    threshold_rule: str = ""
    interval: str = "95 %"


def read_study(path: Path) -> Study:
    """Read a study's JSON.

    Raises:
        RunError: Unreadable, of another schema, without arms, or a field is missing or wrong.
    """
    hint = "Write one with 'mstl-edge study RECIPE'."
    study = read_record(path, Study, STUDY_SCHEMA, hint=hint)
    if not study.arms:
        raise RunError("a study with at least one arm", received=path, hint=hint)
    return study
