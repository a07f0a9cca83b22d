from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mstl_edge.errors import DataError
from mstl_edge.study.folds import deal_folds, training_subset

SETTINGS = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SETTINGS
@given(
    ill=st.integers(12, 60),
    healthy=st.integers(12, 60),
    per_patient=st.integers(1, 3),
    folds=st.integers(2, 4),
    seed=st.integers(0, 1000),
)
def test_no_patient_is_on_both_sides_of_a_fold_and_every_image_is_tested_once(
    rows, ill, healthy, per_patient, folds, seed
):
    listed = rows({"healthy": healthy, "ill": ill}, per_patient=per_patient)
    dealt = deal_folds(listed, folds=folds, repeats=2, seed=seed, validation=0.25)
    for repeat in (1, 2):
        tested = [position for fold in dealt if fold.repeat == repeat for position in fold.test]
        assert sorted(tested) == list(range(len(listed)))
    for fold in dealt:
        parts = (fold.train, fold.validation, fold.test)
        groups = [{listed[position].group for position in part} for part in parts]
        assert sum(map(len, groups)) == len(set.union(*groups))
        for part in parts:
            assert {listed[position].label for position in part} == {"healthy", "ill"}


@SETTINGS
@given(ill=st.integers(5, 80), healthy=st.integers(5, 80), seed=st.integers(0, 1000), data=st.data())
def test_subsets_are_nested_exact_and_in_proportion(rows, ill, healthy, seed, data):
    listed = rows({"healthy": healthy, "ill": ill})
    larger = data.draw(st.integers(2, len(listed)))
    smaller = data.draw(st.integers(1, larger))
    subsets = [training_subset(listed, range(len(listed)), size, seed=seed) for size in (smaller, larger)]
    assert [len(subset) for subset in subsets] == [smaller, larger]
    assert set(subsets[0]) <= set(subsets[1])
    counted = Counter(listed[position].label for position in subsets[1])
    assert abs(counted["ill"] - larger * ill / (ill + healthy)) <= 1


def test_a_learning_curve_trains_on_parts_of_one_fold_and_tests_on_all_of_it(rows):
    listed = rows({"healthy": 40, "ill": 40})
    whole, some, few = (
        deal_folds(listed, folds=4, repeats=1, seed=3, validation=0.2, images=images) for images in (0, 40, 20)
    )
    for fold, part, smaller in zip(whole, some, few, strict=True):
        assert fold.test == part.test == smaller.test
        used = [set(one.train) | set(one.validation) for one in (fold, part, smaller)]
        assert used[2] < used[1] < used[0]
        assert [len(one) for one in used] == [60, 40, 20]


def test_more_repeats_leave_the_first_as_they_were(rows):
    listed = rows({"healthy": 20, "ill": 20})
    once, twice = (deal_folds(listed, folds=4, repeats=n, seed=0, validation=0.2) for n in (1, 2))
    assert twice[:4] == once
    assert {fold.test for fold in twice[4:]} != {fold.test for fold in once}


def test_folds_that_cannot_hold_every_class_are_one_clear_line(rows):
    with pytest.raises(DataError) as caught:
        deal_folds(rows({"healthy": 40, "ill": 3}), folds=5, repeats=1, seed=0, validation=0.2)
    message = str(caught.value)
    assert "3 independent images of 'ill'" in message
    assert "Use --folds 3." in message
    assert "\n" not in message


def test_patients_count_once_for_the_folds(rows):
    with pytest.raises(DataError, match="2 independent images of 'ill'"):
        deal_folds(rows({"healthy": 40, "ill": 8}, per_patient=4), folds=5, repeats=1, seed=0, validation=0.2)


def test_a_subset_too_small_to_train_and_validate_is_one_clear_line(rows):
    with pytest.raises(DataError, match=r"in the 3 images that a fold trains and validates on.*--learning-curve"):
        deal_folds(rows({"healthy": 20, "ill": 20}), folds=4, repeats=1, seed=0, validation=0.2, images=3)


def test_a_subset_larger_than_the_training_part_is_one_clear_line(rows):
    with pytest.raises(DataError, match="at most 30 images for the learning curve"):
        deal_folds(rows({"healthy": 20, "ill": 20}), folds=4, repeats=1, seed=0, validation=0.2, images=31)
