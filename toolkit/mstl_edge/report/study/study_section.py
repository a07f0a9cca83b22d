"""A study as sections: the arms, what was compared, the learning curve, and what the arms answered out of fold."""

from __future__ import annotations

from mstl_edge.report.answers import answer_figures as figures
from mstl_edge.report.answers.answers import Answered, Paired
from mstl_edge.report.answers.mistakes import mistakes, worst
from mstl_edge.report.answers.thumbnails import Thumbnails
from mstl_edge.report.html.blocks import Figure, Part, Section, Table
from mstl_edge.report.html.markup import Markup, tag
from mstl_edge.report.study.learning_curve import learning_figure
from mstl_edge.report.study.networks import networks_section
from mstl_edge.report.study.study_answers import ArmAnswers
from mstl_edge.report.study.study_headline import study_headline
from mstl_edge.report.study.study_record import FLOAT
from mstl_edge.report.study.study_tables import arms_table, classes_table, comparisons_table, counts, forest_figure
from mstl_edge.schemas.study import ArmResult, Study

ASKED = "images out of fold, all folds together"
MOST_MISTAKES = 6
"""Shown of each arm; a study has several."""
NO_ANSWERS = (
    "ROC, reliability, float32 against int8, worst mistakes: no answers.csv lies beside the study; "
    "mstl-edge study --resume STUDY writes it"
)
NO_CURVE = "learning curve: mstl-edge study RECIPE --learning-curve 20,40,80,160"


def study_part(study: Study, answers: ArmAnswers | None, thumbnails: Thumbnails | None) -> Part:
    """Return what a study gives to the page.

    Args:
        study: Its tables.
        answers: Out-of-fold answers of every arm; None where they are not kept.
        thumbnails: Pictures of images by name; None shows none, and no file names either.
    """
    sections = [Section("Cross-validated study", _tables(study))]
    if (networks := networks_section(study)) is not None:
        sections.append(networks)
    curve, missing = study.learning_curve, []
    if curve.arms:
        blocks: list[Figure | Table] = [learning_figure(curve)]
        if curve.comparisons:
            caption = "Arms compared after training on fewer images, on the same images and folds"
            blocks.append(comparisons_table(curve.comparisons, caption))
        sections.append(Section("Learning curve", tuple(blocks)))
    else:
        missing.append(NO_CURVE)
    if answers is not None:
        sections.append(Section("Answers out of fold", _answer_figures(study, answers)))
        sections.append(Section("Worst mistakes", _mistakes(study, answers, thumbnails)))
    else:
        missing.append(NO_ANSWERS)
        confused = [arm for arm in study.arms if arm.confusion]
        if confused and study.labels:
            sections.append(Section("Answers out of fold", (_confusions(study, confused),)))
    return Part(study_headline(study), tuple(sections), tuple(missing))


def _tables(study: Study) -> tuple[Figure | Table | Markup, ...]:
    blocks: list[Figure | Table | Markup] = [
        tag("p", _method(study)),
        arms_table(study),
        *classes_table(study),
        forest_figure(study),
    ]
    if study.comparisons:
        blocks.append(comparisons_table(study.comparisons, "Arms compared on the same images and folds"))
    return tuple(blocks)


def _method(study: Study) -> str:
    parts = []
    if study.folds and study.repeats:
        repeated = f", repeated {study.repeats} times" if study.repeats > 1 else ""
        parts.append(f"{study.folds}-fold cross-validation{repeated}, the same folds for every arm")
    parts.append(
        "grouped by patient" if study.patients_known else "near-duplicate images kept together, patients unknown"
    )
    if len(study.labels) > 2:
        parts.append("no threshold, the most probable class is the answer")
    elif study.threshold_rule:
        left = study.thresholds_left_at_half
        told = f"{left.count} of {left.of} trainings" if left else ""
        counted = f" (0.5 in {told})" if told and told not in study.threshold_rule else ""
        parts.append(f"thresholds chosen inside each training part by the rule: {study.threshold_rule}{counted}")
    parts.append(f"intervals: {study.interval}")
    whole = "; ".join(parts)
    return f"{whole[0].upper()}{whole[1:]}."


def _answer_figures(study: Study, answers: ArmAnswers) -> tuple[Figure, ...]:
    models = list(answers.items())
    confused = [(name, one.labels, one.confusion) for name, one in models]
    shown = [*figures.roc(models, asked=ASKED, ring="where the thresholds chosen in the folds' training parts lead")]
    shown.append(figures.confusions(confused, asked=ASKED, count=figures.counted(models)))
    shown += figures.reliability_diagrams(models, asked=ASKED)
    pairs = [
        (arm.title, Paired(answers[f"{arm.name}/{FLOAT}"], answers[arm.title]))
        for arm in study.arms
        if arm.scheme.startswith("int8") and f"{arm.name}/{FLOAT}" in answers
    ]
    if pairs:
        shown += figures.float_against_int8(pairs, asked=ASKED)
    return tuple(shown)


def _confusions(study: Study, arms: list[ArmResult]) -> Figure:
    confused = [(arm.title, study.labels, arm.confusion) for arm in arms]
    again = f", each answered in {study.repeats} repeats" if study.repeats and study.repeats > 1 else ""
    return figures.confusions(confused, asked=ASKED, count=f"{counts(arms)} images{again}")


def mistaken(study: Study, answers: ArmAnswers) -> list[tuple[str, Answered, list[tuple[str, Answered]]]]:
    """Return the answers whose mistakes are shown: an arm's in float32, and its other schemes' beside them."""
    by_arm: dict[str, list[ArmResult]] = {}
    for arm in study.arms:
        by_arm.setdefault(arm.name, []).append(arm)
    shown = []
    for arms in by_arm.values():
        first = next((arm for arm in arms if arm.scheme == FLOAT), arms[0])
        beside = [(arm.scheme, answers[arm.title]) for arm in arms if arm is not first]
        shown.append((first.title, answers[first.title], beside))
    return shown


def mistaken_images(study: Study, answers: ArmAnswers) -> set[str]:
    """Return the names of the images whose mistakes are shown."""
    return {one.name(position) for _, one, _ in mistaken(study, answers) for position in worst(one, MOST_MISTAKES)}


def _mistakes(study: Study, answers: ArmAnswers, thumbnails: Thumbnails | None) -> tuple[Table | Markup, ...]:
    counting = "Images are numbered in the order of their names."
    return tuple(
        mistakes(title, one, thumbnails, counting=counting, beside=beside, most=MOST_MISTAKES)
        for title, one, beside in mistaken(study, answers)
    )
