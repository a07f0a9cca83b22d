"""Whatever takes only some of the images takes them from every class, though files lie in the order of their classes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from mstl_edge.recipe import AugmentSpec
from mstl_edge.storage import Rows
from mstl_edge.training.fitting.augment import draw_view
from mstl_edge.training.fitting.features import Images
from mstl_edge.training.quantize import lessons
from mstl_edge.training.trained import Trained, taking_turns

CLASSES = np.repeat([0, 1], [60, 20])


def _images(count: int) -> Images:
    pixels = np.arange(count, dtype=np.uint8).reshape(count, 1, 1, 1)
    return Images(Rows(pixels, np.arange(count)), tuple(bytes([i]) * 32 for i in range(count)))


@pytest.mark.parametrize("few", [2, 10, 40])
def test_classes_take_turns_for_as_long_as_they_last(few: int) -> None:
    order = taking_turns(CLASSES, 3)
    assert sorted(order) == list(range(80))
    assert np.bincount(CLASSES[order[:few]]).tolist() == [few // 2, few // 2]
    assert set(CLASSES[order[40:]]) == {0}


def test_a_seed_decides_who_takes_a_turn() -> None:
    assert taking_turns(CLASSES, 3).tolist() == taking_turns(CLASSES, 3).tolist()
    assert taking_turns(CLASSES, 3).tolist() != taking_turns(CLASSES, 4).tolist()


def test_the_first_calibration_images_are_of_both_classes_and_keep_their_keys() -> None:
    data = SimpleNamespace(part=lambda split: (_images(80), CLASSES))
    trained = SimpleNamespace(data=data, seed=5)
    pixels, classes, keys = Trained.calibration(trained, 30)  # type: ignore[arg-type]
    assert np.bincount(classes[:10]).tolist() == [5, 5]
    assert [key[0] for key in keys] == pixels[:, 0, 0, 0].tolist()
    assert (CLASSES[pixels[:, 0, 0, 0]] == classes).all()


def test_the_views_that_bias_correction_sees_take_turns_by_class_and_are_no_originals() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(1, 256, (80, 16, 16, 3), dtype=np.uint8)
    images = Images(Rows(pixels, np.arange(80)), tuple(bytes([i]) * 32 for i in range(80)))
    stage = SimpleNamespace(augment=AugmentSpec())
    trained = SimpleNamespace(data=SimpleNamespace(part=lambda split: (images, CLASSES)), seed=5, stage=stage)
    seen = lessons.correction_views(trained)  # type: ignore[arg-type]
    assert seen.shape == (lessons.CORRECTION, 16, 16, 3)
    order = taking_turns(CLASSES, 5)
    assert np.bincount(CLASSES[order[:40]]).tolist() == [20, 20]
    first = draw_view(pixels[order[0]], 1, stage.augment, images.keys[order[0]])
    assert (seen[0] == first).all()
    assert not any((seen[0] == image).all() for image in pixels)
