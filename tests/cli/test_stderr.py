"""Narration that cannot be written is lost, and nothing else: stderr closed, full, or a terminal that has gone."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-m", "mstl_edge_cli"]


@pytest.fixture
def predict(exported: Callable[[str], Path], tmp_path: Path, picture: Callable[[Path, int], Path]) -> list[str]:
    for seed in range(3):
        picture(tmp_path / "scans" / f"{seed}.png", seed)
    return ["predict", str(exported("tiny_int8")), str(tmp_path / "scans")]


def with_shell(redirection: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", *PROGRAM, *arguments], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "2>&- <&-"])
@pytest.mark.parametrize("form", [[], ["--json"]], ids=["table", "json"])
def test_answers_do_not_depend_on_a_stderr(predict, redirection, form):
    usual = subprocess.run([*PROGRAM, *predict, *form], stdout=subprocess.PIPE, text=True, check=True)
    assert usual.stdout.count(".png") == 3
    done = with_shell(redirection, [*predict, *form])
    assert done.returncode == 0
    assert done.stdout == usual.stdout


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_an_error_keeps_its_exit_code_without_a_stderr(redirection, tmp_path):
    assert with_shell(redirection, ["predict", str(tmp_path / "absent.tflite"), "x.png"]).returncode == 1
    assert with_shell(redirection, ["predict"]).returncode == 2


def test_nothing_is_written_into_the_file_that_takes_the_place_of_a_closed_stderr(tmp_path):
    program = """
import os, sys
from pathlib import Path
from mstl_edge_cli.console import say
from mstl_edge_cli.streams import narration_on_stderr
with narration_on_stderr():
    say("narration")
    with open(sys.argv[1], "w") as file:
        os.write(2, b"a library's warning")
        assert file.fileno() > 2
"""
    done = subprocess.run(["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", program, str(tmp_path / "file")])
    assert done.returncode == 0
    assert (tmp_path / "file").read_bytes() == b""


def test_a_terminal_that_goes_away_stops_nothing(predict, tmp_path):
    """The terminal is closed when the first image is answered; the second one comes through a pipe that waits for that."""
    waiting = tmp_path / "scans" / "1.png"
    content = waiting.read_bytes()
    waiting.unlink()
    os.mkfifo(waiting)
    images = [str(tmp_path / "scans" / f"{number}.png") for number in range(3)]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, *predict[:2], *images, "--json"],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    ) as program:
        assert program.stdout is not None
        first = json.loads(program.stdout.readline())
        os.close(theirs)
        os.close(ours)
        waiting.write_bytes(content)
        rest = [json.loads(line) for line in program.stdout]
    assert [row["image"] for row in (first, *rest)] == images
    assert program.returncode == 0


def test_what_no_part_of_the_program_explains_is_one_line_that_names_the_file(mstl_edge, monkeypatch):
    from mstl_edge import runs

    def broken() -> None:
        raise OSError(5, "Input/output error", "runs/a")

    monkeypatch.setattr(runs, "list_runs", broken)
    ended = mstl_edge("runs", "list")
    assert ended.exit_code == 1
    assert ended.stderr.startswith(
        "mstl-edge: expected a file system that does what it is asked. Received: runs/a (Input/output error)."
    )
    assert ended.stderr.count("\n") == 1
