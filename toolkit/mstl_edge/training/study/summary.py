"""Saved answers → the tables of a study. Needs no TensorFlow: anyone who has the answers can recompute them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mstl_edge.training.study.contenders import Contender, contenders, pairs
from mstl_edge.training.study.folder import StudyFolder
from mstl_edge.training.study.folds import EVERYTHING
from mstl_edge.training.study.plan import StudyPlan
from mstl_edge.training.study.provenance import provenance
from mstl_edge.training.study.tables import Table

STUDY_SCHEMA = "mstl-edge/study/1"
PRIMARY = ("single/float32", "multi/float32")
"""The question of a study, where it has both: did the bridge help?"""


def summarize(study: StudyFolder) -> dict[str, Any]:
    """Return the tree of `study.json`.

    Raises:
        RunError: The answers of a fold are missing or damaged.
    """
    plan, manifest = study.plan(), study.manifest()
    positive = _positive(plan, manifest.labels)
    table = Table(plan, positive)
    whole = contenders(study, EVERYTHING)
    compared = _ordered(plan, whole)
    asked = "the first is the question, all others are " if any(is_primary(*pair) for pair in compared) else ""
    return {
        "schema": STUDY_SCHEMA,
        "recipe": plan.recipe.name,
        "n": len(manifest.rows),
        "labels": list(manifest.labels),
        "positive": manifest.labels[positive],
        "patients_known": manifest.patients_known,
        "folds": plan.folds,
        "repeats": plan.repeats,
        "fold_seed": plan.fold_seed,
        **_thresholds(plan, whole, len(manifest.labels)),
        "interval": "95 %, corrected resampled t (Nadeau and Bengio 2003); of calibration errors, bootstrap over images",
        "arms": [table.entry(contender) for contender in whole],
        "multiplicity": f"{asked}exploratory, not corrected for their number",
        "comparisons": [{"primary": is_primary(a, b), **table.comparison(a, b)} for a, b in compared],
        "learning_curve": _learning_curve(study, table, whole, len(manifest.rows)),
        "provenance": provenance(study),
    }


def is_primary(a: Contender, b: Contender) -> bool:
    """Whether going from `a` to `b` is what a study asks; whatever else it compares is exploratory."""
    return (a.title, b.title) == PRIMARY


def _ordered(plan: StudyPlan, several: Sequence[Contender]) -> list[tuple[Contender, Contender]]:
    """Return what is compared, the primary comparison first."""
    return sorted(pairs(several, plan.against), key=lambda pair: not is_primary(*pair))


def _positive(plan: StudyPlan, labels: tuple[str, ...]) -> int:
    folded = [label.casefold() for label in labels]
    return folded.index(plan.target.positive.casefold()) if plan.target.positive else len(labels) - 1


def _thresholds(plan: StudyPlan, whole: Sequence[Contender], classes: int) -> dict[str, Any]:
    """Return the rule of thresholds, and in how many trainings it left them at 0.5; int8 files take their float model's."""
    if classes > 2:
        return {"threshold_rule": "none: the most probable class", "thresholds_left_at_half": None}
    fitted = [fold.decision.threshold for one in whole if one.scheme == "float32" for fold in one.answers]
    left = sum(threshold == 0.5 for threshold in fitted)
    rule = "Youden, where its gain is above two standard errors; otherwise 0.5"
    if plan.sensitivity:
        rule = f"sensitivity of at least {plan.sensitivity:g}"
    return {
        "threshold_rule": f"{rule} (0.5 in {left} of {len(fitted)} trainings)",
        "thresholds_left_at_half": {"count": left, "of": len(fitted)},
    }


def _learning_curve(study: StudyFolder, table: Table, whole: Sequence[Contender], n: int) -> dict[str, Any]:
    """Return arms and comparisons for each number of images that a fold trains and validates on."""
    plan = study.plan()
    if not plan.learning_curve:
        return {"arms": [], "comparisons": []}
    full = round(n * (plan.folds - 1) / plan.folds)
    points = [(images, contenders(study, images)) for images in plan.learning_curve]
    points.append((full, [contender for contender in whole if contender.scheme == "float32"]))
    return {
        "arms": [{"images": images, **table.entry(one)} for images, several in points for one in several],
        "comparisons": [
            {"images": images, "primary": False, **table.comparison(a, b)}
            for images, several in points
            for a, b in _ordered(plan, several)
        ],
    }
