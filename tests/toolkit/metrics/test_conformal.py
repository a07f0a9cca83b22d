"""Label sets keep what they promise, by simulation, whatever the model is worth."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mstl_edge.metrics.conformal import fit_sets, images_needed, label_sets


def _model(
    draw: np.random.Generator, n: int, classes: int, skill: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return true classes, rare ones among them, and a model's probabilities."""
    truth = draw.choice(classes, size=n, p=np.arange(1, classes + 1) / sum(range(1, classes + 1)))
    logits = draw.normal(size=(n, classes))
    logits[np.arange(n), truth] += skill
    shares = np.exp(2 * logits)
    return truth, shares / shares.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("level", "needed"), [(0.9, 9), (0.95, 19), (0.8, 4), (0.5, 1)])
def test_a_bound_needs_so_many_images(level: float, needed: int) -> None:
    draw = np.random.default_rng(1)
    assert images_needed(level) == needed
    truth, shares = _model(draw, needed, 2, 1.0)
    assert fit_sets(truth, shares, level) is not None
    assert fit_sets(truth[: needed - 1], shares[: needed - 1], level) is None


@pytest.mark.parametrize("skill", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("level", [0.8, 0.9, 0.95])
def test_the_true_label_is_in_as_many_sets_as_promised(level: float, skill: float) -> None:
    draw, held, alone = np.random.default_rng(2), [], []
    for _ in range(200):
        bounds = fit_sets(*_model(draw, 60, 3, skill), level)
        assert bounds is not None
        truth, shares = _model(draw, 300, 3, skill)
        inside = label_sets(shares, shares.argmax(axis=1), bounds.lowest)
        held.append(inside[np.arange(300), truth].mean())
        alone.append(inside.sum(axis=1).min())
    # The error of the mean over 200 fits is below half a point.
    assert np.mean(held) >= level - 0.01
    if skill < 2.0:  # a good model names more true labels than it must, since what it decided on is always in the set
        assert np.mean(held) <= level + 0.06
    assert min(alone) >= 1


def test_with_enough_of_each_class_the_promise_holds_for_each() -> None:
    draw, held = np.random.default_rng(3), [[], [], []]  # type: ignore[var-annotated]
    for _ in range(200):
        bounds = fit_sets(*_model(draw, 150, 3, 0.5), 0.9)
        assert bounds is not None
        assert bounds.kind == "class-conditional"
        truth, shares = _model(draw, 300, 3, 0.5)
        inside = label_sets(shares, shares.argmax(axis=1), bounds.lowest)
        for number in range(3):
            held[number].append(inside[truth == number, number].mean())
    assert [round(float(np.mean(one)), 2) >= 0.89 for one in held] == [True] * 3


def test_a_rare_class_makes_the_promise_marginal() -> None:
    truth = np.array([0] * 30 + [1] * 3)
    bounds = fit_sets(truth, np.full((33, 2), 0.5))
    assert bounds is not None
    assert (bounds.kind, bounds.images, bounds.lowest) == ("marginal", (30, 3), (0.5, 0.5))


def test_what_was_decided_on_is_always_in_the_set() -> None:
    # A threshold may decide for the less probable class.
    inside = label_sets(np.array([[0.7, 0.3]]), np.array([1]), (0.5, 0.5))
    assert inside.tolist() == [[True, True]]
