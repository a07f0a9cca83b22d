from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mstl_edge.study.decision import fit_decision, threshold_for_sensitivity


@given(
    found=st.lists(st.tuples(st.booleans(), st.floats(0.001, 0.999)), min_size=1, max_size=40),
    required=st.sampled_from([0.5, 0.8, 0.95, 1.0]),
)
def test_a_required_sensitivity_is_reached_and_no_higher_level_reaches_it(found, required):
    positive = np.array([is_positive for is_positive, _ in found])
    p = np.array([probability for _, probability in found])
    threshold = threshold_for_sensitivity(positive, p, required)
    if not positive.any():
        assert threshold == 0.5
        return
    assert (p[positive] >= threshold).mean() >= required - 1e-9
    higher = p[p > threshold]
    if len(higher):
        beyond = np.nextafter(higher.min(), 2)
        assert (p[positive] >= beyond).mean() < required


def test_the_threshold_lies_halfway_below_the_last_positive_image_it_needs():
    positive = np.array([True, True, True, False, False])
    p = np.array([0.9, 0.8, 0.3, 0.5, 0.2])
    assert threshold_for_sensitivity(positive, p, 0.6) == pytest.approx((0.8 + 0.5) / 2)
    assert threshold_for_sensitivity(positive, p, 1.0) == pytest.approx((0.3 + 0.2) / 2)


def test_the_rule_decides_the_threshold():
    rng = np.random.default_rng(0)
    classes = np.repeat([0, 1], 30)
    logits = rng.normal(0, 1, (60, 2)).astype(np.float32)
    logits[np.arange(60), classes] += 1.0
    youden = fit_decision(logits, classes, positive=1, sensitivity=0.0)
    careful = fit_decision(logits, classes, positive=1, sensitivity=0.99)
    assert careful.temperature == youden.temperature
    assert careful.threshold < youden.threshold


def test_more_than_two_classes_have_no_threshold():
    logits = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    assert fit_decision(logits, np.arange(12) % 3, positive=2, sensitivity=0.95).threshold is None
    assert fit_decision(logits, np.arange(12) % 3, positive=None, sensitivity=0.0).threshold is None
