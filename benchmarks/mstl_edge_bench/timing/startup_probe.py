"""A process of its own that loads one model and answers once: `python -m mstl_edge_bench.timing.startup_probe MODEL KIND THREADS`.

Prints one JSON object; see `startup.py`.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from mstl_edge.runtime import RuntimeKind
from mstl_edge_bench.machine.clock import MONOTONIC, NS_PER_MS, Clock
from mstl_edge_bench.machine.host import resident_bytes

WARMUP_MS = 100.0


def probe(model: Path, kind: RuntimeKind, threads: int, clock: Clock = MONOTONIC) -> dict[str, float]:
    """Load, allocate and invoke step by step.

    Returns:
        `load_ms`, `allocate_ms`, `first_inference_ms`, the growth of resident memory at each as `…_rss_bytes`, what the imports
        took before (`imported_rss_bytes`), and the peak of the process (`peak_rss_bytes`); after these, `median_ms` of a block of
        warm inferences, since processes differ by more than the blocks of one.
    """
    from mstl_edge.artifact import open_artifact
    from mstl_edge.runtime.interpreter import MODULES

    module = importlib.import_module(MODULES[kind])
    options: dict[str, Any] = {"num_threads": threads}
    if kind == "reference":
        options["experimental_op_resolver_type"] = module.OpResolverType.BUILTIN_REF
    moments = [clock()]
    memory = [resident_bytes()[0]]
    interpreter = module.Interpreter(model_content=open_artifact(model).flatbuffer, **options)
    _mark(moments, memory, clock)
    interpreter.allocate_tensors()
    _mark(moments, memory, clock)
    interpreter.invoke()
    _mark(moments, memory, clock)
    found: dict[str, float] = {"imported_rss_bytes": memory[0], "peak_rss_bytes": resident_bytes()[1]}
    for step, name in enumerate(("load", "allocate", "first_inference")):
        found[f"{name}_ms"] = (moments[step + 1] - moments[step]) / NS_PER_MS
        found[f"{name}_rss_bytes"] = memory[step + 1] - memory[step]
    return {**found, "median_ms": _median_ms(interpreter, clock)}


def _median_ms(interpreter: Any, clock: Clock) -> float:
    """Return the median of a block of warm inferences; imported late, so that memory is read before anything more is loaded."""
    from statistics import median

    from mstl_edge_bench.timing import latency

    subject = latency.Subject(interpreter.invoke, latency.nothing, latency.nothing)
    (repeats,) = latency.warm_up([subject], latency.protocol(warmup_ms=WARMUP_MS), clock)
    return median(latency.time_block(interpreter.invoke, repeats, clock)) / NS_PER_MS


def _mark(moments: list[int], memory: list[int], clock: Clock) -> None:
    moments.append(clock())
    memory.append(resident_bytes()[0])


if __name__ == "__main__":
    sys.stdout.write(json.dumps(probe(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))) + "\n")  # type: ignore[arg-type]
