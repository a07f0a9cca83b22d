from __future__ import annotations

import math

import numpy as np
import pytest

from mstl_edge.errors import MstlEdgeError
from mstl_edge.metrics import (
    choose_threshold,
    expected_calibration_error,
    fit_temperature,
    mcnemar_exact,
    paired_agreement,
    paired_difference,
    softmax,
)
from mstl_edge.metrics.calibration import TEMPERATURE_RANGE, smoothed_targets


def _pairs(both: int, a_only: int, b_only: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    a = np.repeat([True, True, False, False], [both, a_only, b_only, neither])
    b = np.repeat([True, False, True, False], [both, a_only, b_only, neither])
    return a, b


@pytest.mark.parametrize(("a_only", "b_only"), [(0, 0), (1, 0), (5, 5), (2, 9), (900, 1000)])
def test_mcnemar_is_the_two_sided_binomial_test_of_scipy(a_only: int, b_only: int) -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    result = mcnemar_exact(*_pairs(20, a_only, b_only, 4))
    expected = scipy_stats.binomtest(a_only, a_only + b_only).pvalue if a_only + b_only else 1.0
    assert (result.a_only, result.b_only) == (a_only, b_only)
    assert result.p == pytest.approx(expected, rel=1e-9)


def test_the_paired_interval_is_newcombes_published_one() -> None:
    # Newcombe 1998 (Statistics in Medicine 17:2635), table III: 36, 12, 2, 0 by method 10.
    interval = paired_difference(*_pairs(36, 12, 2, 0))
    assert interval.value == pytest.approx(0.2)
    assert interval.low == pytest.approx(0.0569, abs=1e-4)
    assert interval.high == pytest.approx(0.3404, abs=1e-4)


def test_two_models_that_always_agree_still_have_an_interval() -> None:
    interval = paired_difference(*_pairs(40, 0, 0, 0))
    assert interval.value == 0
    assert interval.low < 0 < interval.high


def test_agreement_counts_decisions_and_measures_probabilities() -> None:
    a = np.array([[0.9, 0.1], [0.4, 0.6], [0.55, 0.45], [0.2, 0.8]])
    b = np.array([[0.8, 0.2], [0.4, 0.6], [0.45, 0.55], [0.2, 0.8]])
    result = paired_agreement(a, b, positive=1)
    assert (result.n, result.agreement.value) == (4, 0.75)
    assert result.largest_difference == pytest.approx(0.1)
    assert result.mean_difference == pytest.approx(0.05)
    assert paired_agreement(a, b, positive=1, thresholds=(0.5, 0.56)).agreement.value == 1.0


def test_answers_to_different_images_are_refused() -> None:
    with pytest.raises(MstlEdgeError):
        paired_agreement(np.ones((3, 2)), np.ones((4, 2)), positive=1)
    with pytest.raises(MstlEdgeError):
        mcnemar_exact(np.ones(3, bool), np.ones(4, bool))


@pytest.mark.parametrize("classes", [2, 3])
def test_the_temperature_minimizes_the_loss_that_scipy_minimizes(classes: int) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    draw = np.random.default_rng(3)
    labels = draw.integers(0, classes, 60)
    logits = draw.normal(size=(60, classes)) * 3
    logits[np.arange(60), labels] += 2
    targets = smoothed_targets(labels, classes)

    def loss(log_temperature: float) -> float:
        return float(-(targets * np.log(softmax(logits, math.exp(log_temperature)))).sum(axis=1).mean())

    expected = optimize.minimize_scalar(loss, bounds=[math.log(b) for b in TEMPERATURE_RANGE], method="bounded")
    assert fit_temperature(logits, labels) == pytest.approx(math.exp(expected.x), rel=1e-3)


def test_the_temperature_finds_how_overconfident_logits_are() -> None:
    draw = np.random.default_rng(4)
    logits = draw.normal(size=(20_000, 2)) * 2
    labels = (draw.random(20_000) < softmax(logits)[:, 1]).astype(int)
    assert fit_temperature(logits * 3, labels) == pytest.approx(3, rel=0.05)


def test_a_small_perfect_set_does_not_ask_for_certainty() -> None:
    labels = np.array([0, 1] * 8)
    logits = np.where(labels[:, None] == np.arange(2), 2.0, -2.0)
    temperature = fit_temperature(logits, labels)
    assert softmax(logits, temperature).max() == pytest.approx(9 / 10, abs=1e-3)


def test_the_smoothed_targets_are_platts() -> None:
    targets = smoothed_targets(np.array([0, 1, 1, 1]), 2)
    assert targets[0].tolist() == pytest.approx([2 / 3, 1 / 3])
    assert targets[1].tolist() == pytest.approx([1 / 5, 4 / 5])


def test_the_youden_threshold_is_as_good_as_any_on_the_roc_curve_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    draw = np.random.default_rng(6)
    labels = draw.integers(0, 2, 400)
    scores = np.clip(0.2 + 0.25 * labels + 0.1 * draw.normal(size=400), 0, 1)
    threshold = choose_threshold(labels, scores)
    false_alarms, found, _ = metrics.roc_curve(labels, scores)
    ours = (scores[labels == 1] >= threshold).mean() - (scores[labels == 0] >= threshold).mean()
    assert ours == pytest.approx((found - false_alarms).max())
    assert np.abs(scores - threshold).min() > 0


def test_separated_scores_are_cut_at_the_middle_of_the_road() -> None:
    assert choose_threshold(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.9, 0.95])) == 0.5
    assert choose_threshold(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.3, 0.4])) == pytest.approx(0.25)
    assert choose_threshold(np.array([1, 1]), np.array([0.1, 0.2])) == 0.5


def test_a_gain_that_a_few_images_bring_by_chance_leaves_the_threshold_at_a_half() -> None:
    one_image_better_at_a_lower_threshold = np.array([0.1, 0.2, 0.3, 0.35, 0.4, 0.45, 0.6, 0.7, 0.8, 0.9])
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    assert choose_threshold(labels, one_image_better_at_a_lower_threshold) == 0.5
    many = np.repeat(labels, 20), np.repeat(one_image_better_at_a_lower_threshold, 20)
    assert choose_threshold(*many) == pytest.approx(0.425)


def test_a_calibrated_model_has_a_small_calibration_error() -> None:
    draw = np.random.default_rng(8)
    positive = draw.random(50_000)
    labels = (draw.random(50_000) < positive).astype(int)
    probabilities = np.stack([1 - positive, positive], axis=1)
    assert expected_calibration_error(labels, probabilities) < 0.01
    assert expected_calibration_error(np.zeros(4, int), np.array([[0.2, 0.8]] * 4)) == pytest.approx(0.8)
