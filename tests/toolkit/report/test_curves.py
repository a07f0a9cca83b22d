"""ROC curves, their bands, and bins of reliability."""

from __future__ import annotations

import numpy as np
import pytest

from mstl_edge.metrics import roc_auc
from mstl_edge.report.draw.curves import reliability, roc_band, roc_curve, stairs


def _answers(n: int, seed: int = 0, decimals: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    is_positive = np.arange(n) % 3 == 0
    return is_positive, np.clip(rng.normal(0.4 + 0.3 * is_positive, 0.2), 0, 1).round(decimals)


@pytest.mark.parametrize("decimals", [1, 6])
def test_the_area_under_the_drawn_curve_is_the_auc_with_and_without_ties(decimals: int) -> None:
    is_positive, scores = _answers(60, decimals=decimals)
    wrong, found = roc_curve(is_positive, scores)
    assert (wrong[0], found[0], wrong[-1], found[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(found, wrong) == pytest.approx(roc_auc(is_positive, scores))


def test_the_band_lies_around_the_curve_narrows_with_n_and_repeats_with_its_seed() -> None:
    widths = []
    for n in (60, 600):
        is_positive, scores = _answers(n, decimals=6)
        at, low, high = roc_band(is_positive, scores, draws=200)
        assert np.all((low >= 0) & (low <= high) & (high <= 1))
        assert np.all(np.diff(low) >= 0)
        assert np.all(np.diff(high) >= 0)
        assert (at[0], at[-1], low[-1]) == (0, 1, 1)
        widths.append(float((high - low).mean()))
        again = roc_band(is_positive, scores, draws=200)
        assert np.array_equal(low, again[1])
        assert np.array_equal(high, again[2])
    assert widths[1] < widths[0]


def test_the_rate_with_no_false_positive_counts_the_positives_above_every_negative() -> None:
    is_positive = np.array([True] * 4 + [False] * 4)
    scores = np.array([0.9, 0.8, 0.7, 0.2, 0.5, 0.3, 0.1, 0.0])
    _, low, high = roc_band(is_positive, scores, draws=400)
    assert low[0] <= 0.75 <= high[0]


def test_stairs_keep_each_value_until_the_next_place() -> None:
    xs, ys = stairs(np.array([0.0, 0.5, 1.0]), np.array([0.2, 0.6, 1.0]))
    assert list(zip(xs, ys, strict=True)) == [(0.0, 0.2), (0.5, 0.2), (0.5, 0.6), (1.0, 0.6), (1.0, 1.0)]


@pytest.mark.parametrize("n", [1, 5, 17, 32, 500])
def test_reliability_bins_hold_every_image_once_and_rise(n: int) -> None:
    is_positive, scores = _answers(n)
    bins = reliability(is_positive, scores)
    assert sum(entry.n for entry in bins) == n
    assert len(bins) <= 10
    assert [entry.probability for entry in bins] == sorted(entry.probability for entry in bins)
    assert sum(entry.observed.value * entry.n for entry in bins) == pytest.approx(is_positive.sum())


def test_an_image_is_drawn_with_all_its_answers_so_that_repeating_them_does_not_narrow_the_band() -> None:
    is_positive, scores = _answers(60, decimals=6)
    at, low, high = roc_band(is_positive, scores, draws=100)
    twice = roc_band(is_positive, np.stack([scores, scores], axis=1), draws=100)
    assert all(np.allclose(one[::2], other) for one, other in zip(twice, (at, low, high), strict=True))


def test_repeated_answers_do_not_narrow_the_intervals_of_reliability() -> None:
    is_positive, scores = _answers(64, decimals=6)
    once = reliability(is_positive, scores)
    twice = reliability(np.tile(is_positive, 2), np.tile(scores, 2), repeats=2)
    assert [entry.observed for entry in twice] == [entry.observed for entry in once]
    assert [entry.n for entry in twice] == [2 * entry.n for entry in once]
