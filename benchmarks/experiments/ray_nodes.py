"""Machines of a Ray cluster as real processes on this one, each with a cache of its own; and killing their workers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def nodes(folder: Path, count: int = 2) -> Iterator[Any]:
    """Start a head without CPUs and nodes with one each; yield the cluster, whose `address` is to be named."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for number in range(count):
            cluster.add_node(num_cpus=1, env_vars={"MSTL_EDGE_CACHE": str(folder / f"cache-{number}")})
        cluster.wait_for_nodes()
        yield cluster
    finally:
        cluster.shutdown()


def ray_processes(of: str = "") -> list[int]:
    """Return all of Ray's own processes on this machine, of whatever cluster, or those that do a task of that name."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if (entry / "cmdline").read_bytes().startswith(f"ray::{of}".encode()):
                found.append(int(entry.name))
    return sorted(found)


def workers() -> list[int]:
    """Return the processes that train a fold at this moment, of clusters that this process started alone."""
    return [process for process in ray_processes("_fold") if _is_ours(process)]


def _is_ours(process: int) -> bool:
    """Whether it descends from this process: others may have a cluster on the same machine."""
    with suppress(OSError):  # gone meanwhile
        while process > 1:
            if process == os.getpid():
                return True
            # "PID (NAME) STATE PARENT ...", and a name may hold blanks and brackets.
            process = int((Path("/proc") / str(process) / "stat").read_text().rpartition(")")[2].split()[1])
    return False


def kill(process: int) -> None:
    """Kill a worker as the system does when memory is short."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
