"""The features of an arm that all its folds share: what the frozen prefix makes of every image and view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.recipe import FeaturePrecision
from mstl_edge.schemas.study_plan import Arm
from mstl_edge.training import stages
from mstl_edge.training.fitting.features import (
    FrozenPrefix,
    Images,
    Views,
    feature_folder,
    feature_store,
    view_features,
)
from mstl_edge.training.network.cut import cut_at
from mstl_edge.training.study.one_fold import open_arm
from mstl_edge_models.backbones import REGISTRY


@dataclass(frozen=True)
class FeatureRows:
    """Features of some images, as they are stored; equal on any CPU of one kind.

    Attributes:
        folder: What they are called in the cache.
        keys: Of each row.
        rows: `(len(keys), *feature shape)`.
        precision: How they are stored.
    """

    folder: str
    keys: tuple[bytes, ...]
    rows: NDArray[Any]
    precision: FeaturePrecision


def shares_features(arm: Arm) -> bool:
    """Return whether the folds of an arm share a prefix: kernels that are drawn are scaled by each fold's own images."""
    spec = arm.recipe.backbone
    whole = REGISTRY[spec.name].cut_names(spec.variant)[0] == arm.stage.unfreeze_from
    return not whole and (spec.weights != "none" or len(arm.recipe.stages) > 1)


def compute_features(study: Path, name: str, positions: Sequence[int], threads: int) -> FeatureRows:
    """Return the features of some images of a study, computed where the cache lacks them.

    Args:
        study: The study's folder.
        name: Of an arm that shares its features.
        positions: Of the images, among the study's.
        threads: CPU threads.

    Raises:
        MstlEdgeError: Images or disk do not allow it.
    """
    opened = open_arm(study, name)
    recipe, stage, data = opened.arm.recipe, opened.arm.stage, opened.data
    network = stages.build_network(recipe, stage, len(data.manifest.labels), opened.carried)
    prefix = FrozenPrefix(cut_at(network, stage.unfreeze_from).prefix, threads)
    images = Images(data.images.pixels.select(positions), tuple(data.images.keys[i] for i in positions))
    views, precision = Views("images", images, stage.augment), stage.feature_precision
    view_features(prefix, [views], precision=precision)
    folder, keys = feature_folder(prefix, precision), tuple(views.keys())
    rows = feature_store(folder, prefix.shape(images), precision).rows(keys)
    return FeatureRows(folder, keys, np.asarray(rows[:]), precision)


def keep_features(features: FeatureRows) -> None:
    """Put features that were computed elsewhere into the cache here; those that it has stay.

    Raises:
        MstlEdgeError: They would not fit on the disk, or into the cache's limit.
    """
    store = feature_store(features.folder, features.rows.shape[1:], features.precision)
    store.ensure(features.keys, lambda positions: (features.rows[position] for position in positions))
