"""A study's tables and its forest plots."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mstl_edge.report.answers.class_tables import CLASS_INTERVALS, class_table
from mstl_edge.report.draw.axis import linear_axis
from mstl_edge.report.draw.forest import Row, forest
from mstl_edge.report.html import wording
from mstl_edge.report.html.blocks import Figure, Key, Table
from mstl_edge.report.html.markup import Child, Markup, join, tag
from mstl_edge.report.study.study_headline import remark
from mstl_edge.schemas.study import ArmResult, Comparison, Study
from mstl_edge.schemas.study_choice import CANNOT_TELL, HELPED, HURT

STYLE_OF = {HELPED: "c", HURT: "b", CANNOT_TELL: "faint"}
_Column = tuple[str, Callable[[ArmResult], Child], bool]


def counts(arms: Sequence[ArmResult]) -> str:
    """Return `n = 160`, or every n that occurs."""
    found = sorted({arm.n for arm in arms})
    return f"n = {' or '.join(f'{count:,}' for count in found)}"


def arms_table(study: Study) -> Table:
    """Return what was measured of every arm; columns that no arm has are left out."""
    pooled = any(arm.pooled_calibration_error not in (None, arm.calibration_error) for arm in study.arms)
    many = len(study.labels) > 2
    columns: list[_Column] = [
        ("Accuracy, %", lambda arm: wording.percent_cell(arm.accuracy), True),
        ("Sensitivity, %", lambda arm: wording.percent_cell(arm.sensitivity), _any(study, "sensitivity")),
        ("Specificity, %", lambda arm: wording.percent_cell(arm.specificity), _any(study, "specificity")),
        ("AUC", lambda arm: wording.share_cell(arm.auc), _any(study, "auc")),
        ("Macro-F1", lambda arm: wording.share_cell(arm.macro_f1), many and _any(study, "macro_f1")),
        ("Log loss", lambda arm: wording.share_cell(arm.log_loss), _any(study, "log_loss")),
        ("Calibration error", lambda arm: wording.share_cell(arm.calibration_error), _any(study, "calibration_error")),
        ("Calibration error, pooled", lambda arm: wording.share_cell(arm.pooled_calibration_error), pooled),
    ]  # fmt: skip
    shown = [(head, cell) for head, cell, present in columns if present]
    rows = tuple((_arm_cell(arm), *(cell(arm) for _, cell in shown)) for arm in study.arms)
    caption = (
        f"The arms of the study on the same folds ({counts(study.arms)} images answered out of fold): "
        "means over folds with 95 % intervals."
    )
    return Table(("Arm", *(head for head, _ in shown)), rows, caption)


def classes_table(study: Study) -> list[Table]:
    """Return each class of more than two by itself, of every arm."""
    if len(study.labels) <= 2:
        return []
    named = [(arm.title, arm.classes, arm.float_agreement) for arm in study.arms]
    asked = f"{counts(study.arms)} images answered out of fold"
    caption = f"Each class of every arm by itself ({asked}), means over folds {CLASS_INTERVALS}"
    found = class_table("Arm", named, caption)
    return [] if found is None else [found]


def _any(study: Study, field: str) -> bool:
    return any(getattr(arm, field) is not None for arm in study.arms)


def _arm_cell(arm: ArmResult) -> Markup | str:
    return join(arm.name, tag("br"), tag("small", arm.scheme)) if arm.scheme else arm.name


def comparisons_table(comparisons: Sequence[Comparison], caption: str) -> Table:
    """Return every comparison with its verdict, both tests, and how many images would tell."""
    sized = any(entry.images for entry in comparisons)
    paired = any(entry.mcnemar for entry in comparisons)
    head = ["From → to", "Verdict", "Difference, points", "p, resampled t"]
    if paired:
        head.append("p, exact McNemar")
    rows = []
    for entry in comparisons:
        told = remark(entry)
        row: list[Child] = [
            _pair_cell(entry, sized),
            [entry.verdict, tag("div", told, class_="remark")] if told else entry.verdict,
            wording.points_cell(entry.difference, entry.low, entry.high),
            wording.p_value(entry.p),
        ]
        if paired:
            row.append(_mcnemar_cell(entry))
        rows.append(tuple(row))
    exact = (
        " Exact McNemar: on the pooled out-of-fold answers, a value per repeat; below it, images that only the first : only the "
        "second gets right."
        if paired
        else ""
    )
    primary = frozenset(number for number, entry in enumerate(comparisons) if entry.primary)
    planned = " Bold: what the study was planned for; the others are exploratory." if primary else ""
    return Table(
        tuple(head),
        tuple(rows),
        f"{caption}: accuracy of the second minus that of the first, 95 % intervals.{exact} Not corrected for several "
        f"comparisons.{planned}",
        words=frozenset((0, 1)),
        long=frozenset((1,)),
        marked=primary,
    )


def pair_name(entry: Comparison) -> str:
    """Return what is compared, what both have in common behind a comma."""
    names, schemes = entry.arms, entry.schemes
    if names[0] == names[1]:
        return f"{schemes[0]} → {schemes[1]}, {names[0]}"
    if schemes[0] == schemes[1]:
        return f"{names[0]} → {names[1]}{f', {schemes[0]}' if schemes[0] else ''}"
    return f"{entry.a} → {entry.b}"


def _pair_cell(entry: Comparison, sized: bool) -> Markup:
    way, _, shared = pair_name(entry).partition(", ")
    below = [text for text in (shared, f"{entry.images:,} images" if sized else "") if text]
    return join(way, [join(tag("br"), tag("small", ", ".join(below)))] if below else None)


def _mcnemar_cell(entry: Comparison) -> Child:
    if not entry.mcnemar:
        return wording.NOT_MEASURED
    values = "; ".join(wording.p_value(one.p) for one in entry.mcnemar)
    split = "; ".join(f"{one.a_only} : {one.b_only}" for one in entry.mcnemar)
    return join(values, tag("br"), tag("small", split))


def forest_figure(study: Study) -> Figure:
    """Return the accuracy of every arm, and beside it what going from one to another did."""
    bounds = [bound for arm in study.arms for bound in (arm.accuracy.low, arm.accuracy.high)]
    rows = [Row(arm.title, wording.percent_interval(arm.accuracy), arm.accuracy) for arm in study.arms]
    drawing = forest(linear_axis("accuracy, %", bounds, percent=True), rows, "Accuracy of each arm")
    caption = f"Cross-validated accuracy of each arm with its 95 % interval; {counts(study.arms)} images."
    if not study.comparisons:
        return Figure((drawing,), caption)
    return Figure(
        (drawing, difference_forest(study.comparisons, "From one arm to another")),
        f"{caption} From one arm to another: differences on the same images and folds; where an interval holds zero, the study "
        "cannot tell the two apart.",
        difference_legend(),
    )


def difference_forest(comparisons: Sequence[Comparison], heading: str) -> Markup:
    """Return differences in accuracy, coloured by what they allow to say."""
    bounds = [0.0, *(bound for entry in comparisons for bound in (entry.low, entry.high))]
    rows = []
    for entry in comparisons:
        told = wording.points_interval(entry.difference, entry.low, entry.high)
        size = f"{entry.images:,} images: " if entry.images else ""
        rows.append(Row(f"{size}{_short_pair(entry)}", told, entry.interval, STYLE_OF.get(entry.verdict, "faint")))
    axis = linear_axis("difference in accuracy, points", bounds, percent=True)
    return forest(axis, rows, heading, reference=0.0)


def _short_pair(entry: Comparison) -> str:
    """Return what is compared; on learning curves, where all is float32, without the scheme."""
    return pair_name(entry).partition(", ")[0] if entry.images else pair_name(entry)


def difference_legend() -> tuple[Key, ...]:
    """Return what the colours of differences mean."""
    return tuple(Key("dot", style, verdict) for verdict, style in STYLE_OF.items())
