"""What a study's JSON holds for a report; fields of schema `mstl-edge/study/1` that are not drawn are passed over."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from mstl_edge.metrics import Interval
from mstl_edge.report.records import read_record

STUDY_SCHEMA = "mstl-edge/study/1"


class Arm(Struct, frozen=True, kw_only=True):
    """One way to train, cross-validated; `n` images were answered out of fold."""

    name: str
    n: int
    accuracy: Interval
    scheme: str = ""
    sensitivity: Interval | None = None
    specificity: Interval | None = None
    auc: Interval | None = None
    calibration_error: Interval | None = None

    @property
    def title(self) -> str:
        """Name and scheme."""
        return f"{self.name}, {self.scheme}" if self.scheme else self.name


class Comparison(Struct, frozen=True, kw_only=True):
    """Accuracy of `a` minus accuracy of `b`, as a share, with its 95 % interval and what it means in words."""

    a: str
    b: str
    difference: float
    low: float
    high: float
    verdict: str
    p: float | None = None


class LearningPoint(Struct, frozen=True, kw_only=True):
    """An arm's accuracy after training on `images` images."""

    name: str
    images: int
    accuracy: Interval
    scheme: str = ""


class Study(Struct, frozen=True, kw_only=True):
    """A study."""

    arms: tuple[Arm, ...]
    comparisons: tuple[Comparison, ...] = ()
    learning_curve: tuple[LearningPoint, ...] = ()
    recipe: str = ""


def read_study(path: Path) -> Study:
    """Read a study's JSON.

    Raises:
        RunError: Unreadable, of another schema, or a field is missing or wrong.
    """
    return read_record(path, Study, STUDY_SCHEMA, hint="Write one with 'mstl-edge study RECIPE'.")
