from __future__ import annotations

import gc
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mstl_edge.errors import MstlEdgeError
from mstl_edge.schemas.bench import Conditions, Overhead
from mstl_edge_bench.timing import latency
from mstl_edge_bench.timing.noise import latency_ratio
from mstl_edge_bench.timing.validity import Judgement, busy_because, disturbed_because, judge, timing_warnings


class World:
    """A clock that only work moves on."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.log: list[str] = []

    def clock(self) -> int:
        return self.now_ns

    def work(self, name: str, ns: int) -> Callable[[], None]:
        def call() -> None:
            self.log.append(name)
            self.now_ns += ns

        return call

    def subject(self, name: str, ns: int, *, card: bool = True) -> latency.Subject:
        give, take = self.work(f"{name}.give", 50_000), self.work(f"{name}.take", 10_000)
        decode = self.work(f"{name}.decode", 3_000_000) if card else None
        return latency.Subject(
            self.work(name, ns), give, take, decode, self.work(f"{name}.all", 2 * ns) if card else None
        )


def measured(world: World, *subjects: latency.Subject, repeats: int = 20) -> tuple[latency.Times, ...]:
    how = latency.protocol(repeats=repeats)
    return latency.measure(subjects, latency.warm_up(subjects, how, world.clock), how, world.clock).times


def test_only_the_interpreters_invoke_is_timed() -> None:
    world = World()
    (times,) = measured(world, world.subject("model", 2_000_000))
    assert times.infer.raw == (2.0,) * 100
    assert (times.infer.median, times.infer.p99, times.infer.std, times.infer.blocks) == (2.0, 2.0, 0.0, 5)
    assert times.decode is not None
    assert times.decode.median == 3.0
    assert times.overhead == Overhead(bare_median_ms=2.0, share=0.0)


def test_blocks_of_models_take_turns() -> None:
    world = World()
    subjects = [world.subject(name, 1_000_000, card=False) for name in ("a", "b")]
    how = latency.protocol(repeats=3)
    repeats = latency.warm_up(subjects, how, world.clock)
    world.log.clear()
    latency.measure(subjects, repeats, how, world.clock)
    owners = [name.split(".")[0] for name in world.log]
    assert [owner for owner, _ in itertools.groupby(owners)] == ["a", "b"] * 5


def test_harness_and_bare_loop_take_turns_at_coming_first() -> None:
    world = World()
    how = latency.protocol(repeats=3)
    told: list[list[str]] = [[]]
    world.log = told[0]

    def next_block() -> None:
        told.append([])
        world.log = told[-1]

    watch = latency.Watch(after_round=next_block)
    latency.measure([world.subject("m", 1_000_000, card=False)], [3], how, world.clock, watch)
    timed = ["m.give", "m", "m.take"] * 3
    harness, bare = ["m"] * latency.SETTLING_CALLS + timed, ["m"] * (1 + 3)
    assert told[:5] == [harness + bare, bare + harness, harness + bare, bare + harness, harness + bare]


def test_a_harness_that_costs_time_shows_in_the_overhead() -> None:
    world = World()
    cold = False

    def give() -> None:
        nonlocal cold
        cold = True

    def invoke() -> None:
        nonlocal cold
        # What the harness does between two calls empties the caches; a bare loop leaves them as they are.
        world.now_ns += 1_250_000 if cold else 1_000_000
        cold = False

    (times,) = latency.measure(
        [latency.Subject(invoke, give, latency.nothing)], [20], latency.protocol(), world.clock
    ).times
    assert times.infer.median == 1.25
    assert times.overhead.bare_median_ms == 1.0
    assert times.overhead.share == pytest.approx(0.25)


def test_a_machine_that_slows_down_while_it_is_measured_is_not_taken_for_overhead() -> None:
    world = World()
    duration_ns = 1_000_000.0

    def invoke() -> None:
        nonlocal duration_ns
        duration_ns *= 1.002
        world.now_ns += round(duration_ns)

    (times,) = latency.measure(
        [latency.Subject(invoke, latency.nothing, latency.nothing)], [20], latency.protocol(patience_s=0), world.clock
    ).times
    assert times.infer.max > 1.4 * times.infer.min
    assert abs(times.overhead.share) < 0.003


def test_warming_up_lasts_its_time_and_its_calls() -> None:
    world = World()
    how = latency.protocol(warmup_ms=100.0)
    latency.warm_up([world.subject("model", 1_000_000, card=False)], how, world.clock)
    assert world.log.count("model") == 100
    slow = World()
    latency.warm_up([slow.subject("model", 10**9, card=False)], how, slow.clock)
    assert slow.log.count("model") == 5


@pytest.mark.parametrize(("ns", "expected"), [(10_000, 500), (3_000_000, 100), (77_000_000, 20)])
def test_a_block_lasts_about_as_long_whatever_the_model(ns: int, expected: int) -> None:
    world = World()
    assert latency.warm_up([world.subject("m", ns)], latency.protocol(), world.clock) == [expected]


def test_the_garbage_collector_rests_while_times_are_taken() -> None:
    seen: list[bool] = []
    subject = latency.Subject(lambda: seen.append(gc.isenabled()), latency.nothing, latency.nothing)
    ticks = iter(range(0, 10**9, 1000))
    latency.measure([subject], [1], latency.protocol(), lambda: next(ticks))
    assert not any(seen)
    assert gc.isenabled()


@pytest.mark.parametrize("wrong", [{"blocks": 4}, {"repeats": 0}])
def test_too_few_times_are_one_clear_line(wrong: dict[str, Any]) -> None:
    with pytest.raises(MstlEdgeError, match=r"expected --(blocks|repeats) of at least \d"):
        latency.protocol(**wrong)


def test_a_ratio_carries_the_noise_of_its_blocks() -> None:
    draw = np.random.default_rng(1)
    slow = latency.summarize(
        [(2e6 * draw.uniform(0.9, 1.1) + draw.normal(0, 1e4, 30)).astype(int).tolist() for _ in range(5)]
    )
    fast = latency.summarize(
        [(1e6 * draw.uniform(0.9, 1.1) + draw.normal(0, 1e4, 30)).astype(int).tolist() for _ in range(5)]
    )
    ratio = latency_ratio(slow, fast)
    assert ratio.low < ratio.value < ratio.high
    assert 1.6 < ratio.low < ratio.high < 2.4
    assert latency_ratio(slow, slow).low <= 1.0 <= latency_ratio(slow, slow).high


CALM = Conditions(clock_mhz=1800.0, temperature_c=50.0, throttled=0, load_1min=0.1)


@pytest.mark.parametrize(
    ("after", "said", "remedy"),
    [
        (Conditions(clock_mhz=1500.0), "clock between 1500 and 1800 MHz", "scaling_governor"),
        (Conditions(temperature_c=82.0), "CPU at 82 °C", "Cool the board"),
        (Conditions(temperature_c=75.0), "CPU went from 50 to 75 °C", "measure again"),
        (Conditions(throttled=0x1), "under-voltage while measuring", "power supply"),
        (Conditions(throttled=0x40000), "throttling while measuring", "vcgencmd"),
        (Conditions(throttled=0x50005), "under-voltage and throttling", "power supply"),
    ],
)
def test_what_spoils_times_is_named_with_its_remedy(after: Conditions, said: str, remedy: str) -> None:
    because = disturbed_because((CALM, after))
    assert because is not None
    assert said in because
    assert remedy in because


@pytest.mark.parametrize("after", [CALM, Conditions(), Conditions(clock_mhz=1790.0, temperature_c=65.0, throttled=0)])
def test_steady_or_silent_machines_are_valid(after: Conditions) -> None:
    assert disturbed_because((CALM, CALM, after)) is None
    assert disturbed_because((Conditions(), after)) is None


@pytest.mark.parametrize(
    ("between", "said"),
    [
        (Conditions(clock_mhz=1500.0), "clock between 1500 and 1800 MHz"),
        (Conditions(temperature_c=82.0), "CPU at 82 °C"),
        (Conditions(temperature_c=75.0), "CPU went from 50 to 75 °C"),
        (Conditions(throttled=0x2), "a capped clock while measuring"),
    ],
)
def test_what_spoils_times_between_two_blocks_is_seen(between: Conditions, said: str) -> None:
    assert said in str(disturbed_because((CALM, between, CALM)))


def test_a_flag_that_was_set_when_the_run_began_spoils_it_though_it_is_gone_after() -> None:
    because = disturbed_because((Conditions(throttled=0x10001), Conditions(throttled=0x10000)))
    assert "under-voltage while measuring (0x10001 before, 0x10000 after)" in str(because)


def test_throttling_of_the_past_leaves_a_run_valid_and_is_told() -> None:
    readings = (Conditions(throttled=0x40000), Conditions(throttled=0x40000))
    assert disturbed_because(readings) is None
    steady = latency.summarize([[1_000_000] * 5] * 5)
    (warning,) = judge(steady, Overhead(bare_median_ms=1.0, share=0.0), readings).warnings
    assert "throttling since boot, before the times (0x40000)" in warning
    assert "reboot" in warning
    assert "under-voltage while measuring" in str(disturbed_because((CALM, Conditions(throttled=0x10000))))


def test_blocks_that_do_not_agree_make_times_invalid_and_a_dear_harness_is_warned_of() -> None:
    steady = latency.summarize([[1_000_000] * 5] * 5)
    unsteady = latency.summarize([[1_000_000] * 5] * 4 + [[1_300_000] * 5])
    cheap, dear = Overhead(bare_median_ms=1.0, share=0.01), Overhead(bare_median_ms=1.0, share=0.2)
    assert (steady.stable, steady.spread) == (True, 0.0)
    assert (unsteady.stable, unsteady.spread) == (False, pytest.approx(0.3))
    assert judge(steady, cheap, (CALM,)) == Judgement(None, ())
    spoiled = judge(unsteady, dear, (CALM, Conditions(temperature_c=82.0)))
    assert "CPU at 82 °C" in str(spoiled.invalid_because)
    assert "medians of the blocks differ by 30 % (bound 15 %). Stop other work" in str(spoiled.invalid_because)
    assert "the harness adds 20.0%" in spoiled.warnings[0]
    assert "adds 3.1%" in timing_warnings(Overhead(bare_median_ms=1.0, share=0.031))[0]
    assert "the bare loop was 5.0% slower" in timing_warnings(Overhead(bare_median_ms=1.0, share=-0.05))[0]
    assert busy_because(CALM, 4) is None
    assert "load average 3.0 on 4 cores" in str(busy_because(Conditions(load_1min=3.0), 4))


def unsettled(world: World, slow_blocks: int, name: str = "m") -> latency.Subject:
    """A subject that takes three times as long in every other one of its first blocks, harness and bare loop alike."""
    calls = itertools.count()
    per_block = (latency.SETTLING_CALLS + 3) + (1 + 3)

    def invoke() -> None:
        block = next(calls) // per_block
        world.now_ns += 3_000_000 if block < slow_blocks and block % 2 else 1_000_000

    return latency.Subject(invoke, latency.nothing, latency.nothing)


def test_blocks_are_added_until_enough_in_a_row_agree() -> None:
    world = World()
    told: list[float] = []
    watch = latency.Watch(unsettled=told.append)
    measured = latency.measure([unsettled(world, 4)], [3], latency.protocol(), world.clock, watch)
    assert (measured.rounds, measured.counted) == (9, range(4, 9))
    (times,) = measured.times
    assert times.infer.raw == (1.0,) * 15
    assert (times.infer.stable, times.infer.blocks) == (True, 5)
    assert times.block_medians_ms == (1.0, 3.0, 1.0, 3.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    assert told == [2.0]


def test_blocks_that_agree_at_once_are_not_added_to() -> None:
    world = World()
    measured = latency.measure([unsettled(world, 0)], [3], latency.protocol(), world.clock)
    assert (measured.rounds, measured.counted) == (5, range(5))


@pytest.mark.parametrize(("patience_s", "rounds"), [(0, 5), (0.1, 11), (1, 61)])
def test_patience_ends_after_its_time_by_the_clock_that_was_given(patience_s: float, rounds: int) -> None:
    world = World()
    how = latency.protocol(patience_s=patience_s)
    measured = latency.measure([unsettled(world, 10**6)], [3], how, world.clock)
    assert measured.rounds == rounds
    assert measured.times[0].infer.stable is False
    assert measured.times[0].infer.blocks == 5


def test_where_no_blocks_agree_those_count_at_which_most_models_do() -> None:
    world = World()
    always, at_first = unsettled(world, 10**6), unsettled(world, 4)
    measured = latency.measure([always, at_first], [3, 3], latency.protocol(patience_s=0.2), world.clock)
    assert measured.counted.start >= 4
    assert [times.infer.stable for times in measured.times] == [False, True]


@pytest.mark.parametrize("patience_s", [-1, float("nan"), float("inf")])
def test_a_patience_without_end_is_one_clear_line(patience_s: float) -> None:
    with pytest.raises(MstlEdgeError, match=r"expected --patience from 0 to \d+ seconds\. Received: "):
        latency.protocol(patience_s=patience_s)
