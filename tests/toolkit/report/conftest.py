"""Inputs of a report, drawn by `tests/data/report/make_report_inputs.py`."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

DRAWN = Path(__file__).parents[2] / "data" / "report"


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A finished and exported run, without weights and model files."""
    return Path(shutil.copytree(DRAWN / "run", tmp_path / "run"))


@pytest.fixture
def bench_file(tmp_path: Path) -> Path:
    """A benchmark's JSON."""
    return Path(shutil.copy(DRAWN / "bench.json", tmp_path / "pi.json"))


@pytest.fixture
def study_folder(tmp_path: Path) -> Path:
    """A study folder with its result and its answers."""
    folder = tmp_path / "study"
    folder.mkdir()
    for name in ("study.json", "answers.csv"):
        shutil.copy(DRAWN / name, folder / name)
    return folder


@pytest.fixture
def report_words() -> Callable[..., str]:
    """Write a report and return its text, spaces made plain."""
    from mstl_edge.report import write_report

    def words(*named: Path, with_images: bool = False) -> str:
        text = write_report(named, with_images=with_images).path.read_text(encoding="utf-8")
        body = html.unescape(re.sub(r"<[^>]+>", " ", text.partition("</style>")[2]))
        return " ".join(body.replace("\u00a0", " ").split())

    return words
