"""What the exported file says of its own doubt, and what that came to on the test images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mstl_edge.artifact.doubt import Doubt
from mstl_edge.metrics import wilson
from mstl_edge.metrics.conformal import label_sets
from mstl_edge.report.answers.answers import Answered
from mstl_edge.report.draw.axis import linear_axis, unit_axis
from mstl_edge.report.draw.chart import Frame, band, chart, line
from mstl_edge.report.html import wording
from mstl_edge.report.html.blocks import Figure, Section, Table
from mstl_edge.report.html.markup import Child, Markup, tag
from mstl_edge.report.run.run_record import RunRecord

TITLE = "When it should say nothing"


def doubt_section(run: RunRecord, answers: Answered) -> Section | None:
    """Return what the file promises and keeps; None where there is no file, or one of before there was doubt.

    Args:
        run: An exported run.
        answers: Of its file to the test images.
    """
    card = None if run.artifact is None else run.artifact.card
    if card is None or card.doubt is None:
        return None
    blocks: list[Figure | Table | Markup] = []
    if rows := _rows(card.doubt, answers):
        caption = (
            f"What the exported file says of its own doubt, and the {answers.n} test images, which had no part in it; 95 % "
            "intervals (Wilson). A promise holds on average over images of this kind, and for no single one."
        )
        blocks.append(
            Table(
                ("", "Promised", "Fitted on", "On the test images, %"), tuple(rows), caption, words=frozenset((0, 1, 2))
            )
        )
    blocks += [tag("p", f"Left out: {reason}.") for reason in card.doubt.left_out]
    blocks.append(_curve(answers))
    return Section(TITLE, tuple(blocks))


def _rows(doubt: Doubt, answers: Answered) -> list[tuple[Child, ...]]:
    rows: list[tuple[Child, ...]] = []
    if (sets := doubt.sets) is not None:
        held = label_sets(answers.probabilities, answers.decided, sets.lowest)
        truths = held[np.arange(len(held)), answers.classes]
        promised = f"in {sets.level:.0%} of images {sets.whose}".replace("%", " %")
        rows += [
            ("The true label is in the set", promised, sets.origin, _share(truths)),
            ("The set is a single label", "–", sets.origin, _share(held.sum(axis=1) == 1)),
        ]
    if (told := doubt.familiarity) is not None:
        promised = f"{told.level:.0%} of unseen images".replace("%", " %")
        rows.append(
            ("An image is like the training images", promised, f"{told.images} unseen images", wording.NOT_MEASURED)
        )
    return rows


def _share(hits: NDArray[np.bool_]) -> Child:
    return wording.percent_cell(wilson(int(hits.sum()), len(hits)))


def _curve(answers: Answered) -> Figure:
    """Return accuracy on the answers that are kept where the least certain ones are held back."""
    right = answers.decided == answers.classes
    certain = answers.probabilities[np.arange(len(right)), answers.decided]
    ranked = right[np.argsort(-certain, kind="stable")]
    counts = np.arange(1, len(ranked) + 1)
    intervals = [wilson(int(hits), int(n)) for hits, n in zip(np.cumsum(ranked), counts, strict=True)]
    shown = [number for number, n in enumerate(counts) if n >= min(5, len(ranked))]
    xs = [float(counts[number] / len(ranked)) for number in shown]
    lows, highs = ([getattr(intervals[number], name) for number in shown] for name in ("low", "high"))
    frame = Frame(
        unit_axis("share of the images that are answered, %"), linear_axis("accuracy, %", [*lows, *highs], percent=True)
    )
    marks = [
        band(frame, xs, lows, highs, "a pale"),
        line(frame, xs, [intervals[number].value for number in shown], "a"),
    ]
    half, whole = intervals[max(len(ranked) // 2 - 1, 0)], intervals[-1]
    seen = f"accuracy {wording.percent(half.value)} on the more certain half, {wording.percent(whole.value)} on all"
    caption = (
        f"Accuracy on what is answered where the least certain answers are held back, with 95 % intervals (Wilson, pointwise); "
        f"n = {len(ranked)} test images."
    )
    return Figure((chart(frame, marks, heading="Accuracy against coverage", description=seen),), caption)
