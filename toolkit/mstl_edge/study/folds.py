"""Who is in which fold: repeated, stratified, grouped by patient, seeded, and the same for every arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mstl_edge.data.dealing import deal
from mstl_edge.data.splits import ManifestRow
from mstl_edge.errors import DataError
from mstl_edge.storage import digest

EVERYTHING = 0
"""Stands for the whole training part where a number of images is asked for."""


@dataclass(frozen=True)
class Fold:
    """One fold of one repeat, as positions in the manifest's rows.

    Attributes:
        repeat: From 1.
        number: From 1.
        train: What is fitted.
        validation: What chooses epoch, temperature and threshold; with `train` it is the fold's training part.
        test: What is answered once.
    """

    repeat: int
    number: int
    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]


def deal_folds(
    rows: Sequence[ManifestRow], *, folds: int, repeats: int, seed: int, validation: float, images: int = EVERYTHING
) -> list[Fold]:
    """Deal rows into `folds` parts, `repeats` times; each part is the test of one fold.

    Args:
        rows: Images with label and group.
        folds: At least 2.
        repeats: At least 1; a later repeat changes none before it.
        seed: Decides everything random.
        validation: Share of a training part that validates.
        images: How many images of each training part are used, all parts of one repeat and fold nested; 0 for all.

    Raises:
        DataError: A class has too few groups for that many folds, or for a validation part, or `images` is too small.
    """
    _check_enough(rows, folds)
    dealt = []
    for repeat in range(1, repeats + 1):
        parts = deal(*_labels_and_groups(rows), [1 / folds] * folds, seed=_seed(seed, "folds", repeat))
        for number in range(1, folds + 1):
            test = tuple(i for i, part in enumerate(parts) if part == number - 1)
            training = [i for i, part in enumerate(parts) if part != number - 1]
            if images:
                training = training_subset(rows, training, images, seed=_seed(seed, "subset", repeat, number))
            inner = _deal_validation(rows, training, validation, _seed(seed, "validation", repeat, number))
            dealt.append(Fold(repeat, number, *inner, test))
    return dealt


def training_subset(rows: Sequence[ManifestRow], positions: Sequence[int], images: int, *, seed: int) -> list[int]:
    """Return `images` of `positions`, each class in proportion; a smaller subset lies inside a larger one.

    The images are put in one random order in which every beginning holds the classes in proportion: each next image is of the
    class that Webster's method of apportionment would seat next. A subset is a beginning.

    Raises:
        DataError: There are fewer than `images`.
    """
    if images > len(positions):
        raise DataError(
            f"at most {len(positions)} images for the learning curve, as many as the training part of a fold holds",
            received=images,
        )
    shuffled = np.random.default_rng(seed).permutation(np.sort(np.asarray(positions)))
    by_class: dict[str, list[int]] = {}
    for position in shuffled.tolist():
        by_class.setdefault(rows[position].label, []).append(position)
    totals = {label: len(members) for label, members in sorted(by_class.items())}
    taken = dict.fromkeys(totals, 0)
    chosen: list[int] = []
    while len(chosen) < images:
        label = max(
            totals, key=lambda name: totals[name] / (2 * taken[name] + 1) if taken[name] < totals[name] else -1.0
        )
        chosen.append(by_class[label][taken[label]])
        taken[label] += 1
    return sorted(chosen)


def _deal_validation(
    rows: Sequence[ManifestRow], training: list[int], share: float, seed: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    inside = [rows[position] for position in training]
    try:
        parts = deal(*_labels_and_groups(inside), [1 - share, share], seed=seed)
    except DataError as error:
        raise DataError(
            f"every class twice, from different patients, in the {len(training)} images that a fold trains and validates on",
            received=error.received,
            hint="Use more folds, larger --learning-curve sizes, or more images.",
        ) from error
    train, validation = ([p for p, part in zip(training, parts, strict=True) if part == wanted] for wanted in (0, 1))
    return tuple(train), tuple(validation)


def _check_enough(rows: Sequence[ManifestRow], folds: int) -> None:
    groups: dict[str, set[str]] = {}
    for row in rows:
        groups.setdefault(row.label, set()).add(row.group)
    label, rarest = min(groups.items(), key=lambda entry: len(entry[1]))
    if folds < 2 or len(rarest) < folds:
        raise DataError(
            f"at least {max(folds, 2)} folds' worth of every class: one independent image for each of {folds} folds",
            received=f"{len(rarest)} independent images of {label!r} (a patient or near-duplicates count once)",
            hint=f"Use --folds {len(rarest)}." if 2 <= len(rarest) < folds else "Add images, or use --folds 2 or more.",
        )


def _labels_and_groups(rows: Sequence[ManifestRow]) -> tuple[list[str], list[str]]:
    return [row.label for row in rows], [row.group for row in rows]


def _seed(seed: int, purpose: str, *numbers: int) -> int:
    return int.from_bytes(digest(purpose, *map(str, (seed, *numbers)))[:4], "little")


def class_numbers(rows: Sequence[ManifestRow], labels: Sequence[str]) -> NDArray[np.int64]:
    """Return the class number of each row."""
    numbers = {label: number for number, label in enumerate(labels)}
    return np.array([numbers[row.label] for row in rows], dtype=np.int64)
