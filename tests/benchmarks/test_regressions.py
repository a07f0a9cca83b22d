from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mstl_edge.errors import GateRefusedError, MstlEdgeError
from mstl_edge_bench.measure import Surroundings
from mstl_edge_bench.regression import (
    Tolerances,
    accuracy_loss,
    compare_reports,
    parse_tolerances,
    refuse_regressions,
)
from mstl_edge_bench.result import Accuracy, BenchReport, encode_report, load_report

Bench = Callable[..., BenchReport]
World = Callable[..., Surroundings]


def test_the_same_speed_is_no_regression(bench: Bench, around: World) -> None:
    allowed = Tolerances(latency=0.1)
    changes = compare_reports(bench(around(seed=2)), bench(around(seed=1)), allowed)
    assert [change.what for change in changes] == ["latency", "latency"]
    assert not any(change.verdict == "regression" for change in changes)
    refuse_regressions(changes, allowed)


def test_a_third_more_time_is_refused_with_exit_code_3(bench: Bench, around: World) -> None:
    allowed = Tolerances(latency=0.1)
    changes = compare_reports(bench(around(seed=2, factor=1.33)), bench(around(seed=1)), allowed)
    assert [change.verdict for change in changes] == ["regression", "regression"]
    with pytest.raises(
        GateRefusedError, match=r"latency within 10 % of the baseline\. Received: tiny_float32"
    ) as refused:
        refuse_regressions(changes, allowed)
    assert refused.value.exit_code == 3


def test_more_time_within_the_tolerance_passes(bench: Bench, around: World) -> None:
    changes = compare_reports(bench(around(seed=2, factor=1.33)), bench(around(seed=1)), Tolerances(latency=0.5))
    assert {change.verdict for change in changes} == {"within tolerance"}


def test_invalid_times_pass_no_gate(bench: Bench, around: World) -> None:
    now = bench(around(seed=2))
    spoiled = msgspec.structs.replace(
        now, results=tuple(msgspec.structs.replace(row, valid=False, invalid_because="hot") for row in now.results)
    )
    allowed = Tolerances(latency=0.1)
    changes = compare_reports(spoiled, bench(around(seed=1)), allowed)
    with pytest.raises(MstlEdgeError, match="valid times in both reports"):
        refuse_regressions(changes, allowed)


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


def test_the_same_images_are_compared_in_pairs(bench: Bench) -> None:
    paired = accuracy_loss(scored(390, 400), scored(398, 400))
    unpaired = accuracy_loss(scored(390, 400), scored(398, 400, "other"))
    assert paired.value == unpaired.value
    assert (paired.low, paired.high) != (unpaired.low, unpaired.high)


def _with_accuracy(report: BenchReport, accuracy: Accuracy) -> BenchReport:
    rows = tuple(msgspec.structs.replace(row, accuracy=accuracy) for row in report.results)
    return msgspec.structs.replace(report, results=rows)


def test_lost_accuracy_is_refused_once_per_model(bench: Bench) -> None:
    report = bench()
    allowed = Tolerances(accuracy=0.01)
    changes = compare_reports(
        _with_accuracy(report, scored(300, 400)), _with_accuracy(report, scored(380, 400)), allowed
    )
    assert [(change.what, change.verdict) for change in changes] == [("accuracy", "regression")] * 2
    with pytest.raises(GateRefusedError, match=r"accuracy within 1 points of the baseline.*-20\.0 points"):
        refuse_regressions(changes, allowed)


def test_a_baseline_of_another_host_is_one_clear_line(bench: Bench) -> None:
    report = bench()
    other = msgspec.structs.replace(report, host=msgspec.structs.replace(report.host, board="Raspberry Pi 4", bits=32))
    with pytest.raises(MstlEdgeError, match=r"a baseline of this host.*Received: board Raspberry Pi 4, bits 32"):
        compare_reports(report, other, Tolerances(latency=0.1))


def test_accuracy_alone_may_be_compared_across_hosts(bench: Bench) -> None:
    report = _with_accuracy(bench(), scored(38, 40))
    other = msgspec.structs.replace(report, host=msgspec.structs.replace(report.host, board="Raspberry Pi 4"))
    assert {change.what for change in compare_reports(report, other, Tolerances(accuracy=0.01))} == {"accuracy"}


def test_a_baseline_of_another_model_is_one_clear_line(bench: Bench) -> None:
    report = bench()
    rows = tuple(msgspec.structs.replace(row, name="else", macs=1) for row in report.results)
    with pytest.raises(MstlEdgeError, match=r"a baseline of tiny float32 .*Received: else float32 \(32, 1\)"):
        compare_reports(report, msgspec.structs.replace(report, results=rows), Tolerances())


def test_a_baseline_of_other_threads_is_one_clear_line(bench: Bench) -> None:
    with pytest.raises(MstlEdgeError, match=r"the threads of the baseline.*litert with 1 threads"):
        compare_reports(bench(threads=(2,)), bench(), Tolerances())


def test_a_gate_on_what_was_not_measured_is_one_clear_line(bench: Bench) -> None:
    with pytest.raises(MstlEdgeError, match="accuracy in both reports"):
        compare_reports(bench(), bench(), Tolerances(accuracy=0.01))


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
    return [
        (b"", "in JSON"),
        (b"[1]", r"of schema mstl-edge/bench/1.*None"),
        (json.dumps({**tree, "schema": "mstl-edge/bench/2"}).encode(), r"of schema mstl-edge/bench/1.*bench/2"),
        (json.dumps({**tree, "results": [{}]}).encode(), r"whole benchmark report .*missing required field"),
        (b"\xff\xfe", "in JSON"),
    ]


def test_a_damaged_or_foreign_baseline_is_one_clear_line(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    for content, message in _broken(json.loads(encode_report(bench()))):
        path.write_bytes(content)
        with pytest.raises(MstlEdgeError, match=message):
            load_report(path)
    with pytest.raises(MstlEdgeError, match="that can be read"):
        load_report(tmp_path / "gone.json")


def test_fields_of_a_later_version_are_passed_over(bench: Bench, tmp_path: Path) -> None:
    tree = json.loads(encode_report(bench()))
    tree["later"] = tree["host"]["later"] = 1
    (tmp_path / "a.json").write_text(json.dumps(tree))
    assert load_report(tmp_path / "a.json").schema == "mstl-edge/bench/1"
