"""`study.json`: arms, what going from one to another did, the learning curve, and where the numbers come from."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from mstl_edge.metrics import ClassAgreement, Interval
from mstl_edge.schemas.versioned import Schema, Tree


class ClassResult(Struct, frozen=True, kw_only=True):
    """One class of an arm, measured over folds; `n` counts its images.

    `recall`, `precision` and `auc` (of its probability, against all other classes) are means over the folds that have one; None
    where no fold has, and `auc` and `calibration_error` also in what an older version wrote.
    """

    n: int
    recall: Interval | None
    precision: Interval | None
    auc: Interval | None = None
    calibration_error: Interval | None = None


class FoldScores(Struct, frozen=True, kw_only=True):
    """An arm in one fold, and what was chosen on the fold's validation images.

    With more than two classes there is no positive one: sensitivity, specificity, AUC and threshold are None.
    """

    repeat: int
    fold: int
    n: int
    accuracy: float
    macro_f1: float | None = None
    sensitivity: float | None = None
    specificity: float | None = None
    auc: float | None = None
    log_loss: float | None = None
    threshold: float | None = None
    temperature: float | None = None
    epoch: int | None = None


class ArmResult(Struct, frozen=True, kw_only=True):
    """One way to train, cross-validated: `n` images were answered out of fold.

    `images` of a fold's training part were used; 0 for all. `confusion[truth][answer]` counts the answers of all repeats. With more
    than two classes sensitivity, specificity and AUC are None; `classes` and `macro_f1` are there for any number, but in what an
    older version wrote. `float_agreement` holds, for an int8 scheme and each class in
    the order of the labels, how often its file answers what the float model does; it counts the answers of repeat 1.
    """

    images: int = 0
    name: str
    scheme: str = ""
    n: int
    accuracy: Interval
    sensitivity: Interval | None = None
    specificity: Interval | None = None
    auc: Interval | None = None
    macro_f1: Interval | None = None
    classes: dict[str, ClassResult] = {}
    log_loss: Interval | float | None = None
    calibration_error: Interval | None = None
    pooled_calibration_error: Interval | float | None = None
    float_agreement: tuple[ClassAgreement, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    per_fold: tuple[FoldScores, ...] = ()

    @property
    def title(self) -> str:
        """Name and scheme, as comparisons call it."""
        return f"{self.name}/{self.scheme}" if self.scheme else self.name


class RepeatMcNemar(Struct, frozen=True, kw_only=True):
    """Images that only one of two arms got right in a repeat, and the exact two-sided p."""

    repeat: int = 1
    a_only: int
    b_only: int
    p: float


class Comparison(Struct, frozen=True, kw_only=True):
    """What going from `a` to `b` did to accuracy: a difference of shares with its 95 % interval, and a verdict.

    `primary` is the question that the study was planned for; `images_needed` would show a difference of this size. `discordant` is
    the share of images that only one of the two gets right.
    """

    images: int = 0
    primary: bool = False
    a: str
    b: str
    difference: float
    low: float
    high: float
    p: float | None = None
    verdict: str
    words: str = ""
    n: int | None = None
    method: str = ""
    discordant: float | None = None
    images_needed: int | None = None
    mcnemar: tuple[RepeatMcNemar, ...] = ()

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

    @property
    def of_int8(self) -> bool:
        """Whether it holds int8 against float32, in one arm."""
        before, after = self.schemes
        return self.arms[0] == self.arms[1] and before == "float32" and after.startswith("int8")


def _split(title: str) -> tuple[str, str]:
    name, slash, scheme = title.rpartition("/")
    return (name, scheme) if slash else (title, "")


class LearningCurve(Struct, frozen=True, kw_only=True):
    """Arms and comparisons after training on `images` images each."""

    arms: tuple[ArmResult, ...] = ()
    comparisons: tuple[Comparison, ...] = ()


class Share(Struct, frozen=True, kw_only=True):
    """So many of so many."""

    count: int
    of: int


class ArmOrigin(Struct, frozen=True, kw_only=True):
    """What an arm is: its recipe as plain values without paths, and seconds over its folds, None where a fold's are not known.

    `training_seconds` is what training the float network took in a fold, without quantization, and `peak_bytes` the most memory
    that the process held meanwhile: means over the folds. `moved` tells how far each layer's kernel went from its first values, as
    a share of their norm, the head apart.
    """

    name: str
    schemes: tuple[str, ...] = ()
    seconds: float | None = None
    training_seconds: float | None = None
    peak_bytes: int | None = None
    moved: dict[str, float] = {}
    recipe: dict[str, Any] = {}


class Provenance(Struct, frozen=True, kw_only=True):
    """Where a study's numbers come from; with several kinds of CPU, equal arms may differ in the last bits of their answers."""

    manifest_sha256: str = ""
    versions: dict[str, str] = {}
    cpus: tuple[str, ...] = ()
    arms: tuple[ArmOrigin, ...] = ()


class Cost(Struct, frozen=True, kw_only=True):
    """What an arm's file costs in one scheme: of the first fold, all folds' being of one shape.

    `latency_ms` is the median of an inference of one image, and the medians of the fastest and the slowest block; `valid` where
    the machine held still. `elsewhere` counts by kind those of the `operators` that run outside the fast kernels of the runtime.
    """

    arm: str
    scheme: str
    parameters: int
    macs: int
    size_bytes: int
    latency_ms: Interval | None = None
    valid: bool = False
    operators: int = 0
    elsewhere: dict[str, int] = {}

    @property
    def title(self) -> str:
        """Arm and scheme, as `ArmResult.title` has them."""
        return f"{self.arm}/{self.scheme}"


class Costs(Struct, frozen=True, kw_only=True):
    """What the arms of a study on several networks cost, all measured in turns on one machine, batch 1."""

    host: str = ""
    cpu: str = ""
    runtime: str = ""
    threads: int = 1
    rows: tuple[Cost, ...] = ()

    def of(self, title: str) -> Cost | None:
        """Return the row of an arm in a scheme; None where there is none."""
        return next((row for row in self.rows if row.title == title), None)


class Study(Struct, frozen=True, kw_only=True):
    """A study; `thresholds_left_at_half` counts trainings. `positive` is None with more than two classes."""

    schema: str = "mstl-edge/study/2"
    recipe: str = ""
    n: int = 0
    labels: tuple[str, ...] = ()
    positive: str | None = None
    patients_known: bool = False
    folds: int | None = None
    repeats: int | None = None
    fold_seed: int | None = None
    threshold_rule: str = ""
    thresholds_left_at_half: Share | None = None
    interval: str = "95 %"
    arms: tuple[ArmResult, ...]
    multiplicity: str = ""
    comparisons: tuple[Comparison, ...] = ()
    learning_curve: LearningCurve = LearningCurve()
    costs: Costs = Costs()
    provenance: Provenance = Provenance()


def _from_1(study: Tree) -> Tree:
    """Return a study of version 1 as one of version 2: of several classes it took the last for a positive one.

    What it lacks stays empty: from its pooled answers alone, classes and macro F1 would get intervals that ignore its folds.
    """
    if len(msgspec.convert(study.get("labels", []), list[str])) <= 2:
        return study
    curve = study.get("learning_curve") or {}
    points = [_without_positive(arm) for arm in curve.get("arms", [])]
    return {
        **study,
        "positive": None,
        "arms": [_without_positive(arm) for arm in study["arms"]],
        "learning_curve": {**curve, "arms": points},
    }


def _without_positive(arm: Tree) -> Tree:
    alone = {"sensitivity": None, "specificity": None, "auc": None}
    return {**arm, **alone, "per_fold": [{**fold, **alone, "threshold": None} for fold in arm.get("per_fold", [])]}


STUDY = Schema("study", 2, Study, {1: _from_1})
