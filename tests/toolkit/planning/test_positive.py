from __future__ import annotations

import pytest

from mstl_edge.planning.positive import guess_positive, says_absent


@pytest.mark.parametrize(
    ("labels", "finding"),
    [
        (("bleed", "clear"), "bleed"),
        (("NORMAL", "PNEUMONIA"), "PNEUMONIA"),
        (("no", "yes"), "yes"),
        (("0", "1"), "1"),
        (("benign", "malignant"), "malignant"),
        (("benign", "normal"), "benign"),
        (("no_tumor", "tumor"), "tumor"),
        (("hemorrhage", "noHemorrhage"), "hemorrhage"),
        (("Healthy controls", "MS"), "MS"),
        (("negative", "positive"), "positive"),
        (("normal", "not normal"), "not normal"),
        (("abnormal", "normal"), "abnormal"),
        (("COVID-19", "non-COVID-19"), "COVID-19"),
        (("without effusion", "with effusion"), "with effusion"),
    ],
)
def test_the_finding_is_positive_and_not_its_absence(labels, finding):
    ordered = sorted(labels)
    number, why = guess_positive(ordered)
    assert ordered[number] == finding
    assert "reads as the absence of a finding" in why


@pytest.mark.parametrize("labels", [("cat", "dog"), ("normal", "healthy"), ("…", "—")])
def test_where_names_do_not_tell_it_is_the_last_and_that_is_said(labels):
    number, why = guess_positive(sorted(labels))
    assert number == 1
    assert why.startswith("the last in alphabetical order")


@pytest.mark.parametrize("label", ["abnormal", "nodule", "Norwood", "clearly ill", "unclear", ""])
def test_words_that_only_look_like_an_absence_are_none(label):
    assert not says_absent(label)
