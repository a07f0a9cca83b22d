"""Ctrl-C or `kill -9` at any moment: the run goes on and ends with the bytes of one that was left alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).parent / "stopped_runs.py"


def results(run: Path) -> dict[str, Any]:
    """Return what must not depend on when a run was stopped: all but the seconds."""
    files = [*run.glob("stages/*/weights.npz"), *run.glob("stages/*/*.csv"), *run.glob("splits/*.json")]
    found: dict[str, Any] = {str(path.relative_to(run)): path.read_bytes() for path in files}
    metrics = json.loads((run / "metrics.json").read_text())
    for entry in (metrics, *metrics["stages"]):
        assert entry.pop("seconds") > 0
    return {**found, "metrics": metrics}


@pytest.mark.slow
@pytest.mark.parametrize("kills", [5, pytest.param(10, marks=pytest.mark.long)])
def test_runs_killed_at_seeded_moments_end_with_the_bytes_of_an_undisturbed_one(
    tiny_recipe_file: Path, tmp_path: Path, kills: int
) -> None:
    program = subprocess.run(
        [sys.executable, str(PROGRAM), str(tiny_recipe_file), str(tmp_path), "2020", str(kills)],
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(program.stdout)
    assert told["code"] == 0
    whole = results(tmp_path / "whole" / "run")
    assert len([name for name in whole if name.endswith("weights.npz")]) == 2

    assert len(told["jobs"]) == kills
    for job in told["jobs"]:
        assert all(code == -9 for code in job["codes"][:-1]), job
        assert job["codes"][-1] == 0, job
        assert results(Path(job["run"])) == whole, job["event"]
        assert not list(Path(job["run"]).rglob("*.partial")), job["event"]

    interrupted = told["interrupted"]
    assert interrupted["codes"] == [130, 0]
    assert interrupted["said"].splitlines()[-1] == f"stopped; go on with: mstl-edge train --resume {interrupted['run']}"
    assert results(Path(interrupted["run"])) == whole
