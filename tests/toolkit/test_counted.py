from __future__ import annotations

import pytest

from mstl_edge.counted import counted, duration


@pytest.mark.parametrize(
    ("number", "one", "told"),
    [
        (1, "stage", "1 stage"), (0, "stage", "0 stages"), (1200, "image", "1,200 images"), (2, "class", "2 classes"),
        (3, "entry", "3 entries"), (2, "array", "2 arrays"), (1, "entry", "1 entry"),
    ],
)  # fmt: skip
def test_one_thing_is_one(number: int, one: str, told: str) -> None:
    assert counted(number, one) == told


def test_a_plural_that_no_rule_makes_is_given() -> None:
    assert counted(2, "image appears", "images appear") == "2 images appear"


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_seconds_read_as_a_person_says_them(seconds: float, told: str) -> None:
    assert duration(seconds) == told
