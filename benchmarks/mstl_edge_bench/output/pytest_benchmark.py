"""A report as pytest-benchmark's JSON, so that `pytest-benchmark compare` works on files from several devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from mstl_edge.errors import MstlEdgeError
from mstl_edge.schemas.bench import BenchReport, Host, Result, Timing

FORMAT_VERSION = "5.1.0"
"""The version of pytest-benchmark whose format this is."""


def to_pytest_benchmark(report: BenchReport) -> dict[str, Any]:
    """Return the tree of one pytest-benchmark file; times in seconds.

    Raises:
        MstlEdgeError: No times, as on an emulated CPU.
    """
    benchmarks = [
        _benchmark(row, name, timing)
        for row in report.results
        for name, timing in (
            ("inference", row.latency_ms), ("decode_resize", row.decode_resize_ms), ("end_to_end", row.end_to_end_ms)
        )
        if timing is not None
    ]  # fmt: skip
    if not benchmarks:
        raise MstlEdgeError("times for --pytest-benchmark", received=report.results[0].invalid_because)
    return {
        "machine_info": _machine(report.host),
        "commit_info": {"id": "unknown", "time": None, "author_time": None, "dirty": False, "project": "mstl-edge",
                        "branch": "unknown"},
        "benchmarks": benchmarks,
        "datetime": report.created,
        "version": FORMAT_VERSION,
    }  # fmt: skip


def _machine(host: Host) -> dict[str, Any]:
    return {
        "node": host.board,
        "processor": host.cpu,
        "machine": host.architecture,
        "python_implementation": "CPython",
        "python_implementation_version": host.python,
        "python_version": host.python,
        "python_build": ["", ""],
        "python_compiler": "",
        "release": host.kernel,
        "system": host.system,
        "cpu": {"brand_raw": host.cpu, "arch": host.architecture, "bits": host.bits, "count": host.cores,
                "flags": list(host.features)},
        "mstl_edge_host": msgspec.to_builtins(host),
    }  # fmt: skip


def _benchmark(row: Result, what: str, timing: Timing) -> dict[str, Any]:
    scheme = row.candidate or row.scheme
    parameters = {"model": row.name, "scheme": scheme, "runtime": row.runtime_kind, "threads": row.threads}
    label = f"{row.name}-{scheme}-{row.runtime_kind}-{row.threads}"
    extra = {
        "spread": timing.spread, "stable": timing.stable, "valid": row.valid,
        "invalid_because": row.invalid_because, "sha256": row.sha256, "parameters": row.parameters,
        "macs": row.macs, "size_bytes": row.size_bytes, "accuracy": row.accuracy.value if row.accuracy else None,
        "peak_rss_bytes": row.peak_rss_bytes,
    }  # fmt: skip
    return {
        "group": what,
        "name": f"{what}[{label}]",
        "fullname": f"mstl-edge bench::{what}[{label}]",
        "params": parameters,
        "param": label,
        "extra_info": extra,
        "options": {
            "disable_gc": True, "timer": "perf_counter", "min_rounds": len(timing.raw), "max_time": 0.0,
            "min_time": 0.0, "warmup": True,
        },
        "stats": _statistics(timing),
    }  # fmt: skip


def _statistics(timing: Timing) -> dict[str, Any]:
    """Return the numbers that pytest-benchmark's own `Stats` computes, in seconds."""
    data = np.asarray(timing.raw) / 1000
    q1, q3 = (float(value) for value in np.percentile(data, (25, 75)))
    fence = 1.5 * (q3 - q1)
    mean, deviation = float(data.mean()), (timing.std or 0.0) / 1000
    beyond: Callable[[float, float], int] = lambda low, high: int(((data < low) | (data > high)).sum())  # noqa: E731
    by_deviation, by_iqr = beyond(mean - deviation, mean + deviation), beyond(q1 - fence, q3 + fence)
    return {
        "min": float(data.min()), "max": float(data.max()), "mean": mean, "stddev": deviation, "rounds": len(data),
        "median": float(np.median(data)), "iqr": q3 - q1, "q1": q1, "q3": q3, "iqr_outliers": by_iqr,
        "stddev_outliers": by_deviation, "outliers": f"{by_deviation};{by_iqr}",
        "ld15iqr": float(data[data >= q1 - fence].min()), "hd15iqr": float(data[data <= q3 + fence].max()),
        "ops": 1 / mean if mean else 0.0, "total": float(data.sum()), "iterations": 1, "data": data.tolist(),
    }  # fmt: skip
