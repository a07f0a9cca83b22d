"""Inputs of a report, drawn by `tests/data/report/make_report_inputs.py`."""

from __future__ import annotations

import shutil
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
