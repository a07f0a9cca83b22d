from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from mstl_edge.errors import MstlEdgeError
from mstl_edge.metrics import auc_interval, classification_metrics, decide, roc_auc, wilson


def _scores(seed: int, n: int = 120, step: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 2, n)
    positive = 1 / (1 + np.exp(-(draw.normal(size=n) + 1.5 * (labels - 0.5))))
    if step:
        positive = np.round(positive / step) * step
    return labels, np.stack([1 - positive, positive], axis=1)


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 40), (40, 40), (36, 40), (93, 100), (1, 5000)])
def test_wilson_agrees_with_scipy(successes: int, n: int) -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    expected = scipy_stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")
    interval = wilson(successes, n)
    assert interval.value == successes / n
    assert interval.low == pytest.approx(expected.low, abs=1e-12)
    assert interval.high == pytest.approx(expected.high, abs=1e-12)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (-1, 4), (5, 4)])
def test_an_impossible_share_is_refused(successes: int, n: int) -> None:
    with pytest.raises(MstlEdgeError, match="Received"):
        wilson(successes, n)


@pytest.mark.parametrize("step", [0.0, 1 / 256, 0.1])
@pytest.mark.parametrize("seed", range(3))
def test_two_class_metrics_agree_with_scikit_learn(seed: int, step: float) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    labels, probabilities = _scores(seed, step=step)
    ours = classification_metrics(labels, probabilities, positive=1, threshold=0.4)
    answers = (probabilities[:, 1] >= 0.4).astype(int)
    assert ours.n == 120
    assert ours.accuracy.value == pytest.approx(metrics.accuracy_score(labels, answers))
    assert ours.sensitivity is not None
    assert ours.specificity is not None
    assert ours.auc is not None
    assert ours.sensitivity.value == pytest.approx(metrics.recall_score(labels, answers))
    assert ours.specificity.value == pytest.approx(metrics.recall_score(labels, answers, pos_label=0))
    assert ours.auc.value == pytest.approx(metrics.roc_auc_score(labels, probabilities[:, 1]), abs=1e-12)
    assert ours.confusion == metrics.confusion_matrix(labels, answers).tolist()


def test_three_class_metrics_agree_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    draw = np.random.default_rng(5)
    labels = draw.integers(0, 3, 90)
    probabilities = draw.dirichlet([1, 1, 1], 90)
    ours = classification_metrics(labels, probabilities, positive=2)
    answers = probabilities.argmax(axis=1)
    assert ours.confusion == metrics.confusion_matrix(labels, answers).tolist()
    recall, precision = (
        getattr(metrics, f"{name}_score")(labels, answers, average=None) for name in ("recall", "precision")
    )
    assert list(ours.classes) == ["0", "1", "2"]
    for number, scores in enumerate(ours.classes.values()):
        assert scores.n == int((labels == number).sum())
        assert scores.recall is not None
        assert scores.precision is not None
        assert scores.auc is not None
        assert scores.recall.value == pytest.approx(recall[number])
        assert scores.precision.value == pytest.approx(precision[number])
        assert scores.auc.value == pytest.approx(metrics.roc_auc_score(labels == number, probabilities[:, number]))
    assert ours.macro_f1 is not None
    assert ours.macro_f1.value == pytest.approx(metrics.f1_score(labels, answers, average="macro"))
    assert (ours.sensitivity, ours.specificity, ours.auc, ours.threshold) == (None, None, None, None)


def test_the_positive_class_may_come_first() -> None:
    labels, probabilities = _scores(1)
    last = classification_metrics(labels, probabilities, positive=1, threshold=0.3)
    first = classification_metrics(1 - labels, probabilities[:, ::-1], positive=0, threshold=0.3)
    assert (first.accuracy, first.sensitivity, first.auc) == (last.accuracy, last.sensitivity, last.auc)


def test_the_auc_interval_solves_its_own_equation() -> None:
    interval = auc_interval(0.85, 40, 60)
    for bound in (interval.low, interval.high):
        spread = 1 + 49 * (1 - bound) / (2 - bound) + 49 * bound / (1 + bound)
        variance = bound * (1 - bound) * spread / (40 * 60)
        assert abs(bound - 0.85) == pytest.approx(1.959963984540054 * math.sqrt(variance), rel=1e-6)


def test_a_perfect_separation_of_twenty_images_is_not_certain() -> None:
    interval = auc_interval(1.0, 10, 10)
    assert interval.high == 1.0
    assert 0.7 < interval.low < 0.95


def test_the_auc_interval_covers_the_truth_about_95_times_in_100() -> None:
    draw = np.random.default_rng(11)
    truth = 0.5 * (1 + math.erf(1.2 / 2))  # two normals of unit variance, 1.2 apart
    covered = 0
    for _ in range(600):
        scores = np.concatenate([draw.normal(1.2, 1, 30), draw.normal(0, 1, 30)])
        interval = auc_interval(roc_auc(np.arange(60) < 30, scores), 30, 30)
        covered += interval.low <= truth <= interval.high
    assert 0.92 <= covered / 600 <= 0.985


def test_a_set_of_one_class_has_no_auc_and_still_an_accuracy() -> None:
    metrics = classification_metrics(np.array([1, 1]), np.array([[0.4, 0.6], [0.7, 0.3]]), positive=1)
    assert metrics.auc is None
    assert metrics.specificity is None
    assert metrics.sensitivity is not None
    assert metrics.accuracy.value == 0.5


def test_the_json_is_the_documented_one() -> None:
    labels, probabilities = _scores(2)
    tree = msgspec.to_builtins(classification_metrics(labels, probabilities, positive=1))
    assert {"n", "accuracy", "sensitivity", "specificity", "auc", "confusion"} <= tree.keys()
    assert tree["accuracy"].keys() == {"value", "low", "high"}
    assert tree["confusion"] == [[int(x) for x in row] for row in tree["confusion"]]


def test_the_threshold_decides_two_classes_and_the_largest_decides_more() -> None:
    two = np.array([[0.6, 0.4], [0.61, 0.39]])
    assert decide(two, positive=1, threshold=0.4).tolist() == [1, 0]
    assert decide(two, positive=0, threshold=0.605).tolist() == [1, 0]
    assert decide(np.array([[0.2, 0.5, 0.3]]), positive=2, threshold=0.1).tolist() == [1]


@pytest.mark.parametrize(
    ("labels", "probabilities"),
    [
        (np.array([], int), np.empty((0, 2))),
        (np.array([0, 1]), np.ones((3, 2))),
        (np.array([0, 2]), np.ones((2, 2))),
        (np.array([0, 1]), np.array([[0.1, np.nan], [0.5, 0.5]])),
    ],
)
def test_sets_that_do_not_fit_are_one_clear_line(labels: np.ndarray, probabilities: np.ndarray) -> None:
    with pytest.raises(MstlEdgeError) as caught:
        classification_metrics(labels, probabilities, positive=1)
    assert "Received:" in str(caught.value)
    assert "\n" not in str(caught.value)
