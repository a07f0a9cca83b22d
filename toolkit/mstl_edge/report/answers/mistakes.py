"""The worst mistakes: wrong answers, the most certain first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mstl_edge.report.answers.answers import Answered
from mstl_edge.report.answers.thumbnails import THUMBNAIL_PIXELS, Thumbnails
from mstl_edge.report.html import wording
from mstl_edge.report.html.blocks import Table
from mstl_edge.report.html.markup import Child, Markup, tag

MOST = 10


def mistakes(
    model: str,
    answers: Answered,
    thumbnails: Thumbnails | None,
    *,
    counting: str,
    beside: Sequence[tuple[str, Answered]] = (),
    most: int = MOST,
) -> Table | Markup:
    """Return the wrong answers; file names and pictures only where `thumbnails` are given.

    Args:
        model: Whose answers they are.
        answers: All of them.
        thumbnails: Pictures by name; None shows no names either.
        counting: What the numbers of images count, as a sentence.
        beside: Other models' answers to the same images, for the probability they gave to the truth.
        most: How many are shown.
    """
    wrong = int(np.count_nonzero(answers.decided != answers.classes))
    total = f"n = {answers.n:,} images" + (f" in {answers.repeats} repeats" if answers.repeats > 1 else "")
    if not wrong:
        return tag("p", f"{model}: all answers to {total} are right.")
    pictured = bool(thumbnails)
    rows = [_row(answers, position, beside, thumbnails) for position in worst(answers, most)]
    given = "Probability of the truth" if not beside else f"Probability of the truth: {model.rpartition('/')[2]}"
    head = ["Image", "Truth", "Answer", given, *(name for name, _ in beside)]
    words = {0, 1, 2}
    if pictured:
        head, words = ["Picture", *head], {0, 1, 2, 3}
    if thumbnails is not None:
        head, words = [*head, "File"], {*words, len(head)}
    caption = (
        f"{model}: {'the' if wrong <= most else f'the worst {most} of'} {wording.count_of(wrong, 'wrong answer')} to {total}, "
        f"the most certain first. {counting}"
    )
    return Table(tuple(head), tuple(rows), caption, words=frozenset(words))


def _row(
    answers: Answered, position: int, beside: Sequence[tuple[str, Answered]], thumbnails: Thumbnails | None
) -> tuple[Child, ...]:
    truth, decided = int(answers.classes[position]), int(answers.decided[position])
    place, name = answers.place(position), answers.name(position)
    given = [one.probabilities[position, truth] for one in (answers, *(other for _, other in beside))]
    row: list[Child] = [place, answers.labels[truth], answers.labels[decided]]
    row += [wording.percent(float(probability)) for probability in given]
    if thumbnails is None:
        return tuple(row)
    picture = thumbnails.get(name)
    shown = tag("img", src=picture, alt=place, width=THUMBNAIL_PIXELS) if picture else wording.NOT_MEASURED
    return (shown, *row, name) if thumbnails else (*row, name)


def worst(answers: Answered, most: int = MOST) -> list[int]:
    """Return the positions of at most `most` wrong answers, the smallest probability of the truth first."""
    wrong = np.flatnonzero(answers.decided != answers.classes)
    given = answers.probabilities[wrong, answers.classes[wrong]]
    return [int(position) for position in wrong[np.argsort(given, kind="stable")][:most]]
