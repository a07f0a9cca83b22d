"""`mstl-edge report`."""

from __future__ import annotations

import json
import shutil
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DRAWN = Path(__file__).parents[1] / "data" / "report"


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DRAWN / "run", tmp_path / "runs" / "mine"))


def test_the_latest_run_is_reported_and_its_choice_is_said(mstl_edge: Callable[..., Any], run_folder: Path) -> None:
    ended = mstl_edge("report")
    assert ended.exit_code == 0
    assert ended.stdout == "runs/mine/report.html\n"
    assert "run: runs/mine (latest)" in ended.stderr
    assert (run_folder / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_json_names_the_report_its_sources_and_what_is_missing(mstl_edge: Callable[..., Any], run_folder: Path) -> None:
    shutil.rmtree(run_folder / "exports")
    ended = mstl_edge("report", run_folder, DRAWN / "bench.json", "--out", "all.html", "--json")
    assert ended.exit_code == 0
    tree = json.loads(ended.stdout)
    assert (tree["schema"], tree["report"]) == ("mstl-edge/report/1", "all.html")
    assert [source["kind"] for source in tree["sources"]] == ["run", "bench"]
    assert len(tree["missing"]) == 2
    assert Path("all.html").is_file()


def test_the_report_is_opened_in_the_browser(
    mstl_edge: Callable[..., Any], run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def open_address(address: str) -> bool:
        opened.append(address)
        return True

    monkeypatch.setattr(webbrowser, "open", open_address)
    ended = mstl_edge("report", "--open")
    assert ended.exit_code == 0
    assert ended.stdout == "runs/mine/report.html\n"
    assert opened == [(run_folder / "report.html").as_uri()]
    assert "note:" not in ended.stderr


@pytest.mark.parametrize("broken", [False, True])
def test_without_a_browser_the_report_is_written_and_that_is_said(
    mstl_edge: Callable[..., Any], run_folder: Path, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    def open_address(address: str) -> bool:
        if broken:
            raise webbrowser.Error("could not locate runnable browser")
        return False

    monkeypatch.setattr(webbrowser, "open", open_address)
    ended = mstl_edge("report", "--open")
    assert ended.exit_code == 0
    file = run_folder / "report.html"
    assert file.is_file()
    assert ended.stderr.endswith(f"note: no browser here; copy the file to where one is, and open it: {file}\n")


def test_no_browser_is_opened_unasked(
    mstl_edge: Callable[..., Any], run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda address: pytest.fail(address))
    assert mstl_edge("report").exit_code == 0


def test_wrong_sources_are_one_line_and_exit_1(mstl_edge: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "foreign.json").write_text("{}")
    for arguments in ((), ("missing",), ("foreign.json",)):
        ended = mstl_edge("report", *arguments)
        assert ended.exit_code == 1
        assert ended.stdout == ""
        assert ended.stderr.count("\n") == 1
        assert ended.stderr.startswith("mstl-edge: expected")


def test_nothing_heavy_is_imported(run_folder: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from mstl_edge.report import write_report\n"
        f"write_report([Path({str(run_folder)!r}), Path({str(DRAWN / 'study.json')!r})])\n"
        "print(sorted({'tensorflow', 'tf_keras', 'sklearn', 'scipy', 'matplotlib'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
