"""Three classes and more: each by itself, and the macro F1 of all."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from mstl_edge.errors import MstlEdgeError
from mstl_edge.metrics import (
    class_calibration_error,
    classification_metrics,
    decide,
    macro_f1,
    paired_agreement,
    wilson,
)

SHARES = np.array([[0.50, 0.04, 0.02], [0.05, 0.21, 0.01], [0.03, 0.01, 0.13]])
"""Of a three-class problem whose confusion is that of a middling model."""


def _answers(seed: int, n: int = 90, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    return draw.integers(0, classes, n), draw.dirichlet(np.ones(classes), n)


def test_classes_carry_their_names_and_their_own_intervals() -> None:
    labels, probabilities = _answers(1)
    scored = classification_metrics(labels, probabilities, names=("benign", "malignant", "normal"))
    assert list(scored.classes) == ["benign", "malignant", "normal"]
    confusion = np.array(scored.confusion)
    for number, one in enumerate(scored.classes.values()):
        assert one.n == confusion[number].sum()
        assert one.recall == wilson(int(confusion[number, number]), int(confusion[number].sum()))
        assert one.precision == wilson(int(confusion[number, number]), int(confusion[:, number].sum()))
        assert one.auc is not None
        assert one.auc.low <= one.auc.value <= one.auc.high
    tree = msgspec.to_builtins(scored)
    assert tree["classes"]["malignant"]["recall"].keys() == {"value", "low", "high"}


@pytest.mark.parametrize("positive", [None, 0, 2])
def test_a_positive_class_among_three_changes_nothing_and_gives_no_sensitivity(positive: int | None) -> None:
    labels, probabilities = _answers(2)
    scored = classification_metrics(labels, probabilities, positive=positive, threshold=0.1)
    assert scored == classification_metrics(labels, probabilities)
    assert (scored.sensitivity, scored.specificity, scored.auc, scored.threshold) == (None, None, None, None)


def test_two_classes_without_a_positive_one_are_decided_by_the_largest() -> None:
    rows = np.array([[0.6, 0.4], [0.3, 0.7]])
    assert decide(rows, positive=None, threshold=None).tolist() == [0, 1]
    assert decide(rows, positive=1, threshold=None).tolist() == [0, 1]
    assert classification_metrics(np.array([0, 1]), rows, positive=None).sensitivity is None


def test_two_classes_have_their_classes_too() -> None:
    labels, probabilities = _answers(3, classes=2)
    scored = classification_metrics(labels, probabilities, positive=1, threshold=0.4, names=("no", "yes"))
    assert scored.classes["yes"].recall == scored.sensitivity
    assert scored.classes["no"].recall == scored.specificity
    assert scored.classes["yes"].auc == scored.auc
    assert scored.threshold == 0.4


def test_a_class_without_images_or_answers_has_nothing_to_say() -> None:
    rows = np.array([[0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.1, 0.8, 0.1]])
    scored = classification_metrics(np.array([0, 0, 1]), rows)
    third = scored.classes["2"]
    assert (third.n, third.recall, third.precision, third.auc) == (0, None, None, None)
    assert scored.macro_f1 is not None
    assert scored.macro_f1.value == 1.0


@pytest.mark.parametrize("names", [("a", "b"), ("a", "a", "b")])
def test_names_that_do_not_fit_are_one_clear_line(names: tuple[str, ...]) -> None:
    labels, probabilities = _answers(4)
    with pytest.raises(MstlEdgeError, match=r"different names for 3 classes. Received: a, "):
        classification_metrics(labels, probabilities, names=names)


@pytest.mark.parametrize("seed", range(4))
def test_the_macro_f1_is_that_of_scikit_learn(seed: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    draw = np.random.default_rng(seed)
    truth, answers = draw.integers(0, 4, 60), draw.integers(0, 4, 60)
    interval = macro_f1(metrics.confusion_matrix(truth, answers))
    assert interval.value == pytest.approx(metrics.f1_score(truth, answers, average="macro"))
    assert 0 < interval.low < interval.value < interval.high < 1


def test_the_variance_is_the_derivative_that_takahashi_et_al_write_out() -> None:
    """The gradient against finite differences, and so the delta method behind the interval."""
    from mstl_edge.metrics.f1 import _value, _variance

    counts, step = SHARES * 200, 1e-6
    gradient = np.empty((3, 3))
    for cell in np.ndindex(3, 3):
        moved = SHARES.copy()
        moved[cell] += step
        gradient[cell] = (_value(moved) - _value(SHARES)) / step
    expected = ((SHARES * gradient**2).sum() - (SHARES * gradient).sum() ** 2) / 200
    assert _variance(counts, 200) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("n", [40, 120, 600])
def test_the_interval_of_the_macro_f1_covers_the_truth_about_95_times_in_100(n: int) -> None:
    draw, spread = np.random.default_rng(n + 1), SHARES.sum(axis=0) + SHARES.sum(axis=1)
    truth = float(np.mean(2 * SHARES.diagonal() / spread))
    drawn = draw.multinomial(n, SHARES.ravel() / SHARES.sum(), 2000).reshape(-1, 3, 3)
    covered = np.mean([interval.low <= truth <= interval.high for interval in map(macro_f1, drawn)])
    assert 0.92 <= covered <= 0.98


def test_all_right_is_not_certain_and_less_so_with_a_rare_class() -> None:
    even, rare = macro_f1(np.diag([40, 40, 40])), macro_f1(np.diag([60, 57, 3]))
    assert even.value == even.high == rare.value == rare.high == 1.0
    assert 0.6 < rare.low < even.low < 0.99


@pytest.mark.parametrize("confusion", [np.zeros((3, 3)), np.ones((2, 3)), np.empty((0, 0))])
def test_a_confusion_matrix_of_nothing_is_one_clear_line(confusion: np.ndarray) -> None:
    with pytest.raises(MstlEdgeError, match="square confusion matrix of at least one image"):
        macro_f1(confusion)


def test_the_calibration_error_of_a_class_is_the_gap_of_its_own_probability() -> None:
    p = np.array([0.1, 0.1, 0.1, 0.1, 0.9, 0.9])
    is_class = np.array([False, False, False, True, True, True])
    assert class_calibration_error(is_class, p, bins=2) == pytest.approx((4 * 0.15 + 2 * 0.1) / 6)
    labels, probabilities = _answers(6)
    scored = classification_metrics(labels, probabilities)
    for number, one in enumerate(scored.classes.values()):
        assert one.calibration_error == class_calibration_error(labels == number, probabilities[:, number])


def test_agreement_is_told_apart_by_the_class_of_the_first_model() -> None:
    floating = np.eye(3)[[0, 0, 0, 0, 1, 1]]
    quantized = np.eye(3)[[0, 0, 0, 1, 1, 0]]
    found = paired_agreement(floating, quantized, positive=None, thresholds=(None, None))
    assert found.agreement == wilson(4, 6)
    assert [one.n for one in found.by_class] == [4, 2, 0]
    assert [one.agreement for one in found.by_class] == [wilson(3, 4), wilson(1, 2), None]
