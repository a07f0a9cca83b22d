"""Features of a stage: one bar that says whose they are, and the same rows whether they are asked for together or alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from mstl_edge.progress import Advance
from mstl_edge.recipe import AugmentSpec
from mstl_edge.storage import Rows
from mstl_edge.training.fitting.features import FrozenPrefix, Images, Views, prefix_features, view_features


class Listener:
    def __init__(self) -> None:
        self.bars: list[tuple[str, int]] = []
        self.steps = 0

    def say(self, message: str) -> None:
        raise AssertionError(message)

    @contextmanager
    def bar(self, description: str, total: int) -> Iterator[Advance]:
        self.bars.append((description, total))

        def advance(steps: int, note: str = "") -> None:
            self.steps += steps

        yield advance


def images(count: int, seed: int) -> Images:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return Images(Rows(pixels, np.arange(count)), tuple(bytes([seed, i]) * 16 for i in range(count)))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSTL_EDGE_CACHE", str(tmp_path / "cache"))


def test_all_parts_of_a_stage_share_one_bar_and_what_is_known_opens_none() -> None:
    prefix, told = FrozenPrefix(None, threads=1), Listener()
    three = AugmentSpec(views=3)
    wanted = [Views("train", images(4, 1), three), Views("validation", images(2, 2), AugmentSpec())]
    train, validation = view_features(prefix, wanted, reporter=told, title="features, target")
    assert told.bars == [("features, target, train with views 1–3, validation", 14)]
    assert told.steps == 14
    assert ([len(view) for view in train], [len(view) for view in validation]) == ([4, 4, 4], [2])

    more = [*wanted, Views("test", images(3, 3), AugmentSpec())]
    view_features(prefix, more, reporter=told, title="features, target")
    view_features(prefix, more, reporter=told, title="features, target")
    assert told.bars[1:] == [("features, target, test", 3)]


def test_features_are_those_of_each_image_and_view_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix, three = FrozenPrefix(None, threads=1), AugmentSpec(views=3)
    together, _ = view_features(
        prefix, [Views("train", images(4, 1), three), Views("test", images(2, 2), AugmentSpec())]
    )
    monkeypatch.setenv("MSTL_EDGE_CACHE", str(tmp_path / "other"))
    alone = prefix_features(prefix, images(4, 1), three)
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one[np.arange(4)], other[np.arange(4)])
    assert not np.array_equal(alone[0][np.arange(4)], alone[1][np.arange(4)])
