"""A bench of three classes: each by itself, with an interval, and int8 against float by class."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

from mstl_edge_bench.bench import BenchPlan, run_bench
from mstl_edge_bench.output import tables


def test_three_classes_are_scored_one_by_one_and_have_no_sensitivity(
    exported: Callable[[str], Path], draw_classes: Callable[..., Path], tmp_path: Path
) -> None:
    data = draw_classes(tmp_path / "scans", ("a", "b", "c"), count=6)
    plan = BenchPlan(models=(exported("three_classes"),), data=str(data), threads=(1,), blocks=5, repeats=2)
    report = run_bench(plan)
    scored = report.results[0].accuracy
    assert scored is not None
    assert (scored.sensitivity, scored.specificity, scored.auc, scored.threshold) == (None, None, None, None)
    assert list(scored.classes) == ["a", "b", "c"]
    assert [one.n for one in scored.classes.values()] == [6, 6, 6]
    assert scored.macro_f1 is not None
    rows = [dict(zip(tables.CLASS_COLUMNS, row, strict=True)) for row in tables.class_rows(report)]
    assert [row["class"] for row in rows] == ["a", "b", "c"]
    (row,) = tables.accuracy_rows(report)
    assert dict(zip(tables.ACCURACY_COLUMNS, row, strict=True))["macro-F1"].startswith(f"{scored.macro_f1.value:.3f}")
    flat = next(csv.DictReader(io.StringIO(tables.to_csv(report))))
    assert flat["sensitivity"] == ""
    assert float(flat["macro_f1"]) == scored.macro_f1.value
    assert "| three_classes.tflite | " in tables.to_markdown(report)


def test_two_classes_need_no_table_of_classes(
    exported: Callable[[str], Path], draw_classes: Callable[..., Path], tmp_path: Path
) -> None:
    data = draw_classes(tmp_path / "scans", ("normal", "hemorrhage"), count=4)
    report = run_bench(BenchPlan(models=(exported("tiny_int8"),), data=str(data), threads=(1,), blocks=5, repeats=2))
    assert tables.class_rows(report) == []
    scored = report.results[0].accuracy
    assert scored is not None
    assert scored.classes["hemorrhage"].recall == scored.sensitivity
