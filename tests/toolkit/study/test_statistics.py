from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mstl_edge.study.results.statistics import (
    PairedTest,
    bootstrap_interval,
    images_needed,
    in_words,
    judge,
    resampled_interval,
    resampled_paired_test,
)

VALUES = np.array([0.80, 0.90, 0.85, 0.95, 0.75])


def test_the_corrected_interval_is_the_one_computed_by_hand():
    # mean 0.85, s² = 0.00625, (1/5 + 1/4) s² = 0.0028125, root 0.0530330, t(0.975; 4) = 2.7764451
    interval = resampled_interval(VALUES, 1 / 4)
    assert interval.value == pytest.approx(0.85)
    assert interval.low == pytest.approx(0.85 - 2.7764451 * 0.0530330, abs=1e-6)
    assert interval.high == pytest.approx(0.85 + 2.7764451 * 0.0530330, abs=1e-6)


def test_without_correction_it_is_scipys_t_interval():
    interval = resampled_interval(VALUES, 0.0)
    low, high = stats.t.interval(0.95, len(VALUES) - 1, loc=VALUES.mean(), scale=stats.sem(VALUES))
    assert (interval.low, interval.high) == pytest.approx((low, high))


def test_without_correction_the_paired_test_is_scipys():
    other = VALUES + np.array([0.01, 0.05, -0.02, 0.03, 0.04])
    test = resampled_paired_test(other - VALUES, 0.0)
    scipys = stats.ttest_rel(other, VALUES)
    assert test.p == pytest.approx(scipys.pvalue)
    interval = scipys.confidence_interval(0.95)
    assert (test.low, test.high) == pytest.approx((interval.low, interval.high))


def test_the_correction_makes_a_test_more_careful():
    differences = np.array([0.02, 0.03, 0.01, 0.04, 0.025])
    plain, corrected = (resampled_paired_test(differences, ratio) for ratio in (0.0, 0.25))
    assert corrected.p > plain.p
    statistic = differences.mean() / math.sqrt((1 / 5 + 1 / 4) * differences.var(ddof=1))
    assert corrected.p == pytest.approx(2 * stats.t.sf(statistic, 4))


@pytest.mark.parametrize("images", [20, 128])
def test_intervals_hold_the_truth_about_as_often_as_they_say_whatever_part_a_fold_trains_on(images):
    """Simulate 2 repeats of 5 folds over 160 points in 10 dimensions, told apart by the nearer of two means of `images` points."""
    rng, classes = np.random.default_rng(0), np.arange(160) % 2

    def draw():
        return rng.normal(size=(160, 10)) + np.where(classes, 0.25, -0.25)[:, np.newaxis]

    def accuracy(points, trained, tested_points, tested):
        subset = [rng.permutation(trained[classes[trained] == c])[: images // 2] for c in (0, 1)]
        healthy, ill = (points[chosen].mean(axis=0) for chosen in subset)
        return np.mean(((tested_points[tested] - (ill + healthy) / 2) @ (ill - healthy) > 0) == classes[tested])

    everyone, found, truths = np.arange(160), [], []
    for _ in range(400):
        points = draw()
        repeats = [
            rng.permutation(80).repeat(2) % 5 for _ in range(2)
        ]  # two by two: as many of either class in each fold
        found.append(
            [accuracy(points, everyone[fold != k], points, everyone[fold == k]) for fold in repeats for k in range(5)]
        )
        truths.append(accuracy(points, everyone, draw(), everyone))
    intervals = [resampled_interval(np.array(values), 32 / 128) for values in found]
    held = np.mean([interval.low <= np.mean(truths) <= interval.high for interval in intervals])
    assert 0.93 < held < 0.99


def test_an_interval_of_a_share_stays_between_0_and_1():
    interval = resampled_interval(np.array([1.0, 1.0, 0.7, 1.0, 1.0]), 0.25)
    assert interval.high == 1.0
    assert interval.low > 0.0


def test_an_interval_of_a_loss_may_reach_beyond_1():
    assert resampled_interval(np.array([1.0, 2.0, 1.5]), 0.5, highest=math.inf).high > 2


def test_the_bootstrap_of_a_mean_is_scipys():
    values = np.random.default_rng(1).normal(3, 1, 50)
    interval = bootstrap_interval(lambda positions: float(values[positions].mean()), 50)
    scipys = stats.bootstrap(
        (values,), np.mean, n_resamples=2000, method="percentile", random_state=2
    ).confidence_interval
    assert interval.value == values.mean()
    assert (interval.low, interval.high) == pytest.approx((scipys.low, scipys.high), abs=0.05)
    assert interval == bootstrap_interval(lambda positions: float(values[positions].mean()), 50)


def test_a_bootstrap_interval_holds_its_value():
    # On redrawn images the number of different ones is always smaller.
    interval = bootstrap_interval(lambda positions: float(len(set(positions.tolist()))), 20)
    assert interval.low < interval.value == interval.high == 20


def test_folds_that_do_not_differ_have_no_t_interval():
    assert resampled_interval(np.ones(5), 0.25) is None
    assert resampled_paired_test(np.zeros(5), 0.25) is None


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.01, 0.2, "helped"), (-0.2, -0.01, "hurt"), (-0.1, 0.1, "cannot tell"), (0.0, 0.1, "cannot tell")],
)
def test_the_verdict_follows_the_interval(low, high, verdict):
    assert judge(low, high) == verdict


def test_the_number_of_images_is_connors():
    # δ = 0.05, ψ = 0.15: (1.959964·√0.15 + 0.841621·√(0.15 − 0.0025))² / 0.0025 = 468.4
    assert images_needed(0.05, 0.15) == 469
    assert images_needed(-0.05, 0.15) == 469
    assert images_needed(0.0, 0.15) is None


def test_the_number_of_images_gives_the_promised_power():
    """Simulate McNemar's test, without continuity correction, at the number that Connor's formula asks for."""
    n = images_needed(0.08, 0.2)
    rng = np.random.default_rng(0)
    counts = rng.multinomial(n, [0.14, 0.06, 0.8], size=4000)
    statistic = (counts[:, 0] - counts[:, 1]) / np.sqrt(np.maximum(counts[:, 0] + counts[:, 1], 1))
    assert np.mean(np.abs(statistic) > 1.959964) == pytest.approx(0.8, abs=0.03)


def test_words_say_what_n_cannot_tell_and_how_many_images_would():
    test = PairedTest(0.02, -0.03, 0.07, 0.4)
    words = in_words("cannot tell", "single/float32", "multi/float32", test, 200, 1900)
    assert "cannot tell with n = 200" in words
    assert "+2.0 points (-3.0 to +7.0)" in words
    assert "1,900 images" in words
    assert in_words("helped", "a", "b", PairedTest(0.05, 0.01, 0.09, 0.02), 200, 300).startswith(
        "b helped against a: +5.0"
    )
    assert "no difference was seen" in in_words("cannot tell", "a", "b", PairedTest(0, -0.1, 0.1, 1.0), 200, None)
