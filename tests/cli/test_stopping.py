"""Ctrl-C and SIGTERM end the program with 130 wherever they meet it, and leave nothing half made."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

STOPPED_AT_AN_IMPORT = """
import os, sys

left, number = int(sys.argv[1]), int(sys.argv[2])

def count(event, arguments):
    global left
    if event == "import":
        left -= 1
        if left == 0:
            os.kill(os.getpid(), number)

sys.addaudithook(count)
from mstl_edge_cli.__main__ import main
sys.argv = ["mstl-edge", *sys.argv[3:]]
main()
"""
"""Runs the program and sends it a signal when it has asked for so many imports."""


def stopped_at(count: int, number: int, arguments: list[object], folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", STOPPED_AT_AN_IMPORT, str(count), str(int(number)), *map(str, arguments)]
    # A background job of a shell inherits an ignored SIGINT.
    return subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("count", random.Random(7).sample(range(20, 160), 3))
def test_a_signal_while_the_command_is_found_ends_it_with_130(count, number, tmp_path):
    done = stopped_at(count, number, ["recipes", "list"], tmp_path)
    assert done.returncode == 130, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert done.stderr.strip() == "mstl-edge: stopped"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "number"),
    zip(random.Random(11).sample(range(400, 3000), 4), (signal.SIGINT, signal.SIGTERM) * 2, strict=True),
)
def test_a_signal_while_tensorflow_loads_ends_it_with_130_and_leaves_nothing(count, number, tiny_recipe_file, tmp_path):
    done = stopped_at(count, number, ["train", tiny_recipe_file, "--out", "run"], tmp_path)
    assert done.returncode == 130, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert "stopped" in done.stderr
    assert not (tmp_path / "run").exists()


LOST = """
import os, signal
from mstl_edge_cli.stopping import ended_by_signals

class Loses:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(9):
            pass

with ended_by_signals():
    Loses()
    while True:
        signal.pause()
"""

TURNED = """
import os, signal
from mstl_edge_cli.stopping import ended_by_signals

with ended_by_signals():
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt as error:
        {instead}
"""


@pytest.mark.parametrize(
    "program",
    [
        LOST,
        *(
            TURNED.format(instead=i)
            for i in ("raise ImportError('no module') from error", "pass", "raise SystemExit(1)")
        ),
    ],
    ids=["lost by a callback", "turned into another error", "swallowed", "turned into another exit"],
)
def test_an_interruption_that_something_on_its_way_has_lost_still_ends_the_program_with_130(program):
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert done.returncode == 130, done.stderr
    assert done.stderr == "mstl-edge: stopped\n"


def test_a_signal_that_is_sent_twice_at_once_still_says_how_to_go_on():
    program = """
import os, signal
from mstl_edge_cli.stopping import ended_by_signals

with ended_by_signals():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except KeyboardInterrupt:
        os.kill(os.getpid(), signal.SIGTERM)
        print("how to go on", flush=True)
        raise
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 130
    assert done.stdout == "how to go on\n"


def test_an_interruption_in_any_command_is_one_line(mstl_edge, monkeypatch):
    from mstl_edge import runs

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "list_runs", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores it
    ended = mstl_edge("runs", "list")
    assert ended.exit_code == 130
    assert ended.stderr == "mstl-edge: stopped\n"
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler


def test_a_signal_that_the_caller_ignores_stays_ignored(tmp_path):
    program = STOPPED_AT_AN_IMPORT.replace(
        "import os, sys", "import os, signal, sys\nsignal.signal(2, signal.SIG_IGN)", 1
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "300", "2", "recipes", "list"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_run_that_is_stopped_while_its_data_is_dealt_leaves_no_folder(
    mstl_edge, tiny_recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from mstl_edge.training import stage_data

    deal: Callable[..., object] = stage_data.split_source

    def interrupted_at_the_second(source, *arguments, **keys):
        if source.folder.name == "target":
            raise KeyboardInterrupt
        return deal(source, *arguments, **keys)

    monkeypatch.setattr(stage_data, "split_source", interrupted_at_the_second)
    ended = mstl_edge("train", tiny_recipe_file, "--out", "run")
    assert ended.exit_code == 130
    assert ended.stderr.splitlines()[-1] == "mstl-edge: stopped"
    assert not (tmp_path / "run").exists()
