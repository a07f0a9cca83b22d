"""Deals groups of images into parts of given shares, each class in proportion; no group is ever cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mstl_edge.errors import DataError


def deal(labels: Sequence[str], groups: Sequence[str], shares: Sequence[float], *, seed: int) -> list[int]:
    """Return the part (0 … len(shares) − 1) of each image.

    Groups are taken largest first, in seeded order within a size. Each goes where it raises the chi-square distance between
    dealt and wanted class counts least; for groups of one image that is Webster's method of apportionment. The result depends
    on the set of images, not on their order.

    Args:
        labels: Class of each image.
        groups: Group of each image (its patient, or its cluster of near-duplicates).
        shares: Wanted share of each part; they add up to 1.
        seed: Decides the order within a size.

    Raises:
        DataError: A class has fewer groups than there are parts, or cannot reach every part without cutting a group.
    """
    classes, class_numbers = np.unique(np.asarray(labels), return_inverse=True)
    names, group_numbers = np.unique(np.asarray(groups), return_inverse=True)
    counts = np.zeros((len(names), len(classes)), np.int64)
    np.add.at(counts, (group_numbers, class_numbers), 1)
    _check_enough(counts, classes.tolist(), len(shares))
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    parts = _deal_groups(counts, order, np.asarray(shares, np.float64))
    for part in range(len(shares)):
        for number, label in enumerate(classes.tolist()):
            if not (counts[parts == part, number]).any():
                raise DataError(
                    f"enough independent images of {label!r} to put some into each of {len(shares)} parts",
                    received=f"{counts[:, number].sum()} images in {(counts[:, number] > 0).sum()} groups",
                    hint="Add images or patients, or merge classes.",
                )
    return [int(part) for part in parts[group_numbers]]


def _deal_groups(counts: NDArray[np.int64], order: NDArray[np.int64], shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the part of each group; `counts` is `(groups, classes)`."""
    wanted = shares[:, None] * counts.sum(axis=0)[None, :]
    dealt = np.zeros_like(wanted)
    groups_left = (counts > 0).sum(axis=0)
    parts = np.zeros(len(counts), np.int64)
    for group in order:
        size = counts[group]
        cost = (size * (size + 2 * (dealt - wanted)) / wanted).sum(axis=1)
        # The last groups of a rare class go where that class is still absent.
        absent = dealt == 0
        urgent = (size > 0) & (groups_left <= absent.sum(axis=0))
        served = absent[:, urgent].sum(axis=1)
        part = int(np.argmin(np.where(served == served.max(initial=0), cost, np.inf)))
        parts[group] = part
        dealt[part] += size
        groups_left -= size > 0
    return parts


def _check_enough(counts: NDArray[np.int64], classes: Sequence[str], parts: int) -> None:
    for number, label in enumerate(classes):
        independent = int((counts[:, number] > 0).sum())
        if independent < parts:
            raise DataError(
                f"at least {parts} images of every class from different patients, one for each part",
                received=f"{counts[:, number].sum()} images of {label!r} in {independent} groups",
                hint="Patients and near-duplicates count once. Add images or patients, or merge classes.",
            )
