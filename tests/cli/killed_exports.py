"""Export a run again and die at chosen moments of writing, each time in a child forked after one import of TensorFlow.

`test_killed_export.py` runs this as a program: `killed_exports.py RUN FOLDER SEED KILLS`. RUN holds an accepted export. It
is exported again once undisturbed, with a float16 file beside it, while every event of writing is counted; then once more for each
chosen event, in a copy, where it dies by SIGKILL. It prints the copies as JSON.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ai_edge_litert.interpreter  # noqa: F401 - imported once, before any fork

from mstl_edge import folders, storage
from mstl_edge.runs import RunFolder
from mstl_edge.training.exporting import export

OPTIONS = export.Int8Options(kinds=("ptq",), max_drop=100.0, min_agreement=0.0, cross_fit=0)
EVENTS = ("open", "os", "shutil", "ctypes")


def export_again(run: Path, log: Path, stop_at: int | None) -> tuple[int, int]:
    """Export in a forked child; return its exit code (minus the signal) and how many events of writing it came to."""
    child = os.fork()
    if not child:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 2)
        seen = [0]

        def at_each_event(event: str, arguments: Any) -> None:
            if event.partition(".")[0] in EVENTS:
                seen[0] += 1
                if seen[0] == stop_at:
                    os.kill(os.getpid(), signal.SIGKILL)

        @contextmanager
        def watched(path: Path) -> Iterator[Path]:
            sys.addaudithook(at_each_event)
            with folders.replacing_folder(path) as staged:
                yield staged

        export.replacing_folder = watched  # type: ignore[assignment]
        export.export_int8(RunFolder(run), OPTIONS, beside=["float16"])
        log.with_suffix(".count").write_text(str(seen[0]))
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, int(log.with_suffix(".count").read_text()) if code == 0 else 0


def main() -> None:
    """See the module's own words."""
    run, folder, seed, kills = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    os.environ.setdefault(storage.CACHE_VARIABLE, str(folder / "cache"))
    whole = folder / "whole"
    shutil.copytree(run, whole)
    code, events = export_again(whole, folder / "whole.log", None)
    jobs = []
    for stop_at in sorted(random.Random(seed).sample(range(1, events + 1), kills)):
        copy = folder / f"killed-{stop_at}"
        shutil.copytree(run, copy)
        killed, _ = export_again(copy, folder / f"{stop_at}.log", stop_at)
        jobs.append({"event": stop_at, "run": str(copy), "code": killed})
    print(json.dumps({"code": code, "events": events, "whole": str(whole), "jobs": jobs}))  # noqa: T201


if __name__ == "__main__":
    main()
