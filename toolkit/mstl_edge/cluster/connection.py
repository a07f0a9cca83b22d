"""A connection to Ray: what of it is used here, and nothing else of the project knows its names."""

from __future__ import annotations

import logging
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from mstl_edge.cluster.places import Place
from mstl_edge.cluster.wheel import PROJECT, write_wheel
from mstl_edge.cluster.work import Failed
from mstl_edge.counted import counted
from mstl_edge.errors import MissingExtraError, RunError
from mstl_edge.installing import install_extra
from mstl_edge.progress import Reporter

POLL_S = 1.0
REACHED_WITHIN_S = 5.0
PROBE_S = 120.0
_DECIDING = (PROJECT, "tensorflow", "tf-keras", "tensorflow-model-optimization", "ai-edge-litert", "numpy")
"""Packages whose versions decide what a task answers."""


def pinned(threads: int) -> dict[str, str]:
    """Return the environment in which a worker takes so many threads and no more, whoever asks: equal bytes need equal counts."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    return {**dict.fromkeys(names, str(threads)), "TF_NUM_INTEROP_THREADS": "1", "CUDA_VISIBLE_DEVICES": "-1"}


@contextmanager
def connected(place: Place, threads: int, reporter: Reporter) -> Iterator[Connection]:
    """Connect to a cluster, or start workers here, for as long as the block lasts.

    Args:
        place: Which.
        threads: CPU threads of each task.
        reporter: Told what was found.

    Raises:
        MissingExtraError: Ray is not installed.
        RunError: No cluster answers there.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves the lab
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    check_reachable(place)  # Ray itself would go on trying for minutes
    connection = Connection(_imported(), place, threads)
    connection.open({"env_vars": pinned(threads)})
    try:
        with tempfile.TemporaryDirectory(prefix="mstl-edge-wheel-") as folder:
            connection.equip(Path(folder), reporter)
            yield connection
    finally:
        connection.ray.shutdown()


def check_reachable(place: Place) -> None:
    """Look whether a cluster answers, before anything is trained for it.

    Raises:
        MissingExtraError: Ray is not installed.
        RunError: Nothing answers at that address.
    """
    _imported()
    host, _, port = place.address.removeprefix("ray://").rpartition(":")
    if not host:
        return
    try:
        socket.create_connection((host, int(port)), timeout=REACHED_WITHIN_S).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(place, error) from error


def _unreachable(place: Place, error: Exception) -> RunError:
    return RunError(
        f"a Ray cluster at {place.address or 'this machine'}",
        received=str(error).splitlines()[0][:200] if str(error) else type(error).__name__,
        hint="Start one with 'ray start --head'; where it asks for a token, set RAY_AUTH_MODE=token and have its token; "
        "or take workers on this machine: --cluster local:2",
    )


def _imported() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError(
            f"Ray to study on a cluster ({error.name or error})", hint=f"Install it with: {install_extra('cluster')}"
        ) from error
    return ray


@dataclass
class Connection:
    """Ray, and how tasks are handed to it.

    Attributes:
        ray: The module.
        place: Which cluster.
        threads: CPU threads of each task.
    """

    ray: Any
    place: Place
    threads: int

    def open(self, environment: Mapping[str, Any]) -> None:
        """Connect, or start workers here; every worker gets an environment of Ray's kind.

        Raises:
            RunError: No cluster answers there.
        """
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        shared = {"log_to_driver": False, "logging_level": logging.ERROR, "runtime_env": dict(environment)}
        try:
            if self.place.workers:
                count = self.place.workers * self.threads
                self.ray.init(address="local", num_cpus=count, include_dashboard=False, **shared)
            else:
                self.ray.init(address=self.place.address, **shared)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError, OSError) as error:
            raise _unreachable(self.place, error) from error
        finally:
            for number, handler in before.items():  # Ray puts its own in place
                with suppress(ValueError):  # not the main thread
                    signal.signal(number, handler)

    @property
    def one_cache(self) -> bool:
        """Whether all workers share one cache: those that were started here do."""
        return bool(self.place.workers)

    def equip(self, folder: Path, reporter: Reporter) -> None:
        """See what the machines have, and bring the project along where any of them lacks it.

        Args:
            folder: Where the project's wheel may lie for as long as the connection lasts.
            reporter: Told of it.
        """
        nodes = [node for node in self.ray.nodes() if node["Alive"]]
        hosts = ", ".join(sorted({str(node["NodeManagerHostname"]) for node in nodes}))
        reporter.say(
            f"cluster: {counted(len(nodes), 'machine')} ({hosts}), {counted(self.slots(), 'task')} at once, "
            f"{counted(self.threads, 'thread')} each"
        )
        if self.place.workers:
            return
        own = _version_reader()(_DECIDING)
        lacking = [node for node, found in self._probed(nodes).items() if found != own]
        if lacking:
            told = f"without {PROJECT} {own[PROJECT]} or its packages as they are here; they are installed there"
            reporter.say(f"cluster: {', '.join(sorted(lacking))} {told}")
            # For the whole connection: a head that is spoken to from afar unpacks what is sent, and has to know it too.
            self.ray.shutdown()
            packed = {"py_modules": [str(write_wheel(folder))], "pip": _requirements(own)}
            self.open({"env_vars": pinned(self.threads), **packed})

    def _probed(self, nodes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return by machine the versions that it has; a function of its own code is asked, since the project may not be there."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        asked = {
            self.ray.remote(num_cpus=0, max_retries=0)(_version_reader())
            .options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False))
            .remote(_DECIDING): str(node["NodeManagerHostname"])
            for node in nodes
        }
        ready, _ = self.ray.wait(list(asked), num_returns=len(asked), timeout=PROBE_S)
        return {asked[reference]: self.ray.get(reference) for reference in ready}

    def slots(self) -> int:
        """Return how many tasks can run at once."""
        return max(1, int(self.ray.cluster_resources().get("CPU", 1) // self.threads))

    def largest_memory(self) -> int:
        """Return the memory of the machine that has most, in bytes, as Ray counts it out."""
        found = [int(node["Resources"].get("memory", 0)) for node in self.ray.nodes() if node["Alive"]]
        return max(found, default=0)

    def options(self, memory: int, retries: int, results: int = 1) -> dict[str, Any]:
        """Return how a task is handed out: what it needs, and what becomes of it when its worker dies."""
        return {"num_cpus": self.threads, "memory": memory, "max_retries": retries, "num_returns": results}

    def remote(self, function: Callable[..., Any], options: Mapping[str, Any]) -> Callable[..., Any]:
        """Return what hands a function out."""
        handed: Callable[..., Any] = self.ray.remote(**options)(function).remote
        return handed

    def wait(self, references: Sequence[Any]) -> list[Any]:
        """Return those that are finished, after a second at most."""
        finished: list[Any] = self.ray.wait(list(references), num_returns=1, timeout=POLL_S)[0]
        return finished

    def outcome(self, reference: Any) -> Any:
        """Return what a task came to; of a worker that died once too often, what Ray says of it."""
        try:
            return self.ray.get(reference)
        except self.ray.exceptions.RayError as error:
            first = str(error).strip().splitlines() or [""]
            return Failed(f"{type(error).__name__}: {first[0][:200]}", str(error), "")

    def cancel(self, reference: Any) -> None:
        """Call a task back."""
        with suppress(Exception):  # the cluster may be gone, which is as good
            self.ray.cancel(reference, force=True)

    def board(self) -> Any:
        """Return where workers say what they are at."""

        class Board:
            def __init__(self) -> None:
                self.at: dict[Any, str] = {}

            def started(self, task: Any, host: str) -> None:
                self.at[task] = host

            def shown(self, finished: Any) -> dict[Any, str]:
                self.at.pop(finished, None)
                return self.at

        return self.ray.remote(num_cpus=0)(Board).remote()

    def shown(self, board: Any, finished: Any) -> dict[Any, str]:
        """Return which tasks run where, one being finished; nothing where the board does not answer."""
        try:
            found: dict[Any, str] = self.ray.get(board.shown.remote(finished), timeout=POLL_S)
        except (self.ray.exceptions.RayError, TimeoutError):
            return {}
        return found


def _version_reader() -> Callable[[Sequence[str]], dict[str, str]]:
    """Return what looks up versions by package, empty where there is none; a function inside another travels by its code."""

    def versions(names: Sequence[str]) -> dict[str, str]:
        from importlib import metadata

        found = {}
        for name in names:
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                found[name] = ""
        return found

    return versions


def _requirements(own: Mapping[str, str]) -> list[str]:
    """Return what pip installs for a worker: what the project and its training need, those that decide answers as they are here."""
    from packaging.requirements import Requirement  # Ray brings it

    wanted = [Requirement(text) for text in metadata.requires(PROJECT) or ()]
    kept = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": "train"})]
    return [f"{one.name}=={own[one.name]}" if own.get(one.name) else f"{one.name}{one.specifier}" for one in kept]
