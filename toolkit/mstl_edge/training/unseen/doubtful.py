"""The labels that a finished run finds hardest to believe: cross-fitted, since a network believes what it was taught.

Images are ranked by the probability that is given to their own label (self-confidence; Northcutt et al. 2021, arXiv:1911.00068).
Training images are answered by networks of the last stage that were trained without them, validation images by the run's own. Test
images are not asked: what is learned of them would be a second look.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mstl_edge.data.sources import Split
from mstl_edge.errors import DataError
from mstl_edge.progress import SILENT, Reporter
from mstl_edge.runs import RunFolder
from mstl_edge.training._keras import keras
from mstl_edge.training.asking import answers
from mstl_edge.training.convert import to_float_flatbuffer
from mstl_edge.training.network.classifier import with_softmax
from mstl_edge.training.network.passes.absorb import absorb_batch_norm
from mstl_edge.training.trained import Trained, open_trained
from mstl_edge.training.unseen.cross_fit import deal_parts, train_part

PARTS = 5


@dataclass(frozen=True)
class DoubtfulLabel:
    """An image, its label, what was answered instead (or the label itself), and the probability that its label was given."""

    name: str
    label: str
    answered: str
    probability: float


def doubtful_labels(
    run: RunFolder, *, parts: int = PARTS, threads: int = 1, reporter: Reporter = SILENT
) -> tuple[DoubtfulLabel, ...]:
    """Return every training and validation image of a run's last stage, the least believed label first.

    Args:
        run: A finished run.
        parts: Into which the training images are dealt; fewer where a class has fewer independent images.
        threads: Threads of the engine.
        reporter: Told of progress.

    Raises:
        RunError: The run is not finished.
        DataError: Its images are gone, or a class has a single independent training image.
        WeightsError: The first weights of the run are not at hand.
    """
    trained = open_trained(run, reporter)
    dealt = deal_parts(trained, parts)
    if dealt is None:
        raise DataError("two independent training images of each class", received=f"fewer in {run.path}")
    rows = _answered(trained, "validation", threads)
    for number in range(max(dealt) + 1):
        rows += _answered(train_part(trained, dealt, number, threads, reporter), "test", threads)
        keras.backend.clear_session()
    return tuple(sorted(rows, key=lambda row: (row.probability, row.name)))


def _answered(trained: Trained, split: Split, threads: int) -> list[DoubtfulLabel]:
    images, classes = trained.data.part(split)
    twin = to_float_flatbuffer(absorb_batch_norm(with_softmax(trained.network, trained.entry.temperature)))
    given: NDArray[np.float32] = answers(twin, images.pixels, threads=threads)
    names = [row.name for row in trained.data.manifest.part(split)]
    return [
        DoubtfulLabel(name, trained.labels[truth], trained.labels[decided], float(shares[truth]))
        for name, truth, decided, shares in zip(names, classes, given.argmax(axis=1), given, strict=True)
    ]
