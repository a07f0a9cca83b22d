"""A study's answers in words: did the bridge help, did int8 hurt?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mstl_edge.report.answers.class_tables import least_alike
from mstl_edge.report.html import wording
from mstl_edge.report.study.study_record import FLOAT
from mstl_edge.schemas.study import Comparison, Study
from mstl_edge.schemas.study_choice import CANNOT_TELL, HELPED, HURT, choose_network

BRIDGE = ("single", "multi")
"""The arms without and with the stages before the target."""


def study_headline(study: Study) -> tuple[str, ...]:
    """Return the sentences for the top of the page, the question that the study was planned for first."""
    best = max(study.arms, key=lambda arm: arm.accuracy.value)
    highest = f"Highest cross-validated accuracy: {best.title}, {wording.interval_in_words(best.accuracy)}, n = {best.n:,} images."
    by_class = least_alike([(arm.title, arm.float_agreement) for arm in study.arms], study.labels)
    choice = choose_network(study)
    between = [] if choice is None else [f"Which network? {choice.words}."]
    if choice is None or any(entry.primary for entry in study.comparisons):
        between += _between_arms(study.comparisons)
    return (*between, *_int8(study), *([by_class] if by_class else []), highest)


def _between_arms(comparisons: Sequence[Comparison]) -> list[str]:
    """Return what the bridge did, in float32 where there is that; other arms where the study has no bridge."""
    between = [
        entry for entry in comparisons if entry.arms[0] != entry.arms[1] and entry.schemes[0] == entry.schemes[1]
    ]
    asked = [entry for entry in between if entry.primary] or [entry for entry in between if entry.arms == BRIDGE]
    if asked:
        chosen = [entry for entry in asked if entry.schemes[0] == FLOAT] or asked
    else:
        chosen = [entry for entry in between if entry.schemes[0] in (FLOAT, "")]
    return [f"{_question(entry)} {_answer(entry)}" for entry in chosen]


def _question(entry: Comparison) -> str:
    if entry.arms == BRIDGE:
        return "Did the bridge help?"
    return f"Did {entry.arms[1]} help against {entry.arms[0]}?"


def _int8(study: Study) -> list[str]:
    """Return what int8 did to the arm in question, and how all such comparisons ended."""
    rounded = [entry for entry in study.comparisons if entry.of_int8]
    if not rounded:
        return []
    names = [entry.arms[0] for entry in rounded]
    exact = {arm.name: arm.accuracy.value for arm in study.arms if arm.scheme == FLOAT}
    name = BRIDGE[1] if BRIDGE[1] in names else max(names, key=lambda name: exact.get(name, 0.0))
    shown = [entry for entry in rounded if entry.primary] or [entry for entry in rounded if entry.arms[0] == name]
    told = " ".join(_answer(entry, of=entry.arms[0]) for entry in shown)
    counts = Counter(entry.verdict for entry in rounded)
    others = "" if len(rounded) == len(shown) else f" {_tally(counts, len(rounded))}"
    return [f"Did int8 hurt? {told}{others}"]


def _tally(counts: Counter[str], total: int) -> str:
    return (
        f"Of all {total} comparisons of float32 with int8, {counts[HURT]} {'is' if counts[HURT] == 1 else 'are'} a loss, "
        f"{counts[HELPED]} a gain, {counts[CANNOT_TELL]} cannot be told."
    )


def _answer(entry: Comparison, of: str = "") -> str:
    """Return a comparison as a sentence: verdict, size, exact test, and between arms what more images would show.

    Args:
        entry: The comparison.
        of: The arm, where two of its schemes are compared.
    """
    where = f"{of}, {_way(entry.schemes)}" if of else _way(entry.arms)
    if not of and entry.schemes[0]:
        where += f" in {entry.schemes[0]}"
    size = f"{wording.points_interval(entry.difference, entry.low, entry.high)} points ({where})"
    counted = f" with n = {entry.n:,}" if entry.n else ""
    said = entry.verdict[:1].upper() + entry.verdict[1:]
    sentence = f"{said}{counted}: {size}{_exact(entry)}"
    return f"{sentence}; {remark(entry)}." if remark(entry) and not of else f"{sentence}."


def _way(ends: tuple[str, str]) -> str:
    return f"{ends[0]} → {ends[1]}"


def _exact(entry: Comparison) -> str:
    if not entry.mcnemar:
        return ""
    values = wording.enumerated([wording.p_value(one.p) for one in entry.mcnemar])
    where = (
        f" in repeats {wording.enumerated([str(one.repeat) for one in entry.mcnemar])}"
        if len(entry.mcnemar) > 1
        else ""
    )
    return f", exact McNemar p = {values}{where}"


def remark(entry: Comparison) -> str:
    """Return why a comparison cannot tell, and what would; nothing where it can."""
    if entry.verdict != CANNOT_TELL:
        return ""
    if abs(entry.difference) < 1e-12:
        return "no difference was seen"
    if entry.images_needed is None:
        return ""
    if entry.n is not None and entry.images_needed <= entry.n:
        return "the folds differ more than the images alone explain"
    return f"to show a difference of this size takes about {entry.images_needed:,} images"
