"""Instructions of one inference on emulated cores."""

from __future__ import annotations

from rendered.markdown import read, table


def instructions() -> str:
    """Return the instructions of one inference on emulated cores."""
    counts = read("instructions.json")["counts"]
    found = {(row["core"], row["runtime"], row["scheme"]): row["instructions"] / 1e6 for row in counts}
    boards = {row["core"]: row["board"] for row in counts}
    rows = [
        [f"{core.title()} ({boards[core]})", runtime, *(f"{found[core, runtime, s]:.1f}" for s in ("float32", "int8"))]
        for runtime, core in dict.fromkeys((row["runtime"], row["core"]) for row in counts)
    ]
    return table(["core", "runtime", "float32, million", "int8, million"], rows)


TABLES = {"instructions": instructions}
