"""`kill -9` at any moment of an export: the run holds the accepted export of before, or the new one, whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mstl_edge.folders import settle
from mstl_edge.recipe import load_recipe
from mstl_edge.runs import RunFolder, create_run

PROGRAM = Path(__file__).parent / "killed_exports.py"
KILLS = int(os.environ.get("MSTL_EDGE_KILLS", "20"))


def _contents(run: Path) -> dict[str, bytes]:
    exports = run / "exports"
    return {path.relative_to(exports).as_posix(): path.read_bytes() for path in exports.rglob("*") if path.is_file()}


@pytest.mark.long
def test_an_export_killed_at_seeded_moments_leaves_the_one_of_before_or_its_own(
    tiny_recipe_file: Path, tmp_path: Path
) -> None:
    from mstl_edge.training import pipeline
    from mstl_edge.training.exporting.export import Int8Options, export_int8

    run = create_run(load_recipe(str(tiny_recipe_file)), tmp_path / "run", versions={})
    pipeline.train(run, threads=1)
    export_int8(run, Int8Options(kinds=("ptq",), max_drop=100.0, min_agreement=0.0, cross_fit=0))
    before = _contents(run.path)
    program = subprocess.run(
        [sys.executable, str(PROGRAM), str(run.path), str(tmp_path), "2020", str(KILLS)],
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(program.stdout)
    assert told["code"] == 0
    after = _contents(Path(told["whole"]))
    assert after != before
    assert len(told["jobs"]) == KILLS
    for job in told["jobs"]:
        assert job["code"] == -9, job
        killed = Path(job["run"])
        assert _contents(killed) in (before, after), job
        settle(RunFolder(killed).exports)
        assert {path.name for path in killed.iterdir() if path.name.startswith(".")} == set(), job
