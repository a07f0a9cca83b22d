from __future__ import annotations

from collections.abc import Callable

import pytest

from mstl_edge.errors import DataError
from mstl_edge.planning.positive import ignored_positive, positive_class
from mstl_edge.recipe import Recipe


@pytest.mark.parametrize("named", ["", "malignant", "hemorrhage"])
def test_more_than_two_classes_have_no_positive_one_and_a_named_one_is_said_to_be_ignored(
    named: str, tiny_recipe: Callable[..., Recipe]
) -> None:
    stage = tiny_recipe("target", positive=named).stages[0]
    labels = ("benign", "malignant", "normal")
    assert positive_class(stage, labels) is None
    said = ignored_positive(stage, labels)
    assert (f"positive={named} is ignored" in said) if named else said == ""
    assert "\n" not in said


def test_of_two_classes_one_is_positive_and_nothing_is_ignored(tiny_recipe: Callable[..., Recipe]) -> None:
    stage = tiny_recipe("target", positive="Benign").stages[0]
    assert positive_class(stage, ("benign", "malignant")) == 0
    assert ignored_positive(stage, ("benign", "malignant")) == ""
    assert positive_class(tiny_recipe("target").stages[0], ("benign", "malignant")) == 1
    with pytest.raises(DataError, match="Received: Benign"):
        positive_class(stage, ("healthy", "ill"))
