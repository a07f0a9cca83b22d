"""Axes: round ticks, and every value inside."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mstl_edge.errors import MstlEdgeError
from mstl_edge.report.draw.axis import linear_axis, log_axis, round_step, unit_axis
from mstl_edge.report.draw.chart import Frame

finite = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 3))


@given(st.lists(finite, min_size=1, max_size=20), st.integers(2, 8))
def test_a_linear_axis_holds_every_value_and_its_ticks_rise(values: list[float], count: int) -> None:
    axis = linear_axis("x", values, count=count)
    room = 1e-6 * (axis.high - axis.low)
    assert axis.low - room <= min(values) <= max(values) <= axis.high + room
    places = [value for value, _ in axis.ticks]
    assert places == sorted(set(places))
    assert 2 <= len(places) <= count + 3
    assert len({text for _, text in axis.ticks}) == len(places)


@given(st.lists(st.floats(0.01, 1e5), min_size=1, max_size=20))
def test_a_logarithmic_axis_holds_every_value_and_has_at_least_two_ticks(values: list[float]) -> None:
    axis = log_axis("ms", values)
    assert axis.low < min(values) <= max(values) < axis.high
    assert len(axis.ticks) >= 2
    assert all(axis.low <= value <= axis.high for value, _ in axis.ticks)


@pytest.mark.parametrize(
    ("span", "count", "step"), [(1.0, 5, 0.2), (10, 4, 2.5), (0.03, 5, 0.01), (99, 5, 20), (7, 7, 1)]
)
def test_steps_are_round(span: float, count: int, step: float) -> None:
    assert round_step(span, count) == pytest.approx(step)


def test_shares_are_written_as_percentages_and_negatives_with_a_minus_sign() -> None:
    assert [text for _, text in linear_axis("accuracy", [0.7, 1.0], percent=True, count=3).ticks] == [
        "70",
        "80",
        "90",
        "100",
    ]
    assert linear_axis("points", [-0.02, 0.02], percent=True, count=4).ticks[0][1] == "−2"
    assert [text for _, text in linear_axis("loss", [0.0, 0.1], count=4).ticks] == [
        "0.000",
        "0.025",
        "0.050",
        "0.075",
        "0.100",
    ]


def test_equal_ratios_take_equal_room_on_a_logarithmic_axis() -> None:
    axis = log_axis("ms", [1, 100])
    assert axis.share(10) == pytest.approx(0.5)
    assert axis.share(2) - axis.share(1) == pytest.approx(axis.share(20) - axis.share(10))


def test_values_beyond_the_ends_are_drawn_at_the_ends() -> None:
    axis = unit_axis("p")
    assert (axis.share(-3), axis.share(0.25), axis.share(7)) == (0, 0.25, 1)


def test_a_frame_puts_high_values_up_and_right() -> None:
    frame = Frame(unit_axis("x"), unit_axis("y"))
    assert frame.across(0) == frame.left
    assert frame.across(1) == frame.width - frame.right
    assert frame.down(1) == frame.top
    assert frame.down(0) == frame.height - frame.bottom


@pytest.mark.parametrize("values", [[], [math.nan], [0.0, 1.0], [-1.0]])
def test_what_cannot_stand_on_a_logarithmic_axis_is_one_clear_line(values: list[float]) -> None:
    with pytest.raises(MstlEdgeError, match="expected"):
        log_axis("ms", values)
