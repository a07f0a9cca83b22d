"""A folder that is replaced is found as before or as after, whenever the process is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mstl_edge import folders
from mstl_edge.folders import replacing_folder, settle
from mstl_edge.storage import write_text

_WRITER = """
import os, signal, sys
from pathlib import Path
from mstl_edge.folders import replacing_folder
from mstl_edge.storage import write_text
target, last = Path(sys.argv[1]), int(sys.argv[2])
seen = 0
def at_each_event(event, arguments):
    global seen
    if event.partition(".")[0] in ("open", "os", "shutil", "ctypes"):
        seen += 1
        if seen == last:
            os.kill(os.getpid(), signal.SIGKILL)
with replacing_folder(target) as staged:
    for name in ("a", "b", "c"):
        write_text(staged / name, "before")
sys.addaudithook(at_each_event)
with replacing_folder(target) as staged:
    for name in ("a", "b", "c"):
        write_text(staged / name, "after")
print(seen)
"""


def test_files_change_together(tmp_path: Path) -> None:
    target = tmp_path / "exports"
    with replacing_folder(target) as staged:
        (staged / "one").write_text("1")
    with replacing_folder(target) as staged:
        assert (staged / "one").read_text() == "1"
        (staged / "one").unlink()
        (staged / "two").write_text("2")
        assert (target / "one").read_text() == "1"
    assert [path.name for path in target.iterdir()] == ["two"]
    assert [path.name for path in tmp_path.iterdir()] == ["exports"]


def test_an_error_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "exports"
    with replacing_folder(target) as staged:
        (staged / "one").write_text("1")
    with pytest.raises(FileNotFoundError), replacing_folder(target) as staged:
        (staged / "two").write_bytes((tmp_path / "absent").read_bytes())
    assert [path.name for path in target.iterdir()] == ["one"]
    assert [path.name for path in tmp_path.iterdir()] == ["exports"]


@pytest.mark.parametrize("in_one_step", [True, False])
def test_a_system_that_cannot_exchange_folders_renames_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_one_step: bool
) -> None:
    if not in_one_step:
        monkeypatch.setattr(folders, "_exchange", lambda *_: False)
    target = tmp_path / "exports"
    for content in ("1", "2"):
        with replacing_folder(target) as staged:
            write_text(staged / "one", content)
    assert (target / "one").read_text() == "2"
    assert [path.name for path in tmp_path.iterdir()] == ["exports"]


def test_what_a_kill_between_two_renames_left_aside_is_brought_back(tmp_path: Path) -> None:
    aside = tmp_path / ".exports.99999999.replaced"
    aside.mkdir()
    (aside / "one").write_text("1")
    (tmp_path / ".exports.99999999.staged").mkdir()
    settle(tmp_path / "exports")
    assert (tmp_path / "exports" / "one").read_text() == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["exports"]


def test_a_folder_that_another_process_is_making_is_left_alone(tmp_path: Path) -> None:
    staged = tmp_path / f".exports.{os.getpid()}.staged"
    staged.mkdir()
    settle(tmp_path / "exports")
    assert staged.is_dir()


def _write(target: Path, last_event: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _WRITER, str(target), str(last_event)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_kill_at_any_of_its_steps_leaves_the_files_of_before_or_of_after(tmp_path: Path) -> None:
    steps = int(_write(tmp_path / "whole", 0).stdout)
    moments = np.random.default_rng(0).choice(np.arange(1, steps + 1), 20, replace=False)
    found = []
    for moment in moments.tolist():
        target = tmp_path / str(moment) / "exports"
        assert _write(target, moment).returncode == -signal.SIGKILL
        (content,) = {path.read_text() for path in target.iterdir()}
        assert {path.name for path in target.iterdir()} == {"a", "b", "c"}
        found.append(content)
        settle(target)
        assert [path.name for path in target.parent.iterdir()] == ["exports"]
    assert set(found) == {"before", "after"}
