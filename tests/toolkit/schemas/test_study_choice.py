"""Which network a study would take, and in which words."""

from __future__ import annotations

import pytest

from mstl_edge.metrics import Interval
from mstl_edge.schemas.study import ArmResult, Comparison, Cost, Costs, Study
from mstl_edge.schemas.study_choice import choose_network, cost_words, file_of


def arm(name, accuracy, scheme="float32"):
    return ArmResult(name=name, scheme=scheme, n=160, accuracy=Interval(accuracy, accuracy - 0.05, accuracy + 0.03))


def cost(name, scheme, kilobytes, *, valid=True):
    latency = Interval(kilobytes / 200, kilobytes / 210, kilobytes / 190)
    return Cost(
        arm=name,
        scheme=scheme,
        parameters=1,
        macs=41_000_000,
        size_bytes=1000 * kilobytes,
        latency_ms=latency,
        valid=valid,
    )


def step(a, b, verdict, scheme="float32"):
    return Comparison(a=f"{a}/{scheme}", b=f"{b}/{scheme}", difference=0.0, low=-0.1, high=0.1, verdict=verdict)


@pytest.fixture
def study():
    """`wide` is best, `light` and `middle` cannot be told from it, `poor` is worse; int8 files are a third as large."""
    arms = [
        arm("light", 0.93),
        arm("wide", 0.96),
        arm("poor", 0.8),
        arm("middle", 0.95),
        arm("light", 0.97, "int8-ptq"),
    ]
    sizes = {"light": 900, "wide": 12000, "poor": 600, "middle": 3000}
    costs = [cost(name, "float32", size) for name, size in sizes.items()]
    costs += [cost(name, "int8-ptq", size // 3) for name, size in sizes.items()]
    steps = [
        step("light", "wide", "cannot tell"),
        step("poor", "wide", "helped"),
        step("wide", "middle", "cannot tell"),
        step("light", "middle", "helped"),
        step("light", "wide", "hurt", "int8-ptq"),
    ]
    return Study(arms=tuple(arms), comparisons=tuple(steps), costs=Costs(host="desk", rows=tuple(costs)))


def test_it_is_the_smallest_that_the_data_cannot_tell_from_the_best_in_float32(study):
    choice = choose_network(study)
    assert choice.best.name == "wide"
    assert [one.name for one in choice.alike] == ["light", "middle"]
    assert [one.name for one in choice.behind] == ["poor"]
    assert (choice.smallest.name, choice.cost) == ("light", file_of(study, "light"))
    assert choice.cost.scheme == "int8-ptq"
    assert choice.words == (
        "wide has the highest accuracy in float32, 96.0 %, n = 160; the data can't tell light and middle from it; "
        "the smallest of these is light, int8-ptq: 300 kB, 41 M multiply-accumulates, 1.5 ms; poor is worse"
    )


def test_a_best_that_all_others_fall_behind_is_taken(study):
    import msgspec

    apart = tuple(msgspec.structs.replace(one, verdict="hurt") for one in study.comparisons)
    choice = choose_network(msgspec.structs.replace(study, comparisons=apart))
    assert choice.smallest.name == "wide"
    assert choice.words.endswith(
        "; its file: int8-ptq: 4,000 kB, 41 M multiply-accumulates, 20 ms; poor, light and middle are worse"
    )


def test_a_file_that_int8_hurt_is_not_taken_nor_the_less_accurate_of_two(study):
    import msgspec

    arms = (*study.arms, arm("light", 0.6, "int8-qat"))
    costs = Costs(host="desk", rows=(*study.costs.rows, cost("light", "int8-qat", 299)))
    two = msgspec.structs.replace(study, arms=arms, costs=costs)
    assert file_of(two, "light").scheme == "int8-ptq"
    hurt = Comparison(a="light/float32", b="light/int8-ptq", difference=-0.3, low=-0.4, high=-0.2, verdict="hurt")
    of_ptq = msgspec.structs.replace(two, comparisons=(*study.comparisons, hurt))
    assert file_of(of_ptq, "light").scheme == "int8-qat"
    both = (*of_ptq.comparisons, msgspec.structs.replace(hurt, b="light/int8-qat"))
    assert file_of(msgspec.structs.replace(two, comparisons=both), "light").scheme == "float32"


def test_a_study_of_one_network_or_of_bridges_has_no_such_choice(study):
    import msgspec

    assert choose_network(msgspec.structs.replace(study, costs=Costs())) is None
    alone = tuple(row for row in study.costs.rows if row.arm == "light")
    assert choose_network(msgspec.structs.replace(study, costs=Costs(rows=alone))) is None


def test_a_time_that_is_not_valid_is_marked():
    assert cost_words(cost("a", "float32", 200, valid=False)) == "200 kB, 41 M multiply-accumulates, ~1 ms"
