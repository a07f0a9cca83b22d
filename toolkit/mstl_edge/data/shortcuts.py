"""What tells the class beside what is shown: the size of a file, the frame of a picture, a tiny thumbnail.

A network learns whatever tells the classes apart. Where the frame alone does, with its burned-in text or marks, or the scanner's
margins, a good accuracy may say nothing of the disease (Zech et al. 2018, doi:10.1371/journal.pmed.1002683).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mstl_edge import bounded
from mstl_edge.data.dealing import deal
from mstl_edge.data.duplicates import SIDE
from mstl_edge.data.scan import ImageFacts
from mstl_edge.errors import DataError
from mstl_edge.metrics import Interval

Kind = Literal["size", "frame", "thumbnail"]
TITLES: dict[Kind, str] = {
    "size": "size and format of the files",
    "frame": "the outermost tenth of the pictures",
    "thumbnail": "thumbnails of 8×8 pixels",
}
MOST_IMAGES = 4000
FOLDS = 5
FEWEST = 15
"""Independent images of each class without which nothing is said."""
MARGIN = 0.05
"""By how much the interval must lie above chance to be called a shortcut."""
_FEW = 200
"""Images of a class that are always asked, where there are so many."""
_RING = 3
_BLOCKS = 8
_PENALTIES = np.logspace(-2, 5, 15)
_DRAWS = 1000
_SEED = 0


@dataclass(frozen=True)
class Shortcut:
    """How well the class is told by something beside what is shown.

    Attributes:
        kind: What it is told by.
        balanced_accuracy: Mean of the classes' recalls over cross-validation, with its interval over independent images.
        chance: What guessing reaches: one by the number of classes.
        images: How many were asked.
    """

    kind: Kind
    balanced_accuracy: Interval
    chance: float
    images: int

    @property
    def tells(self) -> bool:
        """Whether it tells the class beyond chance. A thumbnail may well show what matters: it never counts as a shortcut."""
        return self.kind != "thumbnail" and self.balanced_accuracy.low > self.chance + MARGIN

    @property
    def brief(self) -> str:
        """The finding with its value alone."""
        told = f"{self.balanced_accuracy.value:.0%}, chance {self.chance:.0%}"
        return f"{TITLES[self.kind]} alone {'tells' if self.kind == 'frame' else 'tell'} the class ({told})"

    @property
    def words(self) -> str:
        """The finding as a sentence."""
        found = self.balanced_accuracy
        told = f"{bounded.with_signs(found)}, chance {self.chance:.1%}, n = {self.images:,}"
        return f"{TITLES[self.kind]} alone {'tells' if self.kind == 'frame' else 'tell'} the class: balanced accuracy {told}"


def find_shortcuts(facts: Sequence[ImageFacts], labels: Sequence[str], groups: Sequence[str]) -> tuple[Shortcut, ...]:
    """Return how well size, frame and thumbnail tell the class, each by a linear classifier, cross-validated.

    Ridge regression on one column per class, classes weighted alike, its penalty chosen by leaving one out in training; then
    the nearest class mean in what it gives, so that no class hides another (flexible discriminant analysis; Hastie et al. 1994).

    Args:
        facts: What the scan found of each image.
        labels: Their classes.
        groups: Which of them stay together.

    Returns:
        Nothing where a class has fewer than `FEWEST` independent images.
    """
    names = sorted(set(labels))
    independent = {
        name: len({group for group, label in zip(groups, labels, strict=True) if label == name}) for name in names
    }
    if len(names) < 2 or min(independent.values()) < FEWEST:
        return ()
    chosen = _drawn(labels, names)
    classes = np.array([names.index(labels[i]) for i in chosen])
    kept = [groups[i] for i in chosen]
    try:
        folds = np.array(deal([labels[i] for i in chosen], kept, [1 / FOLDS] * FOLDS, seed=_SEED))
    except DataError:
        return ()
    found: list[Shortcut] = []
    for kind, columns in _columns([facts[i] for i in chosen]).items():
        answered = np.zeros(len(classes), np.int64)
        for fold in range(FOLDS):
            held = folds == fold
            answered[held] = _answers(columns[~held], classes[~held], columns[held], len(names))
        interval = _balanced(answered == classes, classes, kept, len(names))
        found.append(Shortcut(kind, interval, 1 / len(names), len(classes)))
    return tuple(found)


def _drawn(labels: Sequence[str], names: Sequence[str]) -> NDArray[np.int64]:
    """Return the positions of a seeded choice of at most about `MOST_IMAGES`, each class in proportion and none of them rare."""
    order, given = np.random.default_rng(_SEED).permutation(len(labels)), np.asarray(labels)
    share = min(1.0, MOST_IMAGES / len(labels))
    own = {name: order[given[order] == name] for name in names}
    return np.sort(np.concatenate([one[: max(_FEW, round(share * len(one)))] for one in own.values()]))


def _columns(facts: Sequence[ImageFacts]) -> dict[Kind, NDArray[np.float64]]:
    """Return what each kind sees of the images, a row for each."""
    small = (
        np.frombuffer(b"".join(fact.fingerprint for fact in facts), np.uint8).reshape(-1, SIDE, SIDE).astype(np.float64)
    )
    inside = np.zeros((SIDE, SIDE), bool)
    inside[_RING:-_RING, _RING:-_RING] = True
    step = SIDE // _BLOCKS
    modes = sorted({fact.mode for fact in facts})
    sizes = [
        [np.log(fact.width), np.log(fact.height), np.log(fact.width / fact.height), float(fact.grey)]
        + [float(fact.mode == mode) for mode in modes]
        for fact in facts
    ]
    return {
        "size": np.array(sizes),
        "frame": small[:, ~inside],
        "thumbnail": small.reshape(-1, _BLOCKS, step, _BLOCKS, step).mean(axis=(2, 4)).reshape(len(facts), -1),
    }


def _answers(
    rows: NDArray[np.float64], classes: NDArray[np.int64], asked: NDArray[np.float64], count: int
) -> NDArray[np.int64]:
    """Return the classes of `asked`, as told by `rows`; see `find_shortcuts`."""
    middle, spread = rows.mean(axis=0), rows.std(axis=0)
    known = spread > 1e-9
    scaled, wanted = ((part[:, known] - middle[known]) / spread[known] for part in (rows, asked))
    weights = np.sqrt(len(classes) / (count * np.bincount(classes, minlength=count)))[classes][:, None]
    ones = np.ones((len(scaled), 1))
    targets = np.eye(count)[classes]
    left, values, right = np.linalg.svd(np.hstack([scaled, ones]) * weights, full_matrices=False)
    along = left.T @ (targets * weights)
    best, chosen, unseen = np.inf, np.zeros((right.shape[1], count)), targets
    for penalty in _PENALTIES:
        shrunk = values**2 / (values**2 + penalty)
        errors = (targets * weights - left @ (shrunk[:, None] * along)) / (1 - (left**2 @ shrunk)[:, None]).clip(1e-9)
        if (loss := float((errors**2).sum())) < best:
            best, chosen = loss, right.T @ ((values / (values**2 + penalty))[:, None] * along)
            unseen = targets - errors / weights
    given = (np.hstack([wanted, np.ones((len(wanted), 1))]) @ chosen)[:, :-1]  # all columns add up to one
    means = np.stack([unseen[classes == number, :-1].mean(axis=0) for number in range(count)])
    apart = unseen[:, :-1] - means[classes]
    inverse = np.linalg.pinv(np.atleast_2d(apart.T @ apart / len(apart)))
    steps = given[:, None] - means
    return np.asarray(np.einsum("nki,ij,nkj->nk", steps, inverse, steps).argmin(axis=1))


def _balanced(right: NDArray[np.bool_], classes: NDArray[np.int64], groups: Sequence[str], count: int) -> Interval:
    """Return balanced accuracy with its interval: percentiles of a bootstrap over groups."""
    _, group = np.unique(groups, return_inverse=True)
    number = int(group.max()) + 1
    hits, images = np.zeros((number, count)), np.zeros((number, count))
    np.add.at(hits, (group, classes), right)
    np.add.at(images, (group, classes), 1)
    draw = np.random.default_rng(_SEED).multinomial(number, np.full(number, 1 / number), size=_DRAWS)
    with np.errstate(invalid="ignore"):
        recalls = (draw @ hits) / (draw @ images)
    low, high = np.nanpercentile(np.nanmean(recalls, axis=1), [2.5, 97.5])
    return Interval(float((hits.sum(axis=0) / images.sum(axis=0)).mean()), float(low), float(high))
