"""What a fresh process pays for a model: load time, first inference, and memory at each step."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from mstl_edge.errors import MstlEdgeError
from mstl_edge.runtime import RuntimeKind
from mstl_edge.schemas.bench import Startup

PROCESSES = 3

Probe = Callable[[Path, RuntimeKind, int], dict[str, float]]


def run_probe(model: Path, kind: RuntimeKind, threads: int) -> dict[str, float]:
    """Run `startup_probe` in a process of its own and return what it found.

    Raises:
        MstlEdgeError: The process failed, for example for lack of memory.
    """
    # -P keeps a file of the current folder that is named like a library from being imported.
    command = [sys.executable, "-P", "-m", "mstl_edge_bench.timing.startup_probe", str(model), kind, str(threads)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        last = finished.stderr.strip().splitlines()[-1:] or [f"exit code {finished.returncode}"]
        raise MstlEdgeError(f"a fresh process that loads {model.name}", received=last[0])
    found: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])
    return found


def measure_startup(
    model: Path, kind: RuntimeKind, threads: int, *, processes: int = PROCESSES, probe: Probe = run_probe
) -> Startup:
    """Return the medians over some fresh processes.

    Raises:
        MstlEdgeError: See `run_probe`.
    """
    found = [probe(model, kind, threads) for _ in range(processes)]

    def middle(key: str) -> float:
        return statistics.median(entry[key] for entry in found)

    return Startup(
        processes=processes,
        load_ms=middle("load_ms"),
        allocate_ms=middle("allocate_ms"),
        first_inference_ms=middle("first_inference_ms"),
        imported_rss_bytes=int(middle("imported_rss_bytes")),
        load_rss_bytes=int(middle("load_rss_bytes")),
        allocate_rss_bytes=int(middle("allocate_rss_bytes")),
        first_inference_rss_bytes=int(middle("first_inference_rss_bytes")),
        peak_rss_bytes=int(middle("peak_rss_bytes")),
        process_medians_ms=tuple(entry["median_ms"] for entry in found),
    )
