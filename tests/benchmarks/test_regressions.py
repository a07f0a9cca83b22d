from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mstl_edge.errors import GateRefusedError, MstlEdgeError
from mstl_edge.schemas.bench import Accuracy, BenchReport, Change, Result, Startup, encode_report
from mstl_edge.schemas.bench_reading import read_report
from mstl_edge_bench.compare.baseline import Baseline, Tolerances, parse_tolerances
from mstl_edge_bench.compare.regression import (
    accuracy_loss,
    compare_rows,
    describe_change,
    describe_verdict,
    refuse_regressions,
)
from mstl_edge_bench.timing.measure import Surroundings
from mstl_edge_bench.timing.noise import LEAST_BETWEEN_RUNS, between_runs, latency_ratio, ratio_between_runs

Bench = Callable[..., BenchReport]
World = Callable[..., Surroundings]


def changed(now: BenchReport, earlier: BenchReport, **tolerances: float) -> tuple[Change, ...]:
    return compare_rows(now.results, Baseline(earlier, Tolerances(**tolerances))).changes


def with_rows(report: BenchReport, **fields: Any) -> BenchReport:
    rows = tuple(msgspec.structs.replace(row, **fields) for row in report.results)
    return msgspec.structs.replace(report, results=rows)


def with_processes(report: BenchReport, *medians_ms: float) -> BenchReport:
    startup = msgspec.structs.replace(_startup(report.results[0]), process_medians_ms=medians_ms)
    return with_rows(report, startup=startup)


def _startup(row: Result) -> Startup:
    assert row.startup is not None
    return row.startup


def test_the_same_speed_is_no_regression(bench: Bench, around: World) -> None:
    changes = changed(bench(around(seed=2)), bench(around(seed=1)), latency=0.1)
    assert [(change.what, change.verdict) for change in changes] == [("latency", "within tolerance")] * 2
    refuse_regressions(changes, Tolerances(latency=0.1))


def test_a_third_more_time_is_refused_with_exit_code_3(bench: Bench, around: World) -> None:
    changes = changed(bench(around(seed=2, factor=1.33)), bench(around(seed=1)), latency=0.1)
    assert [change.verdict for change in changes] == ["regression", "regression"]
    with pytest.raises(
        GateRefusedError, match=r"latency within 10 % of the baseline\. Received: tiny_float32"
    ) as refused:
        refuse_regressions(changes, Tolerances(latency=0.1))
    assert refused.value.exit_code == 3


def test_more_time_within_the_tolerance_passes(bench: Bench, around: World) -> None:
    changes = changed(bench(around(seed=2, factor=1.33)), bench(around(seed=1)), latency=0.5)
    assert {change.verdict for change in changes} == {"within tolerance"}


def test_a_value_beyond_the_tolerance_whose_interval_holds_it_is_undecided(bench: Bench, around: World) -> None:
    allowed = Tolerances(latency=0.1)
    changes = changed(bench(around(seed=2, factor=1.11)), bench(around(seed=1)), latency=0.1)
    for change in changes:
        assert change.low < 0.1 < change.change < change.high
        assert describe_verdict(change) == "undecided: the interval holds the tolerance of 10 %"
    refuse_regressions(changes, allowed)


def test_a_value_within_the_tolerance_whose_interval_leaves_it_is_undecided_too(bench: Bench, around: World) -> None:
    changes = changed(bench(around(seed=2, factor=1.09)), bench(around(seed=1)), latency=0.1)
    assert all(change.low < change.change < 0.1 < change.high for change in changes)
    assert {change.verdict for change in changes} == {"undecided"}


def test_processes_that_differ_make_a_regression_undecided(bench: Bench, around: World) -> None:
    now, earlier = bench(around(seed=2, factor=1.33)), bench(around(seed=1))
    noisy = with_processes(earlier, 1.0, 1.2, 0.9)
    assert {change.verdict for change in changed(now, earlier, latency=0.1)} == {"regression"}
    assert {change.verdict for change in changed(now, noisy, latency=0.1)} == {"undecided"}


def test_without_a_gate_it_is_said_what_the_interval_tells(bench: Bench, around: World) -> None:
    earlier = bench(around(seed=1))
    for factor, verdict in ((1.33, "worse"), (0.75, "better"), (1.01, "within noise")):
        changes = changed(bench(around(seed=2, factor=factor)), earlier)
        assert {change.verdict for change in changes} == {verdict}


def test_the_interval_between_runs_is_students_on_the_logarithms_of_fresh_processes() -> None:
    one = startup_with(1.0, math.exp(0.02), math.exp(-0.02))
    other = startup_with(2.0, 2.0 * math.exp(0.02), 2.0 * math.exp(-0.02))
    # Each has a standard deviation of 0.02 over 3 processes: 4 degrees of freedom together.
    assert between_runs(one, other) == pytest.approx(2.776 * math.sqrt(2) * 0.02)
    assert between_runs(one, None) == pytest.approx(4.303 * math.sqrt(2) * 0.02)


def test_however_well_processes_agree_runs_are_told_apart_by_3_percent_only() -> None:
    assert between_runs(startup_with(1.0, 1.0, 1.0), startup_with(1.0, 1.0, 1.0)) == LEAST_BETWEEN_RUNS
    assert between_runs(None, startup_with()) == LEAST_BETWEEN_RUNS


def test_the_interval_between_runs_is_wider_than_that_of_one_process(bench: Bench, around: World) -> None:
    rows = [bench(around(seed=seed)).results[0] for seed in (1, 2)]
    timings = [row.latency_ms for row in rows]
    assert timings[0] is not None
    assert timings[1] is not None
    within = latency_ratio(timings[0], timings[1])
    between = ratio_between_runs((timings[0], startup_with(1.0, 1.1, 1.2)), (timings[1], rows[1].startup))
    assert between.value == within.value
    assert between.low < 0.9 < within.low
    assert between.high > 1.1 > within.high


def startup_with(*medians_ms: float) -> Startup:
    return Startup(
        processes=3, load_ms=1.0, allocate_ms=1.0, first_inference_ms=1.0, imported_rss_bytes=1, load_rss_bytes=1,
        allocate_rss_bytes=1, first_inference_rss_bytes=1, peak_rss_bytes=1, process_medians_ms=medians_ms,
    )  # fmt: skip


def test_invalid_times_pass_no_gate(bench: Bench, around: World) -> None:
    spoiled = with_rows(bench(around(seed=2)), valid=False, invalid_because="hot")
    changes = changed(spoiled, bench(around(seed=1)), latency=0.1)
    with pytest.raises(MstlEdgeError, match="valid times in both reports"):
        refuse_regressions(changes, Tolerances(latency=0.1))


def test_times_that_do_not_settle_are_compared_with_nothing(bench: Bench, around: World, drifting: type[Any]) -> None:
    steady, unsettled = bench(around(seed=1)), bench(around(clock=drifting()), patience_s=0)
    for now, earlier in ((unsettled, steady), (steady, unsettled)):
        changes = changed(now, earlier, latency=0.1)
        assert {change.verdict for change in changes} == {"invalid"}
        for change in changes:
            assert describe_change(change) == (
                f"{change.model}, 1 thread: latency not compared, since the times of one report are not valid"
            )
        with pytest.raises(MstlEdgeError, match=r"expected valid times in both reports\. Received: .*tiny_float32"):
            refuse_regressions(changes, Tolerances(latency=0.1))


def scored(right: int, n: int, data: str = "same") -> Accuracy:
    correct = "1" * right + "0" * (n - right)
    return Accuracy(
        data="d", n=n, value=right / n, low=0.0, high=1.0, sensitivity=None, specificity=None, auc=None, confusion=(),
        threshold=0.5, unreadable=0, data_sha256=data, correct=correct,
    )  # fmt: skip


@pytest.mark.parametrize("data", ["same", "other"])
def test_a_lost_image_of_forty_is_noise_and_a_fifth_of_four_hundred_is_not(data: str) -> None:
    small = accuracy_loss(scored(37, 40), scored(38, 40, data))
    assert small.low <= 0 < small.value
    large = accuracy_loss(scored(300, 400), scored(380, 400, data))
    assert large.value == pytest.approx(0.2)
    assert large.low > 0.1


def test_the_same_images_are_compared_in_pairs() -> None:
    paired = accuracy_loss(scored(390, 400), scored(398, 400))
    unpaired = accuracy_loss(scored(390, 400), scored(398, 400, "other"))
    assert paired.value == unpaired.value
    assert (paired.low, paired.high) != (unpaired.low, unpaired.high)


@pytest.mark.parametrize(
    ("now", "then", "tolerance", "verdict"),
    [
        (scored(300, 400), scored(380, 400), 0.01, "regression"),
        (scored(300, 400), scored(380, 400), 0.5, "within tolerance"),
        (scored(37, 40), scored(38, 40), 0.01, "undecided"),
        (scored(380, 400), scored(300, 400), 0.01, "better"),
        # The interval of no difference on 40 images is wide, but image by image nothing has changed.
        (scored(38, 40), scored(38, 40), 0.01, "unchanged"),
        (scored(38, 40), scored(38, 40, "other"), 0.01, "undecided"),
    ],
)
def test_accuracy_is_judged_by_its_interval_once_per_model(
    bench: Bench, now: Accuracy, then: Accuracy, tolerance: float, verdict: str
) -> None:
    report = bench(threads=(1, 2))
    changes = changed(with_rows(report, accuracy=now), with_rows(report, accuracy=then), accuracy=tolerance)
    assert [(change.what, change.verdict) for change in changes] == [("accuracy", verdict)] * 2


def test_lost_accuracy_is_refused(bench: Bench) -> None:
    report = bench()
    changes = changed(
        with_rows(report, accuracy=scored(300, 400)), with_rows(report, accuracy=scored(380, 400)), accuracy=0.01
    )
    with pytest.raises(GateRefusedError, match=r"accuracy within 1 points of the baseline.*-20\.0 points"):
        refuse_regressions(changes, Tolerances(accuracy=0.01))


def test_a_report_holds_what_it_was_compared_with_and_survives_its_file(
    bench: Bench, around: World, tmp_path: Path
) -> None:
    earlier = bench(around(seed=1))
    now = bench(around(seed=2, factor=1.33), against=Baseline(earlier, Tolerances(latency=0.1)))
    change = json.loads(encode_report(now))["changes"][1]
    assert (change["model"], change["what"], change["threads"]) == ("tiny_int8.tflite", "latency", 1)
    assert (change["tolerance"], change["verdict"]) == (0.1, "regression")
    assert earlier.results[1].latency_ms is not None
    assert change["baseline"] == earlier.results[1].latency_ms.median
    assert change["now"] == pytest.approx(change["baseline"] * (1 + change["change"]))
    assert change["low"] < change["change"] < change["high"]
    (tmp_path / "now.json").write_bytes(encode_report(now))
    assert read_report(tmp_path / "now.json") == now


def test_rows_that_meet_none_are_named(bench: Bench, around: World, labelled: Path) -> None:
    earlier = bench(threads=(1, 2), data=str(labelled))
    report = bench(threads=(1, 3), accuracy=False, against=Baseline(earlier))
    assert [note for note in report.notes if note.startswith("baseline")] == [
        "baseline: tiny float32, litert, 2 threads: in the baseline, not measured now",
        "baseline: tiny int8, litert, 2 threads: in the baseline, not measured now",
        "baseline: tiny float32, litert, 3 threads: measured now, not in the baseline",
        "baseline: tiny int8, litert, 3 threads: measured now, not in the baseline",
        "baseline: accuracy of tiny_float32.tflite: in the baseline, not measured now",
        "baseline: accuracy of tiny_int8.tflite: in the baseline, not measured now",
    ]
    assert [change.threads for change in report.changes] == [1, 1]


def test_files_that_share_a_name_in_their_cards_meet_by_file_name(bench: Bench) -> None:
    report = bench()
    int8 = report.results[1]
    other = msgspec.structs.replace(int8, model="other.tflite", latency_ms=report.results[0].latency_ms)
    earlier = msgspec.structs.replace(report, results=(other, int8))
    (change,) = compare_rows([int8], Baseline(earlier)).changes
    assert change.baseline == change.now


@pytest.fixture
def unmeasured(around: World) -> Surroundings:
    """A world in which measuring fails."""

    def never(*arguments: object) -> Any:
        raise AssertionError("this is told before anything is measured")

    return around(clock=never, probe=never)


def test_a_baseline_of_another_host_is_told_before_anything_is_measured(bench: Bench, unmeasured: Surroundings) -> None:
    report = bench()
    other = msgspec.structs.replace(report, host=msgspec.structs.replace(report.host, board="Raspberry Pi 4", bits=32))
    with pytest.raises(MstlEdgeError, match=r"a baseline of this host.*Received: board Raspberry Pi 4, bits 32"):
        bench(unmeasured, against=Baseline(other, Tolerances(latency=0.1)))


def test_accuracy_alone_may_be_compared_across_hosts_threads_and_runtimes(bench: Bench) -> None:
    report = with_rows(bench(), accuracy=scored(38, 40), threads=4, runtime_kind="tflite-runtime")
    other = msgspec.structs.replace(report, host=msgspec.structs.replace(report.host, board="Raspberry Pi 4"))
    allowed = Baseline(other, Tolerances(accuracy=0.01))
    changes = compare_rows(with_rows(bench(against=allowed), accuracy=scored(37, 40)).results, allowed).changes
    assert [change.what for change in changes] == ["accuracy", "accuracy"]


def test_a_baseline_of_another_model_is_told_before_anything_is_measured(
    bench: Bench, unmeasured: Surroundings
) -> None:
    with pytest.raises(MstlEdgeError, match=r"a baseline of tiny float32 .*Received: else float32 \(32 pixels, 1 mult"):
        bench(unmeasured, against=Baseline(with_rows(bench(), name="else", macs=1)))


def test_a_baseline_of_other_threads_is_told_before_anything_is_measured(
    bench: Bench, unmeasured: Surroundings
) -> None:
    with pytest.raises(
        MstlEdgeError, match=r"one of litert with 2 threads\. Received: litert with 1 thread\..*--threads 1"
    ):
        bench(unmeasured, threads=(2,), against=Baseline(bench()))


def test_a_gate_on_what_the_baseline_lacks_is_told_before_anything_is_measured(
    bench: Bench, unmeasured: Surroundings
) -> None:
    with pytest.raises(MstlEdgeError, match="accuracy in the baseline, since --fail-on names it"):
        bench(unmeasured, against=Baseline(bench(), Tolerances(accuracy=0.01)))
    timeless = with_rows(bench(), latency_ms=None)
    with pytest.raises(MstlEdgeError, match="latency in the baseline, since --fail-on names it"):
        bench(unmeasured, against=Baseline(timeless, Tolerances(latency=0.01)))


def test_a_gate_on_what_could_not_be_measured_is_one_clear_line(bench: Bench) -> None:
    earlier = with_rows(bench(), accuracy=scored(38, 40))
    report = bench(against=Baseline(earlier, Tolerances(accuracy=0.01)))
    with pytest.raises(MstlEdgeError, match="accuracy in both reports"):
        refuse_regressions(report.changes, Tolerances(accuracy=0.01))


def test_changes_are_described_in_percent_and_points(bench: Bench) -> None:
    change = Change(
        model="m", scheme="int8", threads=2, what="latency", baseline=1.0, now=1.1, change=0.1, low=0.05, high=0.15,
        verdict="worse",
    )  # fmt: skip
    assert describe_change(change) == "m, 2 threads: latency +10.0% (+5.0% to +15.0%)"
    assert describe_verdict(change) == "worse"
    lost = msgspec.structs.replace(change, what="accuracy", threads=1)
    assert describe_change(lost) == "m: accuracy -10.0 points (-15.0 to -5.0)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("latency:10%,accuracy:1pt", Tolerances(0.1, 0.01)),
        ("latency:2.5%", Tolerances(0.025, None)),
        (" accuracy:0pt ", Tolerances(None, 0.0)),
    ],
)
def test_tolerances_are_read_as_percent_and_points(text: str, expected: Tolerances) -> None:
    assert parse_tolerances(text) == expected


@pytest.mark.parametrize(
    "text", ["", "latency", "latency:10", "latency:10pt", "accuracy:1%", "speed:3%", "latency:-1%"]
)
def test_a_tolerance_that_says_nothing_is_one_clear_line(text: str) -> None:
    with pytest.raises(MstlEdgeError, match=r"--fail-on with latency in percent.*latency:10%,accuracy:1pt"):
        parse_tolerances(text)


def _broken(tree: dict[str, Any]) -> list[tuple[bytes, str]]:
    row = tree["results"][0]
    uneven = {**tree, "results": [{**row, "latency_ms": {**row["latency_ms"], "raw": [1.0, 1.0, 1.0]}}]}
    return [
        (b"", "a JSON file that is whole"),
        (b"[1]", r"a JSON object\. Received: .*list"),
        (b"{}", r"of schema mstl-edge/bench/1.*None"),
        (
            json.dumps({**tree, "schema": "mstl-edge/bench/2"}).encode(),
            r"of schema mstl-edge/bench/1 or older.*bench/2",
        ),
        (json.dumps({**tree, "results": [{}]}).encode(), r"a whole mstl-edge/bench/1 .*missing required field"),
        (json.dumps(uneven).encode(), r"a whole mstl-edge/bench/1 .*5 blocks of equal length, not 3 times"),
        (b"\xff\xfe", "a JSON file that is whole"),
    ]


def test_a_damaged_or_foreign_baseline_is_one_clear_line(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    for content, message in _broken(json.loads(encode_report(bench()))):
        path.write_bytes(content)
        with pytest.raises(MstlEdgeError, match=message):
            read_report(path)
    with pytest.raises(MstlEdgeError, match="that can be read"):
        read_report(tmp_path / "gone.json")


def test_fields_of_a_later_version_are_passed_over(bench: Bench, tmp_path: Path) -> None:
    tree = json.loads(encode_report(bench()))
    tree["later"] = tree["host"]["later"] = 1
    (tmp_path / "a.json").write_text(json.dumps(tree))
    assert read_report(tmp_path / "a.json").schema == "mstl-edge/bench/1"
