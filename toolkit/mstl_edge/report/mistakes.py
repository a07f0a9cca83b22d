"""The worst mistakes: wrong answers, the most certain first."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping

import numpy as np
from PIL import Image

from mstl_edge.preprocess import load_image
from mstl_edge.report import wording
from mstl_edge.report.blocks import Table
from mstl_edge.report.markup import Child, Markup, tag
from mstl_edge.report.paired import test_images
from mstl_edge.report.run_record import Answered, RunRecord

MOST = 10
THUMBNAIL_PIXELS = 128

Thumbnails = Mapping[str, str]
"""Name of a test image → `data:` address of a small PNG."""


def mistakes(model: str, answers: Answered, thumbnails: Thumbnails | None) -> tuple[Table | Markup, ...]:
    """Return the wrong answers; file names and pictures only where `thumbnails` are given."""
    positions = worst(answers)
    n, labels = len(answers.classes), answers.entry.labels
    wrong = int(np.count_nonzero(answers.decided != answers.classes))
    if not wrong:
        return (tag("p", f"{model}: all {n} test images are labelled right."),)
    rows: list[tuple[Child, ...]] = []
    for position in positions:
        truth, decided = int(answers.classes[position]), int(answers.decided[position])
        row = [
            f"test row {position + 1}",
            labels[truth],
            labels[decided],
            wording.percent(float(answers.probabilities[position, truth])),
            wording.percent(float(answers.probabilities[position, decided])),
        ]
        if thumbnails is not None:
            name = answers.names[position]
            shown = tag("img", src=thumbnails[name], alt=f"test row {position + 1}", width=THUMBNAIL_PIXELS)
            rows.append((shown, *row, name))
        else:
            rows.append(tuple(row))
    head = ["Image", "Truth", "Answer", "Probability of the truth", "of the answer"]
    if thumbnails is not None:
        head = ["Picture", *head, "File"]
    words = (0, 1, 2, 3, 6) if thumbnails is not None else (0, 1, 2)
    caption = (
        f"{model}: {'the' if wrong <= MOST else f'the worst {MOST} of'} {wording.count_of(wrong, 'wrong answer')} among n = {n} "
        f"test images, the most certain first. Rows count the test images in predictions.csv of stage {answers.entry.name}."
    )
    return (Table(tuple(head), tuple(rows), caption, words=frozenset(words)),)


def worst(answers: Answered) -> list[int]:
    """Return the positions of at most `MOST` wrong answers, the smallest probability of the truth first."""
    wrong = np.flatnonzero(answers.decided != answers.classes)
    given = answers.probabilities[wrong, answers.classes[wrong]]
    return [int(position) for position in wrong[np.argsort(given, kind="stable")][:MOST]]


def thumbnails_of(run: RunRecord, answers: Answered) -> Thumbnails:
    """Return small pictures of the images that `mistakes` shows.

    Raises:
        DataError: The data set is gone, or an image cannot be read.
    """
    wanted = {answers.names[position] for position in worst(answers)}
    found = {}
    for path, name, _ in test_images(run.folder):
        if name in wanted:
            pixels = load_image(path, THUMBNAIL_PIXELS, run.recipe.preprocess)
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
            found[name] = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
    return found
