"""A benchmark's report as a file: what an older version called valid is judged as it is read, and shown in one form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mstl_edge.metrics import Interval
from mstl_edge.schemas import bench_wording
from mstl_edge.schemas.bench import BenchReport, Timing, encode_report
from mstl_edge.schemas.bench_reading import read_report
from mstl_edge.schemas.bench_steadiness import judged, unstable_because

DATA = Path(__file__).parents[2] / "data"
OLDER = DATA / "bench" / "bench-1.json"
"""What `bench` left on a busy machine, before it judged whether blocks agree."""


@pytest.fixture
def older() -> BenchReport:
    return read_report(OLDER)


def test_unsteady_times_that_an_older_version_called_valid_are_not(older: BenchReport) -> None:
    assert [row["valid"] for row in json.loads(OLDER.read_text())["results"]] == [True] * 4
    assert [row.valid for row in older.results] == [False, False, False, True]
    for row in older.results[:3]:
        assert row.latency_ms is not None
        assert row.invalid_because == unstable_because(row.latency_ms)
        assert "medians of the blocks differ by" in str(row.invalid_because)
        assert not any("medians of the blocks" in warning for warning in row.warnings)
        assert len(row.block_medians_ms) == 5


def test_speedups_of_such_times_are_taken_out_of_an_older_file(older: BenchReport) -> None:
    assert len(json.loads(OLDER.read_text())["comparisons"][0]["by_threads"]) == 2
    for compared in (older.comparison, *older.comparisons):
        assert compared is not None
        assert (compared.speedup, compared.by_threads) == (None, ())
        assert [told.partition(":")[0] for told in compared.not_compared] == ["1 thread", "2 threads"]
        assert compared.not_compared[1].endswith("since the times of phantom-float32.tflite are not valid")
        assert compared.agreement is not None


def test_an_older_file_that_was_brought_up_to_date_is_read_as_it_was_written(
    older: BenchReport, tmp_path: Path
) -> None:
    (tmp_path / "bench.json").write_bytes(encode_report(older))
    assert read_report(tmp_path / "bench.json") == older


def test_a_speedup_of_an_older_file_between_times_that_it_calls_invalid_is_taken_out(tmp_path: Path) -> None:
    tree = json.loads((DATA / "report" / "bench.json").read_text())
    tree["comparison"]["by_threads"].append({"threads": 2, "speedup": 1.6, "low": 1.5, "high": 1.7})
    (tmp_path / "bench.json").write_text(json.dumps(tree))
    compared = read_report(tmp_path / "bench.json").comparison
    assert compared is not None
    assert ([at.threads for at in compared.by_threads], compared.speedup) == ([1], 1.6)
    assert compared.not_compared[0].startswith("2 threads: no speed-up")


def test_a_file_that_holds_no_blocks_keeps_its_judgement() -> None:
    report = read_report(DATA / "report" / "bench.json")
    assert [(row.valid, row.latency_ms.stable if row.latency_ms else 0) for row in report.results] == [
        (True, None),
        (False, None),
        (True, None),
        (False, None),
    ]
    assert report.comparison is not None
    assert report.comparison.by_threads[0].speedup == 1.63


def timing(*blocks: float, repeats: int = 3) -> Timing:
    raw = tuple(ms for ms in blocks for _ in range(repeats))
    return judged(Timing(median=blocks[0], p90=1.0, p99=1.0, blocks=len(blocks), raw=raw))


@pytest.mark.parametrize(
    ("blocks", "stable", "shown"),
    [
        ((2.08, 2.08, 2.0), True, "2.08"),
        ((1.0, 1.15, 1.0), True, "1.00"),
        ((1.0, 1.16, 1.0), False, "~1.00 (16 %)"),
        ((2.08, 6.0944, 2.08), False, "~2.08 (193 %)"),
        ((120.4, 1806.0, 120.4), False, "~120 (1,400 %)"),
        ((2.08,), None, "2.08"),
        ((0.0, 0.0), True, "0.00"),
    ],
)
def test_a_time_carries_its_spread_where_its_blocks_do_not_agree(
    blocks: tuple[float, ...], stable: bool | None, shown: str
) -> None:
    assert timing(*blocks).stable is stable
    assert bench_wording.median_ms(timing(*blocks)) == shown


@pytest.mark.parametrize(
    ("ratio", "read"),
    [
        ((0.81, 0.62, 1.08), "1.2 times slower (0.9 to 1.6): cannot tell"),
        ((0.5, 0.4, 0.625), "2.0 times slower (1.6 to 2.5)"),
        ((2.4, 2.2, 2.6), "2.4 times as fast (2.2 to 2.6)"),
        ((1.3, 0.9, 1.6), "1.3 times as fast (0.9 to 1.6): cannot tell"),
        ((1.04, 1.02, 1.05), "1.04 times as fast (1.02 to 1.05)"),
        ((0.97, 0.95, 0.99), "1.03 times slower (1.01 to 1.05)"),
        ((1.2, 1.0, 1.4), "1.20 times as fast (1.00 to 1.40): cannot tell"),
        ((1.0, 1.0, 1.0), "1.00 times as fast (1.00 to 1.00): cannot tell"),
        ((1500.0, 1400.0, 1600.0), "1,500.0 times as fast (1,400.0 to 1,600.0)"),
    ],
)
def test_a_speedup_below_one_is_said_as_slower_and_one_that_may_be_one_tells_nothing(
    ratio: tuple[float, float, float], read: str
) -> None:
    assert bench_wording.speedup(Interval(*ratio)) == read


@pytest.mark.parametrize(
    ("ms", "read"),
    [
        (0.0, "0.00"),
        (0.186, "0.186"),
        (0.92, "0.92"),
        (2.084, "2.08"),
        (11.22, "11.2"),
        (166.16, "166"),
        (1234.5, "1,234"),
    ],
)
def test_times_read_with_about_three_digits(ms: float, read: str) -> None:
    assert bench_wording.milliseconds(ms) == read


@pytest.mark.parametrize("blocks", [0, -1, 2])
def test_times_that_do_not_divide_into_their_blocks_are_one_clear_line(tmp_path: Path, blocks: int) -> None:
    tree: dict[str, Any] = json.loads(OLDER.read_text())
    tree["results"][0]["latency_ms"] |= {"blocks": blocks, "raw": [1.0, 1.0, 1.0]}
    (tmp_path / "bench.json").write_text(json.dumps(tree))
    with pytest.raises(Exception, match=r"expected a whole mstl-edge/bench/1 .*blocks of equal length") as told:
        read_report(tmp_path / "bench.json")
    assert "\n" not in str(told.value)
