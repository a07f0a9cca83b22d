"""A study on a shared folder, done by processes that know nothing of each other, with the bytes of one that does it alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

STUDY = [sys.executable, "-m", "mstl_edge_cli", "study"]


@pytest.fixture
def planned(
    tmp_path: Path, draw_classes: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Path]:
    monkeypatch.setenv("MSTL_EDGE_CACHE", str(tmp_path / "cache"))
    draw_classes(tmp_path / "bridge", seed=1)
    draw_classes(tmp_path / "target", ("healthy", "ill"), seed=2)
    stages = [("bridge", "conv_dw_12"), ("target", "conv_dw_13")]
    tables = "".join(
        f'[[stages]]\nname = "{name}"\ndata = "{tmp_path / name}"\nunfreeze_from = "{below}"\nepochs = 1\nbatch_size = 4\n'
        for name, below in stages
    )
    backbone = '[backbone]\nvariant = "0.25"\ninput_size = 32\nweights = "bundled"\n'
    (tmp_path / "tiny.toml").write_text(f'name = "tiny"\n{backbone}{tables}')

    def plan(name: str) -> Path:
        options = [
            "--arms",
            "single,multi",
            "--schemes",
            "float32",
            "--folds",
            "2",
            "--repeats",
            "1",
            "--plan-only",
            "--json",
        ]
        done = subprocess.run(
            [*STUDY, "tiny.toml", *options, "--out", name], check=True, capture_output=True, text=True, cwd=tmp_path
        )
        assert json.loads(done.stdout) == {"study": name, "trainings": 4}
        return tmp_path / name

    return plan


def answers_of(study: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((study / "folds").glob("*.csv"))}


@pytest.mark.slow
def test_four_processes_at_once_leave_what_one_leaves(planned: Callable[[str], Path]) -> None:
    alone, shared = planned("alone"), planned("shared")
    one = ["--threads", "1"]
    subprocess.run([*STUDY, "--resume", str(alone), *one], check=True, capture_output=True)
    parts = [
        subprocess.Popen(
            [*STUDY, "--resume", str(shared), *one, "--task", f"{part}/4", "--json"], stdout=subprocess.PIPE, text=True
        )
        for part in (1, 2, 3, 4)
    ]
    told = [json.loads(part.communicate(timeout=300)[0]) for part in parts]
    assert [part.returncode for part in parts] == [0] * 4
    assert {one["trainings"] for one in told} == {4}
    assert max(one["finished"] for one in told) == 4
    assert answers_of(shared) == answers_of(alone)
    assert not (shared / "study.json").exists(), "putting it together is another command"
    subprocess.run([*STUDY, "--resume", str(shared), *one], check=True, capture_output=True)
    assert (shared / "answers.csv").read_bytes() == (alone / "answers.csv").read_bytes()


def test_a_part_that_is_being_worked_on_and_a_study_with_parts_at_work_are_refused(
    planned: Callable[[str], Path],
) -> None:
    from mstl_edge.errors import RunError
    from mstl_edge.output_folder import working_alone
    from mstl_edge.storage import alone_in
    from mstl_edge.study.folder import open_study
    from mstl_edge.study.shares import Share
    from mstl_edge.training.study.run import run_share, run_study

    study = open_study(planned("study"))
    (study.path / "work").mkdir()
    mark = study.path / "work" / "share-2-of-4"
    mark.touch()
    with (
        working_alone(study.path, beside_others=True),
        alone_in(mark),
        pytest.raises(RunError, match=r"no other process is working on \(--task 2/4\)"),
    ):
        run_share(study, Share(2, 4), threads=1)
    with working_alone(study.path, beside_others=True), pytest.raises(RunError, match="no other process is working on"):
        run_study(study, threads=1)
    with working_alone(study.path), pytest.raises(RunError, match="no other process is working on"):
        run_share(study, Share(1, 4), threads=1)
