"""What a study's JSON holds for a report; fields of schema `mstl-edge/study/1` that are not drawn are passed over."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from mstl_edge.errors import RunError
from mstl_edge.metrics import Interval
from mstl_edge.report.records import read_record

STUDY_SCHEMA = "mstl-edge/study/1"
FLOAT = "float32"


class Arm(Struct, frozen=True, kw_only=True):
    """One way to train, cross-validated: `n` images were answered out of fold.

    `images` of a fold's training part were used; 0 for all. `confusion[truth][answer]` counts the answers of all repeats.
    """

    name: str
    n: int
    accuracy: Interval
    scheme: str = ""
    images: int = 0
    sensitivity: Interval | None = None
    specificity: Interval | None = None
    auc: Interval | None = None
    log_loss: Interval | float | None = None
    calibration_error: Interval | None = None
    pooled_calibration_error: Interval | float | None = None
    confusion: tuple[tuple[int, ...], ...] = ()

    @property
    def title(self) -> str:
        """Name and scheme, as comparisons call it."""
        return f"{self.name}/{self.scheme}" if self.scheme else self.name


class RepeatMcNemar(Struct, frozen=True, kw_only=True):
    """Images that only one of two arms got right in a repeat, and the exact two-sided p."""

    a_only: int
    b_only: int
    p: float
    repeat: int = 1


class Comparison(Struct, frozen=True, kw_only=True):
    """What going from `a` to `b` did to accuracy: a difference of shares with its 95 % interval, and a verdict.

    `primary` is the question that the study was planned for; `images_needed` would show a difference of this size.
    """

    a: str
    b: str
    difference: float
    low: float
    high: float
    verdict: str
    p: float | None = None
    n: int | None = None
    images: int = 0
    images_needed: int | None = None
    mcnemar: tuple[RepeatMcNemar, ...] = ()
    primary: bool = False

    @property
    def interval(self) -> Interval:
        """The difference and its bounds."""
        return Interval(self.difference, self.low, self.high)

    @property
    def arms(self) -> tuple[str, str]:
        """Names of the two arms, without their schemes."""
        return _split(self.a)[0], _split(self.b)[0]

    @property
    def schemes(self) -> tuple[str, str]:
        """Schemes of the two arms."""
        return _split(self.a)[1], _split(self.b)[1]


def _split(title: str) -> tuple[str, str]:
    name, slash, scheme = title.rpartition("/")
    return (name, scheme) if slash else (title, "")


class LearningCurve(Struct, frozen=True, kw_only=True):
    """Arms and comparisons after training on `images` images each."""

    arms: tuple[Arm, ...] = ()
    comparisons: tuple[Comparison, ...] = ()


class Share(Struct, frozen=True, kw_only=True):
    """So many of so many."""

    count: int
    of: int


class Study(Struct, frozen=True, kw_only=True):
    """A study; `thresholds_left_at_half` counts trainings."""

    arms: tuple[Arm, ...]
    comparisons: tuple[Comparison, ...] = ()
    learning_curve: LearningCurve = LearningCurve()
    labels: tuple[str, ...] = ()
    positive: str | None = None
    folds: int | None = None
    repeats: int | None = None
    patients_known: bool = False
    threshold_rule: str = ""
    thresholds_left_at_half: Share | None = None
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
