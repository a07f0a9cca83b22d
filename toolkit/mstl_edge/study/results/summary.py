"""Saved answers → the tables of a study. Needs no TensorFlow: anyone who has the answers can recompute them."""

from __future__ import annotations

from collections.abc import Sequence

from mstl_edge.planning.positive import positive_class
from mstl_edge.schemas.study import ArmResult, LearningCurve, Share, Study
from mstl_edge.schemas.study_plan import StudyPlan
from mstl_edge.study.folder import StudyFolder
from mstl_edge.study.folds import EVERYTHING
from mstl_edge.study.provenance import provenance
from mstl_edge.study.results.contenders import Contender, contenders, pairs
from mstl_edge.study.results.costs import read_costs
from mstl_edge.study.results.tables import Table

FLOAT = "float32"
PRIMARY = ("single/float32", "multi/float32")
"""The question of a study, where it has both: did the bridge help?"""


def summarize(study: StudyFolder) -> Study:
    """Return what `study.json` says.

    Raises:
        RunError: The answers of a fold are missing or damaged.
    """
    plan, manifest = study.plan(), study.manifest()
    positive = positive_class(plan.target, manifest.labels)
    table = Table(plan, manifest.labels, positive)
    whole = contenders(study, EVERYTHING)
    compared = _ordered(plan, whole)
    asked = "the first is the question, all others are " if any(is_primary(*pair) for pair in compared) else ""
    rule, left = _thresholds(plan, whole, len(manifest.labels))
    return Study(
        recipe=plan.recipe.name,
        n=len(manifest.rows),
        labels=manifest.labels,
        positive=None if positive is None else manifest.labels[positive],
        patients_known=manifest.patients_known,
        folds=plan.folds,
        repeats=plan.repeats,
        fold_seed=plan.fold_seed,
        threshold_rule=rule,
        thresholds_left_at_half=left,
        interval="95 %, corrected resampled t (Nadeau and Bengio 2003); of calibration errors, bootstrap over images",
        arms=_entries(table, whole),
        multiplicity=f"{asked}exploratory, not corrected for their number",
        comparisons=tuple(table.comparison(a, b, primary=is_primary(a, b)) for a, b in compared),
        learning_curve=_learning_curve(study, table, whole, len(manifest.rows)),
        costs=read_costs(study),
        provenance=provenance(study),
    )


def _entries(table: Table, several: Sequence[Contender], images: int = 0) -> tuple[ArmResult, ...]:
    """Return the rows of arms; a quantized one is held against the same arm in float32."""
    floating = {one.name: one for one in several if one.scheme == FLOAT}
    return tuple(
        table.entry(one, None if one.scheme == FLOAT else floating.get(one.name), images=images) for one in several
    )


def is_primary(a: Contender, b: Contender) -> bool:
    """Whether going from `a` to `b` is what a study asks; whatever else it compares is exploratory."""
    return (a.title, b.title) == PRIMARY


def _ordered(plan: StudyPlan, several: Sequence[Contender]) -> list[tuple[Contender, Contender]]:
    """Return what is compared, the primary comparison first."""
    return sorted(pairs(several, plan.against), key=lambda pair: not is_primary(*pair))


def _thresholds(plan: StudyPlan, whole: Sequence[Contender], classes: int) -> tuple[str, Share | None]:
    """Return the rule of thresholds, and in how many trainings it left them at 0.5; int8 files take their float model's."""
    if classes > 2:
        return "none: the most probable class", None
    fitted = [fold.decision.threshold for one in whole if one.scheme == FLOAT for fold in one.answers]
    left = sum(threshold == 0.5 for threshold in fitted)
    rule = "Youden, where its gain is above two standard errors; otherwise 0.5"
    if plan.sensitivity:
        rule = f"sensitivity of at least {plan.sensitivity:g}"
    return f"{rule} (0.5 in {left} of {len(fitted)} trainings)", Share(count=left, of=len(fitted))


def _learning_curve(study: StudyFolder, table: Table, whole: Sequence[Contender], n: int) -> LearningCurve:
    """Return arms and comparisons for each number of images that a fold trains and validates on."""
    plan = study.plan()
    if not plan.learning_curve:
        return LearningCurve()
    full = round(n * (plan.folds - 1) / plan.folds)
    points = [(images, contenders(study, images)) for images in plan.learning_curve]
    points.append((full, [contender for contender in whole if contender.scheme == FLOAT]))
    return LearningCurve(
        arms=tuple(entry for images, several in points for entry in _entries(table, several, images)),
        comparisons=tuple(
            table.comparison(a, b, images=images) for images, several in points for a, b in _ordered(plan, several)
        ),
    )
