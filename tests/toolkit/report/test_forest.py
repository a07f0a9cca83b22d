"""Forest plots: every interval in its row, and no line through writing."""

from __future__ import annotations

import re

import pytest

from mstl_edge.metrics import Interval
from mstl_edge.report.draw.axis import linear_axis
from mstl_edge.report.draw.forest import Row, forest


@pytest.mark.parametrize("count", [1, 3, 12])
def test_no_upright_line_runs_through_the_names_and_numbers(count: int) -> None:
    rows = [Row(f"a → b, {n}", "−1.0 (−2.0 to +4.0)", Interval(-0.01, -0.02, 0.04)) for n in range(count)]
    text = forest(linear_axis("points", [-0.02, 0.04], percent=True), rows, "Differences", reference=0.0).text
    uprights = [
        (float(y1), float(y2))
        for x1, x2, y1, y2 in re.findall(r'<line x1="([\d.]+)" x2="([\d.]+)" y1="([\d.]+)" y2="([\d.]+)"', text)
        if x1 == x2
    ]
    baselines = [float(y) for y in re.findall(r'y="([\d.]+)" class="note"', text)]
    assert len(baselines) == 2 * count
    assert len(uprights) >= 3 * count
    letters = 9.0  # height above the baseline
    assert not [(line, y) for line in uprights for y in baselines if line[0] < y + 1 and line[1] > y - letters]


def test_the_reference_is_drawn_also_where_no_tick_stands_and_rows_keep_their_order() -> None:
    rows = [Row("first", "1", Interval(0.1, 0.05, 0.2)), Row("second", "2", Interval(0.3, 0.25, 0.35), "c")]
    text = forest(linear_axis("share", [0.05, 0.35]), rows, "Two", reference=0.123).text
    assert text.count('class="axis"') == 2 + 1  # a piece per row, and the axis itself
    assert text.index("first") < text.index("second")
    places = [float(y) for y in re.findall(r'cy="([\d.]+)"', text)]
    assert places == sorted(places)
