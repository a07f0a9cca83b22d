"""Each class of more than two by itself, as tables; a run's models and a study's arms alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mstl_edge.metrics import Agreement, ClassAgreement, ClassScores, Interval
from mstl_edge.report.html import wording
from mstl_edge.report.html.blocks import Table
from mstl_edge.report.html.markup import Child
from mstl_edge.schemas.study import ClassResult

CLASS_INTERVALS = (
    "with 95 % intervals: recall is the share of its images that is found, precision the share of such answers that is right, AUC "
    "and calibration error are those of its probability, the class against all others."
)
ByClass = Mapping[str, ClassScores | ClassResult]
_HEAD = ("Class", "Images", "Recall, %", "Precision, %", "AUC against the rest", "Calibration error")


def class_table(
    first: str, named: Sequence[tuple[str, ByClass, Sequence[ClassAgreement]]], caption: str
) -> Table | None:
    """Return a row per model and class; None where no class was scored.

    Args:
        first: What the first column names, such as `Stage`.
        named: Names, scores by class, and, for int8, how often each class is answered as float32 answers it, or nothing.
        caption: What is shown, and n.
    """
    compared = any(alike for _, _, alike in named)
    rows = [
        _row(name, label, scores, [alike[number].agreement if number < len(alike) else None] if compared else [])
        for name, by_class, alike in named
        for number, (label, scores) in enumerate(by_class.items())
    ]
    if not rows:
        return None
    head = (first, *_HEAD, "As float32, %") if compared else (first, *_HEAD)
    return Table(head, tuple(rows), caption, words=frozenset((0, 1)))


def _row(
    name: str, label: str, scores: ClassScores | ClassResult, alike: Sequence[Interval | None]
) -> tuple[Child, ...]:
    return (
        name,
        label,
        f"{scores.n:,}",
        wording.percent_cell(scores.recall),
        wording.percent_cell(scores.precision),
        wording.share_cell(scores.auc),
        wording.share_cell(scores.calibration_error),
        *map(wording.percent_cell, alike),
    )


def agreement_table(named: Sequence[tuple[str, Agreement]], labels: Sequence[str]) -> Table | None:
    """Return how often int8 answers what float32 answers, by the class of float32; None for two classes."""
    rows = [
        (name, label, f"{one.n:,}", wording.percent_cell(one.agreement))
        for name, found in named
        for label, one in zip(labels, found.by_class, strict=False)
    ]
    if len(labels) <= 2 or not rows:
        return None
    caption = (
        "Share of equal labels by the class that the float32 file answers: n images of the pool, with 95 % intervals. A class that "
        "quantization hurts can hide in the share of all."
    )
    return Table(("Candidate", "Class by float32", "n", "Same label, %"), tuple(rows), caption, words=frozenset((0, 1)))


def recalls(by_class: ByClass) -> str:
    """Return every class's recall and precision as a sentence."""
    told = [
        f"{label} {wording.percent(one.recall.value)}"
        + (f" (precision {wording.percent(one.precision.value)})" if one.precision else " (never answered)")
        for label, one in by_class.items()
        if one.recall is not None
    ]
    return f"Found of each class: {wording.enumerated(told)}." if told else ""


def least_alike(named: Sequence[tuple[str, Sequence[ClassAgreement]]], labels: Sequence[str]) -> str:
    """Return the class of more than two whose answers int8 keeps least, as a sentence; nothing where that is not known.

    Args:
        named: What is quantized, and how often it answers each class as float32 does.
        labels: The classes in their order.
    """
    found = [
        (one.agreement, one.n, label, name)
        for name, by_class in named
        for label, one in zip(labels, by_class, strict=False)
        if one.agreement is not None
    ]
    if len(labels) <= 2 or not found:
        return ""
    share, n, label, name = min(found, key=lambda entry: entry[0].value)
    return (
        f"Least alike by class: of {wording.count_of(n, 'image')} that float32 answers {label}, {name} answers "
        f"{wording.interval_in_words(share)} so too."
    )
