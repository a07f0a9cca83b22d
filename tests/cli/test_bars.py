"""Progress bars on a terminal: what they are about, how long they took, and no foreign line in them."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from itertools import count

import pytest
from rich.console import Console

from mstl_edge_cli import bar
from mstl_edge_cli.resuming import resumable

TITLE = "features, hemorrhages, train with views 1–6, validation, test"
NOTE = "epoch 10/10 loss 0.123 accuracy 0.912 validation 0.301 0.901"


def drawn(steps: int, total: int | None, *, seconds: float = 2.0) -> str:
    """Return how a bar of 80 columns looks in the end, every look at the clock being some seconds later."""
    clock = count()
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None, legacy_windows=False)
    console.get_time = lambda: seconds * next(clock)  # type: ignore[method-assign]
    with bar.bar_of(console, TITLE, total) as advance:
        for _ in range(steps):
            advance(1, NOTE)
    return re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue())  # type: ignore[attr-defined]


@pytest.mark.parametrize(("steps", "total"), [(20, 20), (7, 20), (7, None)])
def test_a_finished_bar_says_what_it_was_about_and_the_time_it_took(steps: int, total: int | None) -> None:
    lines = [line for line in re.split(r"[\r\n]+", drawn(steps, total)) if line.strip()]
    last = next(line for line in reversed(lines) if "features" in line)
    shown = lines[len(lines) - 1 - lines[::-1].index(last) : -1]
    assert " ".join(re.sub(r"━.*", "", line).strip() for line in shown) == TITLE
    assert re.search(rf" {steps}/{steps} took \d+ (s|min \d+ s)", last)
    assert lines[-1].strip() == NOTE
    assert max(map(len, lines)) <= 80


PROGRAM = """
import os, sys
from mstl_edge_cli.console import say
from mstl_edge_cli.terminal import Terminal
from mstl_edge_cli.streams import narration_on_stderr
with narration_on_stderr():
    try:
        with Terminal().bar("work", 3) as advance:
            os.write(2, b"INFO: a foreign line" + os.linesep.encode())
            say("our narration " + "goes on and on " * 8)
            advance(1)
            if sys.argv[1:]:
                raise ValueError
            advance(2)
    except ValueError:
        say("failed")
"""


def on_a_terminal(*arguments: str) -> list[str]:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    with subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], stderr=theirs, env=environment) as program:
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
    text = re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    return [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]


def test_a_line_of_a_library_does_not_break_a_bar_and_ours_stands_above_it() -> None:
    lines = on_a_terminal()
    assert not any("foreign" in line for line in lines)
    narrated = [line for line in lines if "on and on" in line]
    assert len(narrated) == 2
    assert max(map(len, narrated)) <= 80
    assert "3/3 took" in lines[-1]


def test_what_a_library_said_is_shown_where_the_work_fails() -> None:
    assert on_a_terminal("fail")[-2:] == ["INFO: a foreign line", "failed"]


@pytest.mark.parametrize("command", ["run", "train", "study"])
def test_ctrl_c_names_the_command_that_goes_on(command: str, tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    import typer

    with pytest.raises(typer.Exit) as ended, resumable(command, tmp_path / "my run"):
        raise KeyboardInterrupt
    assert ended.value.exit_code == 130
    assert capsys.readouterr().err == f"stopped; go on with: mstl-edge {command} --resume '{tmp_path / 'my run'}'\n"
