"""Distances from training images: the same kind passes as often as promised, another kind does not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from mstl_edge.metrics.familiarity import MOST_BYTES, Usual, fit_bound, fit_changed, fit_familiar, fit_usual


def _features(draw: np.random.Generator, n: int, channels: int, shift: float = 0.0) -> NDArray[np.float64]:
    """Return pooled features that few causes move."""
    causes = draw.normal(size=(n, 5)) @ np.random.default_rng(9).normal(size=(5, channels))
    return np.maximum(0.0, 2 + 0.3 * causes + 0.1 * draw.normal(size=(n, channels)) + shift)


def test_the_promised_share_of_unseen_images_passes() -> None:
    draw, passed = np.random.default_rng(1), []
    for _ in range(100):
        familiar = fit_familiar(_features(draw, 100, 64))
        assert familiar is not None
        bound = fit_bound(familiar.distance(_features(draw, 60, 64)))
        assert bound is not None
        passed.append((familiar.distance(_features(draw, 200, 64)) <= bound).mean())
    assert 0.94 <= np.mean(passed) <= 0.98


def test_another_kind_lies_farther_and_the_same_kind_about_one() -> None:
    draw = np.random.default_rng(2)
    familiar = fit_familiar(_features(draw, 200, 64))
    assert familiar is not None
    same, other = (familiar.distance(_features(draw, 100, 64, shift)) for shift in (0.0, 0.5))
    assert 0.5 < same.mean() < 2
    assert (other[:, None] > same).mean() > 0.99


@pytest.mark.parametrize("channels", [64, 256, 1024, 1280, 2048])
def test_what_a_file_must_hold_stays_small(channels: int) -> None:
    familiar = fit_familiar(_features(np.random.default_rng(3), 120, channels))
    assert familiar is not None
    assert 2 <= len(familiar.components) <= 16
    assert familiar.mean.nbytes + familiar.components.nbytes + familiar.mean.nbytes <= MOST_BYTES  # with a direction


def test_too_few_images_and_equal_ones_tell_nothing() -> None:
    draw = np.random.default_rng(4)
    assert fit_familiar(_features(draw, 7, 64)) is None
    assert fit_familiar(np.ones((50, 64))) is None
    assert fit_bound(np.arange(18.0)) is None
    assert fit_bound(np.arange(19.0)) == 18.0


def test_features_below_zero_are_told_apart() -> None:
    draw = np.random.default_rng(5)
    signed = fit_familiar(draw.normal(size=(100, 32)))
    assert signed is not None
    assert signed.distance(np.full((1, 32), -3.0))[0] > 2


def _turned(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return features that were moved along a direction in which unchanged ones are spread as far."""
    direction = np.random.default_rng(9).normal(size=(5, features.shape[1]))[0]
    return np.maximum(0.0, features + 0.6 * direction)


def test_changed_images_are_told_although_they_lie_no_farther() -> None:
    draw = np.random.default_rng(6)
    seen = _features(draw, 150, 64)
    plain = fit_familiar(seen)
    assert plain is not None
    aside = fit_changed(seen, _turned(_features(draw, 150, 64)))
    assert aside is not None
    familiar = dataclasses.replace(plain, changed=aside)
    own, other = _features(draw, 200, 64), _turned(_features(draw, 200, 64))
    assert (plain.distance(other)[:, None] > plain.distance(own)).mean() < 0.8
    usual = fit_usual(familiar.looks(_features(draw, 100, 64)))
    assert (usual.scores(familiar.looks(other))[:, None] > usual.scores(familiar.looks(own))).mean() > 0.85
    towards = familiar.looks(own)[:, 1]
    assert abs(towards.mean()) < 0.3  # each training image was told by the others
    assert 0.7 < towards.std() < 1.4


def test_the_promised_share_passes_with_both_together() -> None:
    draw, passed = np.random.default_rng(7), []
    for _ in range(60):
        seen = _features(draw, 100, 64)
        plain, aside = fit_familiar(seen), fit_changed(seen, _turned(_features(draw, 100, 64)))
        assert plain is not None
        familiar = dataclasses.replace(plain, changed=aside)
        unseen = familiar.looks(_features(draw, 60, 64))
        usual = fit_usual(unseen)
        bound = fit_bound(usual.scores(unseen))
        assert bound is not None
        passed.append((usual.scores(familiar.looks(_features(draw, 200, 64))) <= bound).mean())
    assert 0.92 <= np.mean(passed) <= 0.98


def test_a_direction_needs_images_of_both_kinds_that_differ() -> None:
    draw = np.random.default_rng(8)
    seen = _features(draw, 40, 64)
    assert fit_changed(seen[:5], seen) is None
    assert fit_changed(seen, seen[:5]) is None
    assert fit_changed(np.ones((30, 8)), np.ones((30, 8))) is None


def test_only_what_lies_beyond_the_usual_counts() -> None:
    usual = Usual((1.0, 0.0), (0.5, 2.0))
    looks = np.array([[0.0, -9.0], [2.0, -9.0], [0.0, 4.0], [2.0, 4.0]])
    np.testing.assert_allclose(usual.scores(looks), [0.0, 2.0, 2.0, 4.0])
