from __future__ import annotations

import csv
import importlib
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from mstl_edge.errors import MstlEdgeError
from mstl_edge.recipe import recipe_keys
from mstl_edge.schemas.bench import BenchReport
from mstl_edge_bench.output import tables
from mstl_edge_bench.output.pytest_benchmark import to_pytest_benchmark

Bench = Callable[..., BenchReport]
ROOT = Path(__file__).parents[2]


def test_the_csv_holds_plain_numbers(bench: Bench, labelled: Path) -> None:
    report = bench(data=str(labelled), threads=(1, 2))
    rows = list(csv.DictReader(io.StringIO(tables.to_csv(report))))
    assert len(rows) == 4
    assert report.results[0].latency_ms is not None
    assert float(rows[0]["latency_median_ms"]) == report.results[0].latency_ms.median
    assert (rows[0]["valid"], rows[0]["images"]) == ("true", "24")


def test_the_markdown_is_two_tables_and_the_reasons(bench: Bench, labelled: Path) -> None:
    text = tables.to_markdown(bench(data=str(labelled)))
    lines = text.splitlines()
    header = next(line for line in lines if line.startswith("| model"))
    assert header.count("|") == lines[lines.index(header) + 1].count("|")
    assert "McNemar p =" in text
    assert re.search(r"\d thread: \d\.\d+ times (as fast|slower) \(\d", text)


def test_tables_of_an_emulated_run_show_no_times(bench: Bench) -> None:
    report = bench()
    rows = tuple(
        msgspec.structs.replace(
            row, latency_ms=None, decode_resize_ms=None, end_to_end_ms=None, overhead=None, startup=None,
            peak_rss_bytes=None, valid=False, invalid_because="emulated CPU",
        )
        for row in report.results
    )  # fmt: skip
    emulated = msgspec.structs.replace(report, results=rows)
    assert all(set(row[4:11]) == {tables.NOTHING} for row in tables.speed_rows(emulated))
    assert "invalid: emulated CPU" in "\n".join(tables.remarks(emulated))
    assert tables.to_csv(emulated).count("emulated CPU") == 2
    with pytest.raises(MstlEdgeError, match=r"times for --pytest-benchmark\. Received: emulated CPU"):
        to_pytest_benchmark(emulated)


def test_pytest_benchmark_compares_two_of_our_files(bench: Bench, tmp_path: Path) -> None:
    for name in ("pi4.json", "pi5.json"):
        (tmp_path / name).write_text(json.dumps(to_pytest_benchmark(bench())))
    command = [sys.executable, "-m", "pytest_benchmark", "compare", "pi4.json", "pi5.json", "--group-by=name"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "inference[tiny-int8-litert-1]" in ran.stdout
    assert "end_to_end[tiny-float32-litert-1]" in ran.stdout


def test_pytest_benchmarks_own_statistics_agree_with_ours(bench: Bench) -> None:
    from pytest_benchmark.stats import Stats

    entry = to_pytest_benchmark(bench())["benchmarks"][0]["stats"]
    theirs = Stats()
    for value in entry["data"]:
        theirs.update(value)
    for name in ("min", "max", "mean", "stddev", "median", "total", "ops", "rounds", "stddev_outliers"):
        assert entry[name] == pytest.approx(getattr(theirs, name)), name
    assert entry["iqr"] == pytest.approx(theirs.iqr, rel=0.1)


def test_the_suites_can_be_collected() -> None:
    command = [sys.executable, "-m", "pytest", "benchmarks/suites", "--collect-only", "-q"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    assert "test_latency[" in ran.stdout
    assert "alpha=0.25" in ran.stdout


@pytest.fixture(scope="module")
def render() -> ModuleType:
    """The script that renders, from the checkout: it is no part of an installed package."""
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(ROOT / "benchmarks"))
        return importlib.import_module("render")


@pytest.fixture(scope="module")
def studies(render: ModuleType) -> ModuleType:
    return render.studies


def compared(a: str, b: str, difference: float, verdict: str, needed: int | None, **keys: object) -> dict[str, object]:
    return {
        "a": f"{a}/float32", "b": f"{b}/float32", "difference": difference, "low": difference - 0.05,
        "high": difference + 0.05, "p": 0.2, "verdict": verdict, "n": 160, "images_needed": needed,
        "mcnemar": [{"repeat": 1, "p": 0.25}], "primary": False, **keys,
    }  # fmt: skip


def measured(name: str, accuracy: float, **keys: object) -> dict[str, object]:
    around = {"low": accuracy - 0.02, "high": accuracy + 0.02}
    names = ("accuracy", "sensitivity", "specificity", "auc", "calibration_error", "log_loss")
    return {"name": name, "scheme": "float32", **{key: {"value": accuracy, **around} for key in names}, **keys}


@pytest.fixture
def study_tree() -> dict[str, Any]:
    return {
        "n": 160, "folds": 5, "repeats": 1, "fold_seed": 3,
        "arms": [measured("as-it-is", 0.9), measured("views-1", 0.85), measured("mixup-0.2", 0.925)],
        "comparisons": [
            compared("as-it-is", "views-1", -0.05, "hurt", 400),
            compared("as-it-is", "mixup-0.2", 0.025, "cannot tell", 1234),
        ],
    }  # fmt: skip


def test_a_search_is_told_against_its_first_arm_in_the_order_of_worth(
    studies: ModuleType, study_tree: dict[str, Any]
) -> None:
    head, _, *rows = rows_of(studies._against_first(study_tree))
    assert head[0] == "arm (160 images, 5 folds, 1 repeat, fold seed 3)"
    assert head[1:] == ["accuracy %", "AUC", "log-loss", "points from `as-it-is` (95 %)", "images that would tell"]
    assert rows == [
        ["`mixup-0.2`", "92.5", "0.925", "0.925", "+2.5 (-2.5 to +7.5)", "1,234"],
        ["`as-it-is`", "90.0", "0.900", "0.900", "–", "–"],
        ["`views-1`", "85.0", "0.850", "0.850", "-5.0 (-10.0 to +0.0)", "–"],
    ]


def rows_of(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]


def test_verdicts_say_how_many_images_would_tell_where_these_cannot(
    studies: ModuleType, study_tree: dict[str, Any]
) -> None:
    study_tree["comparisons"].append(compared("a", "b", 0.01, "cannot tell", 90, p=0.001, primary=True))
    head, _, *rows = rows_of(studies._verdicts(study_tree))
    assert head[-2:] == ["verdict", "images that would tell"]
    assert [row[-2:] for row in rows] == [["hurt", "–"], ["cannot tell", "1,234"], ["cannot tell", "–"]]
    assert rows[1][:4] == ["as-it-is/float32 → mixup-0.2/float32", "+2.5 (-2.5 to +7.5)", "0.20", "0.25"]
    assert rows[2][0] == "**a/float32 → b/float32**"
    assert rows[2][2] == "< 0.005"


def test_a_learning_curve_is_drawn_with_what_each_size_can_tell(
    studies: ModuleType, study_tree: dict[str, Any]
) -> None:
    study_tree["learning_curve"] = {
        "arms": [measured(arm, 0.8, images=n) for n in (20, 128) for arm in ("single", "multi")],
        "comparisons": [compared("single", "multi", 0.02, "cannot tell", 900, images=n) for n in (20, 128)],
    }
    accuracies, verdicts = (rows_of(part) for part in studies._curve(study_tree).split("\n\n"))
    assert [row[0] for row in accuracies[2:]] == [row[0] for row in verdicts[2:]] == ["20", "128"]
    assert accuracies[0] == ["training images", "`single` accuracy % (95 %)", "`multi` accuracy % (95 %)"]
    assert verdicts[2][1:3] == ["single/float32 → multi/float32", "+2.0 (-3.0 to +7.0)"]
    assert verdicts[2][-2:] == ["cannot tell", "900"]


def test_every_key_of_a_recipe_stands_in_its_page_as_the_spec_says_it(render: ModuleType) -> None:
    page = (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8")
    assert render.render(page) == page
    assert not render.lost_marks(page)
    for key in recipe_keys():
        assert page.count(f"| `{key.path}` | ") == 1, f"{key.path}: give its table to GROUPS of rendered/recipe_keys.py"


@pytest.fixture
def pages(render: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A README with a table of a name that exists, rendered."""
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(render, "ROOT", tmp_path)
    monkeypatch.setattr(render, "TABLES", {"known": lambda: "| 1 |"})
    monkeypatch.setattr(render, "PICTURES", {})
    monkeypatch.setattr("sys.argv", ["render.py", "--check"])
    (tmp_path / "README.md").write_text("<!-- known:begin -->\n| 1 |\n<!-- known:end -->\n")
    return tmp_path


def test_a_table_whose_result_was_deleted_fails_the_check(
    render: ModuleType, pages: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert render.main() == 0
    page = pages / "docs" / "gone.md"
    page.write_text("<!-- study-gone:begin -->\n| 2 |\n<!-- study-gone:end -->\n")
    for argv in (["render.py", "--check"], ["render.py"]):
        monkeypatch.setattr("sys.argv", argv)
        assert render.main() == 1
        assert "Received: study-gone in docs/gone.md." in capsys.readouterr().err
    assert "| 2 |" in page.read_text()


@pytest.mark.parametrize("marks", ["<!-- known:begin -->\ntext\n", "text\n<!-- known:end -->\n"])
def test_a_mark_that_stands_alone_fails_the_check_and_swallows_no_text(
    render: ModuleType, pages: Path, marks: str
) -> None:
    (pages / "docs" / "half.md").write_text(marks)
    assert render.main() == 1
    assert (pages / "docs" / "half.md").read_text() == marks


def test_a_table_that_is_out_of_date_fails_the_check(render: ModuleType, pages: Path) -> None:
    (pages / "README.md").write_text("<!-- known:begin -->\n| 0 |\n<!-- known:end -->\n")
    assert render.main() == 1
