"""Results reach stdout whole, or the program says in one line that they did not."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import pytest

PROGRAM = [sys.executable, "-m", "mstl_edge_cli"]
TIMEOUT_S = 60


@pytest.fixture
def model(exported: Callable[[str], Path]) -> Path:
    return exported("tiny_int8")


@pytest.fixture
def folder(tmp_path: Path, picture: Callable[[Path, int], Path]) -> Path:
    for seed in range(3):
        picture(tmp_path / "scans" / f"{seed}.png", seed)
    return tmp_path / "scans"


def without_a_reader() -> IO[bytes]:
    """Return the end of a pipe that nobody reads any more."""
    reading, writing = os.pipe()
    os.close(reading)
    return open(writing, "wb")  # noqa: PTH123


def full_disk() -> IO[bytes]:
    return open("/dev/full", "wb")  # noqa: PTH123


def ended_by(
    stdout: Callable[[], IO[bytes]], arguments: Sequence[str | Path], unbuffered: str = ""
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    command = [*PROGRAM, *map(str, arguments)]
    with stdout() as taken:
        return subprocess.run(command, stdout=taken, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.mark.parametrize(
    ("stdout", "reason"), [(full_disk, "No space left on device"), (without_a_reader, "Broken pipe")]
)
@pytest.mark.parametrize("arguments", [["--help"], ["recipes", "list"], ["recipes", "list", "--json"]], ids=" ".join)
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_stdout_that_takes_nothing_is_one_clear_line(
    arguments: list[str], unbuffered: str, stdout: Callable[[], IO[bytes]], reason: str
) -> None:
    done = ended_by(stdout, arguments, unbuffered)
    assert done.returncode == 1
    assert done.stderr == f"mstl-edge: expected a stdout that takes all results. Received: {reason}.\n"


@pytest.mark.parametrize("stdout", [full_disk, without_a_reader])
@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]], ids=["table", "json", "csv"])
def test_predictions_that_cannot_be_written_are_one_clear_line(
    form: list[str], stdout: Callable[[], IO[bytes]], model: Path, folder: Path
) -> None:
    done = ended_by(stdout, ["predict", model, folder, *form])
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("mstl-edge: expected a stdout that takes all results.")
    assert "Traceback" not in done.stderr


def test_a_program_started_without_a_stdout_says_so() -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *PROGRAM, "recipes", "list"], stderr=subprocess.PIPE, text=True
    )
    assert done.returncode == 1
    assert done.stderr == "mstl-edge: expected a stdout that takes all results. Received: a closed stdout.\n"


def on_a_terminal(arguments: Sequence[str | Path], *, stdout: IO[bytes] | None) -> bytes:
    """Run the program with stderr, and stdout where None is given, on a terminal; return what that showed."""
    ours, theirs = pty.openpty()
    command = [*PROGRAM, *map(str, arguments)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "200"}
    with subprocess.Popen(command, stdout=stdout or theirs, stderr=theirs, env=environment) as program:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # how Linux says that the other end is closed
                break
            if not part:
                break
            shown += part
    os.close(ours)
    assert program.returncode == 0, shown
    return shown


@pytest.mark.parametrize(
    ("form", "rows_besides"), [([], 1), (["--json"], 0), (["--csv"], 1)], ids=["table", "json", "csv"]
)
def test_rows_go_into_the_file_while_the_bar_is_drawn_on_the_terminal(
    form: list[str], rows_besides: int, model: Path, folder: Path, tmp_path: Path
) -> None:
    with (tmp_path / "answers").open("wb") as answers:
        shown = on_a_terminal(["predict", model, folder, *form], stdout=answers)
    assert b"3/3" in shown
    assert b".png" not in shown
    rows = (tmp_path / "answers").read_text().splitlines()
    assert len(rows) == rows_besides + 3
    assert "\x1b" not in "".join(rows)


@pytest.mark.parametrize("form", [[], ["--csv"]], ids=["table", "csv"])
def test_on_a_terminal_rows_stand_above_the_bar(form: list[str], model: Path, folder: Path) -> None:
    shown = on_a_terminal(["predict", model, folder, *form], stdout=None)
    assert b"3/3" in shown
    assert shown.count(b".png") == 3
    assert shown.rindex(b".png") < shown.rindex(b"3/3")


def test_every_row_is_written_before_the_next_image_is_waited_for(
    model: Path, tmp_path: Path, picture: Callable[[Path, int], Path]
) -> None:
    first, pipe = picture(tmp_path / "a.png", 1), tmp_path / "b.png"
    os.mkfifo(pipe)
    command = [*PROGRAM, "predict", str(model), str(first), str(pipe), "--json"]
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=buffered) as program:
        assert program.stdout is not None
        try:
            ready, _, _ = select.select([program.stdout], [], [], TIMEOUT_S)
            assert ready, "no row although one image is answered"
            assert json.loads(program.stdout.readline())["image"] == str(first)
        finally:
            pipe.write_bytes(first.read_bytes())
        assert json.loads(program.stdout.readline())["image"] == str(pipe)


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]], ids=["table", "json", "csv"])
def test_a_file_name_that_is_no_utf_8_is_escaped_and_stops_nothing(
    form: list[str], model: Path, folder: Path, picture: Callable[[Path, int], Path]
) -> None:
    odd = os.fsdecode(os.fsencode(folder / "4") + b"\xff.png")
    picture(Path(odd), 4)
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    command = [*PROGRAM, "predict", str(model), str(folder), *form]
    done = subprocess.run(command, capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode().splitlines()
    assert ("4\\udcff.png" if form else "4\\xff.png") in lines[-1]
    assert len([line for line in lines if ".png" in line]) == 4
    if form == ["--json"]:
        assert json.loads(lines[-1])["image"] == odd


def test_json_is_valid_where_stdout_knows_only_ascii(model: Path, folder: Path) -> None:
    (folder / "0.png").rename(folder / "größe.png")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [*PROGRAM, "predict", str(model), str(folder), "--json"]
    done = subprocess.run(command, capture_output=True, env=environment, check=True)
    assert json.loads(done.stdout.decode("ascii").splitlines()[-1])["image"] == str(folder / "größe.png")
