"""Train, stop and resume a recipe many times, each in a child forked after one import of TensorFlow.

`test_resume.py` runs this as a program: `stopped_runs.py RECIPE FOLDER SEED KILLS`. It trains once undisturbed and notes every
event at which a kill could hurt: rows and keys of the cache, renames of finished files, training steps. Then it trains again
for each chosen event, dies there by SIGKILL (or SIGINT), resumes, and prints what happened as JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ai_edge_litert.interpreter  # noqa: F401 - imported once, before any fork

from mstl_edge import storage
from mstl_edge.training import pipeline  # noqa: F401
from mstl_edge.training.convert import to_float_flatbuffer
from mstl_edge.training.fitting import features, fit
from mstl_edge_cli import app


class Events:
    """Counts what happens, and stops the process at one event."""

    def __init__(self, stop_at: int | None, signal_number: int) -> None:
        self.names: list[str] = []
        self._stop_at = stop_at
        self._signal = signal_number

    def __call__(self, name: str, last_words: Callable[[], Any] = lambda: None) -> None:
        if len(self.names) == self._stop_at:
            last_words()
            os.kill(os.getpid(), self._signal)
        self.names.append(name)


def watch(event: Events) -> None:
    """Make the library tell of every moment at which it changes something on disk, and of every step."""
    commit, rename, make_step = storage.RowStore._commit, Path.replace, fit._training_step

    def watched_commit(row_file: Any, key_file: Any, pending: list[bytes]) -> None:
        store = Path(row_file.name).parent.parent.name
        event(f"{store}: rows not flushed")
        row_file.flush()
        event(f"{store}: rows without keys")

        def write_half_a_key() -> None:
            key_file.write(b"".join(pending)[:-7])
            key_file.flush()

        event(f"{store}: half a key", write_half_a_key)
        commit(row_file, key_file, pending)

    def watched_rename(self: Path, target: Path) -> Path:
        if Path(target).parent.name == "converted":
            return rename(self, target)
        name = "/".join(Path(target).parts[-3:])
        event(f"before renaming {name}")
        renamed = rename(self, target)
        event(f"after renaming {name}")
        return renamed

    def watched_step(*arguments: Any) -> Any:
        step = make_step(*arguments)

        def counted(*batch: Any) -> Any:
            event("step")
            return step(*batch)

        return counted

    storage.RowStore._commit = staticmethod(watched_commit)  # type: ignore[assignment]
    storage.RowStore.ensure.__kwdefaults__["block"] = 5  # type: ignore[index]
    Path.replace = watched_rename  # type: ignore[method-assign, assignment]
    fit._training_step = watched_step


def share_conversions(folder: Path) -> None:
    """Convert each frozen prefix in one child and let the others read it: half the time, and no part of what is tested."""
    folder.mkdir(exist_ok=True)

    def convert(graph: Any, **options: Any) -> bytes:
        path = folder / graph.key().hex()
        if not path.exists():
            storage.write_bytes(path, to_float_flatbuffer(graph, **options))
        return path.read_bytes()

    features.to_float_flatbuffer = convert


def run_child(
    job: Path, arguments: list[str], *, stop_at: int | None = None, signal_number: int = signal.SIGKILL
) -> tuple[int, list[str]]:
    """Run the program in a forked child; return its exit code (minus the signal) and its events."""
    job.mkdir(exist_ok=True)
    child = os.fork()
    if not child:
        # A background job of a shell inherits an ignored SIGINT, and Python leaves it so.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ[storage.CACHE_VARIABLE] = str(job / "cache")
        log = os.open(job / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        share_conversions(job.parent / "converted")
        event = Events(stop_at, signal_number)
        watch(event)
        sys.argv = ["mstl-edge", "train", *arguments, "--threads", "1"]
        code = 0
        try:
            app.main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0
        (job / "events.json").write_text(json.dumps(event.names))
        sys.stderr.flush()
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    events = json.loads((job / "events.json").read_text()) if code >= 0 else []
    return code, events


def choose(events: list[str], seed: int, kills: int) -> list[int]:
    """Return events to die at, five named dangers among them; the run folder has to exist."""
    rng = random.Random(seed)
    start = next(
        i for i, name in enumerate(events) if name.startswith("after renaming") and name.endswith("recipe.toml")
    )
    possible = range(start, len(events))
    named = [
        [i for i in possible if events[i] == "features: rows not flushed"],
        [i for i in possible if events[i] == "features: half a key"],
        [i for i in possible if events[i] == "before renaming stages/bridge/checkpoint.npz"],
        [i for i in possible if events[i] == "after renaming stages/target/checkpoint.npz"],
        [i for i in possible if events[i] == "after renaming stages/bridge/metrics.json"],
    ]
    chosen = [rng.choice(candidates) for candidates in named]
    return chosen + rng.sample([i for i in possible if i not in chosen], kills - len(chosen))


def stop_and_resume(
    recipe: str, job: Path, stop_at: int, again_after: int | None, signal_number: int
) -> dict[str, Any]:
    """Stop one run, if wanted once more while it resumes, then let it end."""
    out = str(job / "run")
    codes = [run_child(job, [recipe, "--out", out], stop_at=stop_at, signal_number=signal_number)[0]]
    said = (job / "log").read_text()
    if again_after is not None:
        codes.append(run_child(job, ["--resume", out], stop_at=again_after)[0])
    codes.append(run_child(job, ["--resume", out])[0])
    return {"run": out, "codes": codes, "said": said}


def main() -> None:
    """See the module's own words."""
    recipe, folder, seed, kills = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    code, events = run_child(folder / "whole", [recipe, "--out", str(folder / "whole" / "run")])
    jobs = []
    for number, stop_at in enumerate(choose(events, seed, kills)):
        again_after = 4 if number == 0 else None
        outcome = stop_and_resume(recipe, folder / f"kill{number}", stop_at, again_after, signal.SIGKILL)
        jobs.append({"event": events[stop_at], **outcome})
    steps = [i for i, name in enumerate(events) if name == "step"]
    interrupted = stop_and_resume(recipe, folder / "interrupted", steps[-2], None, signal.SIGINT)
    print(json.dumps({"code": code, "jobs": jobs, "interrupted": interrupted}))  # noqa: T201


if __name__ == "__main__":
    main()
