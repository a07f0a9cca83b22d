from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mstl_edge.schemas.bench import BenchReport
from mstl_edge.schemas.bench_wording import milliseconds
from mstl_edge_bench.output import tables

Bench = Callable[..., BenchReport]


def cells(columns: tuple[str, ...], row: tuple[str, ...]) -> dict[str, str]:
    return dict(zip(columns, row, strict=True))


@pytest.mark.parametrize(
    ("repeats", "p90", "p99"), [(1, False, False), (2, True, False), (19, True, False), (20, True, True)]
)
def test_a_percentile_that_rests_on_too_few_times_is_not_shown(
    bench: Bench, repeats: int, p90: bool, p99: bool
) -> None:
    report = bench(repeats=repeats)
    row = cells(tables.SPEED_COLUMNS, tables.speed_rows(report)[0])
    assert (row["p90"] != tables.NOTHING, row["p99"] != tables.NOTHING) == (p90, p99)
    assert row["median ms"] != tables.NOTHING
    flat = next(csv.DictReader(io.StringIO(tables.to_csv(report))))
    assert (flat["latency_p90_ms"] != "", flat["latency_p99_ms"] != "") == (p90, p99)
    timing = report.results[0].latency_ms
    assert timing is not None
    assert timing.p99 >= timing.p90 > 0


def test_overhead_is_shown_in_percent(bench: Bench) -> None:
    report = bench()
    dear = msgspec.structs.replace(report.results[0].overhead, share=0.041)
    report = msgspec.structs.replace(
        report, results=tuple(msgspec.structs.replace(row, overhead=dear) for row in report.results)
    )
    assert cells(tables.SPEED_COLUMNS, tables.speed_rows(report)[0])["harness %"] == "4.1"
    assert next(csv.DictReader(io.StringIO(tables.to_csv(report))))["harness_overhead_share"] == "0.041"


def test_scores_come_with_their_intervals_and_images(bench: Bench, labelled: Path) -> None:
    report = bench(data=str(labelled))
    scored = report.results[0].accuracy
    assert scored is not None
    assert scored.auc is not None
    row = cells(tables.ACCURACY_COLUMNS, tables.accuracy_rows(report)[0])
    assert row["AUC"] == f"{scored.auc.value:.3f} ({scored.auc.low:.3f} to {scored.auc.high:.3f})"
    assert row["images"] == "24"
    flat = next(csv.DictReader(io.StringIO(tables.to_csv(report))))
    for name in ("accuracy", "sensitivity", "specificity", "auc"):
        assert 0 <= float(flat[f"{name}_low"]) <= float(flat[name]) <= float(flat[f"{name}_high"]) <= 1


def test_without_scores_there_is_no_table_of_them(bench: Bench) -> None:
    report = bench(accuracy=False)
    assert tables.accuracy_rows(report) == []
    assert "AUC" not in tables.to_markdown(report)


def test_parameters_that_were_trained_and_memory_that_grew_are_shown(bench: Bench) -> None:
    report = bench()
    trained = msgspec.structs.replace(report.results[0], trainable_parameters=1234)
    report = msgspec.structs.replace(report, results=(trained, *report.results[1:]))
    known, unknown = (cells(tables.FOOTPRINT_COLUMNS, row) for row in tables.footprint_rows(report))
    assert (known["trainable"], unknown["trainable"]) == ("1,234", tables.NOTHING)
    assert [known[name] for name in ("load MB", "allocate MB", "first MB", "peak MB")] == ["1.0", "1.0", "1.0", "50"]
    flat = next(csv.DictReader(io.StringIO(tables.to_csv(report))))
    assert (flat["trainable_parameters"], flat["allocate_rss_bytes"]) == ("1234", "1000000")


def test_a_candidate_is_shown_by_what_the_export_calls_it(bench: Bench) -> None:
    report = bench()
    row = msgspec.structs.replace(report.results[1], candidate="int8-ptq")
    report = msgspec.structs.replace(report, results=(report.results[0], row))
    assert [row[2] for row in tables.speed_rows(report)] == ["float32", "int8-ptq"]
    assert [row[1] for row in tables.footprint_rows(report)] == ["float32", "int8-ptq"]


def test_times_that_do_not_settle_carry_their_spread_in_every_table(
    bench: Bench, around: Callable[..., Any], drifting: type[Any]
) -> None:
    report = bench(around(clock=drifting()), patience_s=0)
    timing = report.results[0].latency_ms
    assert timing is not None
    assert timing.spread is not None
    marked = f"~{milliseconds(timing.median)} ({100 * timing.spread:.0f} %)"
    short = cells(tables.DECIDING_COLUMNS, tables.deciding_rows(report)[0])
    assert (short["median ms"], short["valid"]) == (marked, "no")
    full = cells(tables.SPEED_COLUMNS, tables.speed_rows(report)[0])
    assert (full["median ms"], full["valid"]) == (marked, "no")
    assert all(full[name].startswith("~") for name in ("p90", "p99", "decode+resize ms", "end to end ms"))
    text = tables.to_markdown(report)
    assert f"| {marked} |" in text
    assert "no speed-up, since the times of tiny_float32.tflite and tiny_int8.tflite are not valid" in text
    assert " times as fast" not in text
    assert " times slower" not in text
    assert sum("Stop other work" in line for line in tables.remarks(report)) == 1
    row = next(csv.DictReader(io.StringIO(tables.to_csv(report))))
    assert float(row["latency_spread"]) == timing.spread
    assert (row["blocks"], row["blocks_taken"], row["valid"]) == ("5", "5", "false")


def test_what_a_person_decides_by_comes_with_its_images(bench: Bench, labelled: Path) -> None:
    report = bench(data=str(labelled))
    row = cells(tables.DECIDING_COLUMNS, tables.deciding_rows(report)[1])
    assert (row["model"], row["threads"], row["valid"]) == ("tiny_int8", "1", "yes")
    assert row["accuracy % (95 %), n"].endswith(", 24")
    assert "~" not in row["median ms"]
