"""Whatever takes only some of the images takes them from every class, though files lie in the order of their classes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from mstl_edge.storage import Rows
from mstl_edge.training import pool
from mstl_edge.training.features import Images
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


def test_a_choice_of_unlabelled_images_reaches_beyond_the_first_class() -> None:
    some = pool._some(_images(80), 24, 1)
    chosen = np.array([key[0] for key in some.keys])
    assert len(some) == 24
    assert np.bincount(CLASSES[chosen], minlength=2).min() > 0
    assert np.asarray(some.pixels[np.arange(24)])[:, 0, 0, 0].tolist() == chosen.tolist()
