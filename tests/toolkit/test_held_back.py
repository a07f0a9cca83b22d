"""What libraries write to the descriptor of stderr is shown where the work fails, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mstl_edge.held_back import held_back
from mstl_edge.runtime import load_runtime


def test_what_was_written_is_gone_when_the_work_is_done(capfd: pytest.CaptureFixture[str]) -> None:
    with held_back() as kept:
        os.write(2, b"a greeting\n")
        subprocess.run([sys.executable, "-c", "import os; os.write(2, b'of a child')"], check=True)
        os.write(kept, b"ours\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "ours\nafter\n"


@pytest.mark.parametrize(("error", "shown"), [(ValueError, "why\n"), (KeyboardInterrupt, "")])
def test_what_was_written_is_shown_where_the_work_fails(
    capfd: pytest.CaptureFixture[str], error: type[BaseException], shown: str
) -> None:
    def work() -> None:
        with held_back(), held_back():
            os.write(2, b"why\n")
            raise error

    with pytest.raises(error):
        work()
    assert capfd.readouterr().err == shown


def test_a_closed_stderr_takes_nothing_and_stops_nothing() -> None:
    program = "import os; from mstl_edge.held_back import held_back\nwith held_back(): os.write(2, b'x')\nprint('done')"
    command = ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", program]
    assert subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout == "done\n"


def test_making_an_interpreter_says_nothing(models, capfd: pytest.CaptureFixture[str]) -> None:
    load_runtime(models / "tiny_float32.tflite", runtime="litert")
    assert capfd.readouterr().err == ""
