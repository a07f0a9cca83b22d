"""How long whole commands take."""

from __future__ import annotations

from rendered.markdown import read, table


def whole_run() -> str:
    """Return how long whole commands take, and each stage of them."""
    rows = [
        [
            f"`mstl-edge {timed['command']} {entry['recipe']}`",
            f"{timed['seconds']:.0f}",
            ", ".join(f"{name} {stage['seconds']:.0f}" for name, stage in timed["stages"].items()),
            str(timed["exit_code"]),
        ]
        for entry in read("whole-run.json")["recipes"]
        for timed in entry["commands"]
    ]
    return table(["an empty cache", "s", "stages of it, s", "exit code"], rows)


TABLES = {"whole-run": whole_run}
