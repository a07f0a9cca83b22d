"""Right and wrong answers of the exported file, with the part of each image that they come from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mstl_edge.classifier import load_classifier
from mstl_edge.errors import DataError, MissingExtraError
from mstl_edge.explain.overlay import overlaid
from mstl_edge.prediction import Explanation
from mstl_edge.report.answers.answers import Answered
from mstl_edge.report.answers.mistakes import worst
from mstl_edge.report.answers.thumbnails import THUMBNAIL_PIXELS, data_address, test_images
from mstl_edge.report.html import wording
from mstl_edge.report.html.blocks import Section, Table
from mstl_edge.report.html.markup import Child, Markup, tag
from mstl_edge.report.run.run_record import RunRecord

TITLE = "Where it looks"
MOST_RIGHT, MOST_WRONG = 6, 4
DRAWN = "phantom:"


def where_it_looks(run: RunRecord, answers: Answered, *, with_images: bool) -> Section | None:
    """Return images with the evidence for what was answered: the most certain right answers of each class, the worst wrong ones.

    Args:
        run: A run; nothing is shown of one without an exported file.
        answers: Of that file to the test images.
        with_images: Show patients' images and names of files. Drawn images are nobody's: they are shown without being asked for.

    Raises:
        DataError: An image cannot be read, and was asked for.
    """
    if run.artifact is None:
        return None
    if not with_images and not run.recipe.stages[-1].data.startswith(DRAWN):
        return Section(TITLE, (tag("p", "Test images with their maps: mstl-edge report RUN --with-images."),))
    files = {name: path for path, name, _ in test_images(run.folder)}
    chosen = [*_surest(answers), *worst(answers, MOST_WRONG)]
    try:
        classifier = load_classifier(run.artifact)
        explained = [classifier.explain(files[answers.name(position)]) for position in chosen]
    except MissingExtraError:
        return None
    except (DataError, KeyError):
        if with_images:
            raise
        return None
    rows = [_row(answers, position, one, named=with_images) for position, one in zip(chosen, explained, strict=True)]
    head = (
        "Picture",
        "Evidence",
        "Image",
        "Truth",
        "Answer",
        "Probability of the answer",
        *(("File",) if with_images else ()),
    )
    words = frozenset((0, 1, 2, 3, 4, *((6,) if with_images else ())))
    return Section(TITLE, (Table(head, tuple(rows), _caption(explained, run), words=words),))


def _surest(answers: Answered) -> list[int]:
    """Return the positions of right answers: of each class in turn the most certain one, then the least certain one."""
    right = answers.decided == answers.classes
    certain = answers.probabilities[np.arange(len(answers.classes)), answers.decided]
    found: list[int] = []
    for last in (True, False):
        for number in range(len(answers.labels)):
            own = np.flatnonzero(right & (answers.classes == number))
            if len(own):
                position = int(own[np.argmax(certain[own]) if last else np.argmin(certain[own])])
                found += [] if position in found else [position]
    return found[:MOST_RIGHT]


def _row(answers: Answered, position: int, explained: Explanation, *, named: bool) -> tuple[Child, ...]:
    truth, place = answers.labels[int(answers.classes[position])], answers.place(position)
    told = explained.prediction
    view = Image.fromarray(explained.pixels).resize((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS), Image.Resampling.BICUBIC)
    over = overlaid(explained.pixels, explained.grid, THUMBNAIL_PIXELS)
    return (
        _picture(np.asarray(view), place),
        _picture(np.asarray(over), f"{place}, evidence for {told.label}"),
        place,
        truth,
        told.label if told.label == truth else tag("b", told.label),
        wording.percent(told.probability),
        *((Path(answers.name(position)).as_posix(),) if named else ()),
    )


def _picture(pixels: NDArray[np.uint8], alt: str) -> Markup:
    return tag("img", src=data_address(pixels), alt=alt, width=THUMBNAIL_PIXELS)


def _caption(explained: Sequence[Explanation], run: RunRecord) -> str:
    cells = _shape([one.grid for one in explained])
    how = {
        "class map": f"each of {cells} cells adds to the logit of a class (class activation maps, Zhou et al. 2016): exact",
        "occlusion": f"{cells} patches were covered one after the other (Zeiler and Fergus 2014)",
    }[explained[0].evidence.method]
    drawn = " The images are drawn." if run.recipe.stages[-1].data.startswith(DRAWN) else ""
    return (
        "Right answers, the most and the least certain of each class, then the worst wrong ones (bold), of the exported file; "
        f"{how}. Colours run from none to the largest evidence for the answer in each image. What a model looks at is no reason to "
        f"trust it.{drawn}"
    )


def _shape(grids: Sequence[NDArray[np.float32]]) -> str:
    return "×".join(str(extent) for extent in grids[0].shape)
