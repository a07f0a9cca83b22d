"""A study's tasks on Ray: handed out as workers get free, given out anew when one dies, brought home as they finish."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import msgspec

from mstl_edge.cluster.connection import Connection, connected
from mstl_edge.cluster.crate import Content, Crate, pack
from mstl_edge.cluster.places import Place
from mstl_edge.cluster.work import Delivered, Failed, do_features, do_task
from mstl_edge.counted import counted
from mstl_edge.errors import RunError, typed
from mstl_edge.progress import SILENT, Reporter
from mstl_edge.schemas.study_plan import StudyPlan
from mstl_edge.storage import write_bytes, write_text
from mstl_edge.study.executor import FoldResult, FoldTask
from mstl_edge.study.folder import StudyFolder
from mstl_edge.study.provenance import TrainingRecord

RETRIES = 5
"""How often a task is given out anew whose worker died, was preempted or ran out of memory."""
FIRST_BYTES = 2_000_000_000
"""Memory that a task is taken to need before one of its arm was measured: TensorFlow, and a batch of features."""
ROOM = 1.25
"""Declared over measured memory."""
SMALLEST_SHARD = 16
"""Images whose features are worth a task of their own."""


@dataclass
class OnRay:
    """An executor that hands a study's tasks to a cluster.

    Attributes:
        place: Which cluster.
        threads: CPU threads of each task.
        reporter: Told where the work goes.
        retries: See `RETRIES`.
    """

    place: Place
    threads: int = 1
    reporter: Reporter = SILENT
    retries: int = RETRIES
    _where: dict[FoldTask, str] = field(default_factory=dict, init=False)

    @property
    def running(self) -> Mapping[str, int]:
        """How many tasks run at this moment, by host; empty for those handed out that have not said where they began."""
        return Counter(self._where.values())

    def run(self, tasks: Sequence[FoldTask]) -> Iterator[FoldResult]:
        """Run every task; what it leaves is in the study's folder before its result is yielded.

        Raises:
            MissingExtraError: Ray is not installed.
            RunError: No cluster answers there; or, once all others are finished, tasks failed.
        """
        if not tasks:
            return
        study = StudyFolder(tasks[0].study)
        crate, contents = pack(study)
        with connected(self.place, self.threads, self.reporter) as connection:
            handing = _Handing(self, connection, study, crate, contents)
            try:
                for result in handing.results(tasks):
                    self._where = handing.where
                    yield result
            finally:
                self._where = {}
                handing.stop()


class _Handing:
    """One connection's work on one study."""

    def __init__(
        self, executor: OnRay, connection: Connection, study: StudyFolder, crate: Crate, contents: Mapping[str, Content]
    ) -> None:
        ray = connection.ray
        self._executor, self._connection, self._study = executor, connection, study
        self._plan: StudyPlan = study.plan()
        self._needed = _measured(study)
        self._crate = ray.put(crate)
        self._contents = {key: ray.put(content) for key, content in contents.items()}
        self._board = connection.board()
        self._in_flight: dict[Any, FoldTask] = {}
        self._features: dict[str, list[tuple[Any, Any]]] = {}
        self._failed: list[tuple[FoldTask, Failed]] = []
        self._seconds: dict[tuple[str, int], list[float]] = {}
        self.where: dict[FoldTask, str] = {}
        """The tasks that are handed out at this moment, and on which machine; empty where it has not said so yet."""

    def results(self, tasks: Sequence[FoldTask]) -> Iterator[FoldResult]:
        waiting = list(tasks)
        while waiting or self._in_flight:
            self._hand_out_more(waiting)  # machines may have come
            for reference in self._connection.wait(list(self._in_flight)):
                task = self._in_flight.pop(reference)
                outcome = self._connection.outcome(reference)
                if isinstance(outcome, Failed):
                    self._note(task, outcome)
                else:
                    self._bring_home(task, outcome)
                    self._seconds.setdefault(_kind(task), []).append(outcome.seconds)
                # Before anybody hears of it, so that no worker waits for that.
                self._hand_out_more(waiting)
                if not isinstance(outcome, Failed):
                    told = self._connection.shown(self._board, task)
                    self.where = {running: told.get(running, "") for running in self._in_flight.values()}
                    yield FoldResult(task, outcome.correct, outcome.seconds, outcome.host)
        self._refuse_failures(len(tasks))

    def _hand_out_more(self, waiting: list[FoldTask]) -> None:
        """Hand out as many as can run, and no more: Ray does not keep the order of those that wait."""
        slots = self._connection.slots()
        while waiting and len(self._in_flight) < slots:
            self._hand_out(waiting.pop(self._next(waiting)), slots)

    def _next(self, waiting: Sequence[FoldTask]) -> int:
        """Return the place of the task to hand out: the longest by what its kind took, so that none is left over at the end.

        A kind that nobody knows yet comes first (Graham 1969: longest processing time).
        """
        expected = [self._seconds.get(_kind(task)) for task in waiting]
        return max(
            range(len(waiting)), key=lambda place: math.inf if (known := expected[place]) is None else fmean(known)
        )

    def stop(self) -> None:
        """Call back what is still out."""
        for reference in self._in_flight:
            self._connection.cancel(reference)

    def _hand_out(self, task: FoldTask, slots: int) -> None:
        features = self._features_of(task.arm, slots)
        options = self._connection.options(self._memory(task.arm), self._executor.retries)
        run = self._connection.remote(_fold, options)
        tokens, rows = [token for token, _ in features], [held for _, held in features]
        reference = run(self._crate, self._contents, task, rows, self._board, *tokens)
        self._in_flight[reference] = task

    def _features_of(self, arm: str, slots: int) -> list[tuple[Any, Any]]:
        """Hand out an arm's features, once; nothing where all workers have one cache, in which the first one puts them."""
        if self._connection.one_cache:
            return []
        if arm not in self._features:
            from mstl_edge.training.study.shared_features import shares_features

            shards = self._shards(slots) if shares_features(self._plan.arm(arm)) else []
            options = self._connection.options(self._memory(arm), self._executor.retries, results=2)
            run = self._connection.remote(_features, options)
            self._features[arm] = [
                tuple(run(self._crate, self._contents, arm, shard, self._executor.threads)) for shard in shards
            ]
        return self._features[arm]

    def _shards(self, slots: int) -> list[range]:
        count = len(self._study.manifest().rows)
        parts = max(1, min(slots, count // SMALLEST_SHARD))
        edges = [count * part // parts for part in range(parts + 1)]
        return [range(start, end) for start, end in pairwise(edges)]

    def _memory(self, arm: str) -> int:
        """Return what a task of an arm declares, at most what the largest machine has: else it would wait for ever."""
        return min(math.ceil(ROOM * self._needed.get(arm, FIRST_BYTES)), self._connection.largest_memory())

    def _bring_home(self, task: FoldTask, delivered: Delivered) -> None:
        for name, content in delivered.files.items():
            write_bytes(self._study.path / name, content)
        self._needed |= _measured(self._study, task)

    def _note(self, task: FoldTask, failed: Failed) -> None:
        self._failed.append((task, failed))
        write_text(_log(self._study, task), f"{task.title} at {failed.host or 'an unknown host'}\n{failed.log}\n")
        self._executor.reporter.say(f"{task.title} failed: {failed.message}")

    def _refuse_failures(self, total: int) -> None:
        if not self._failed:
            return
        task, failed = self._failed[0]
        raise RunError(
            f"all of {counted(total, 'training')} to finish; {len(self._failed)} did not",
            received=f"{task.title}: {failed.message}",
            hint=f"Its log: {_log(self._study, task)}. The others are kept; try again with "
            + typed("mstl-edge", "study", "--resume", self._study.path),
        )


def _kind(task: FoldTask) -> tuple[str, int]:
    return task.arm, task.images


def _log(study: StudyFolder, task: FoldTask) -> Path:
    return study.failure(task.arm, task.repeat, task.fold, task.images)


def _measured(study: StudyFolder, task: FoldTask | None = None) -> dict[str, int]:
    """Return the most memory that trainings of each arm took, of all that are finished or of one."""
    plan = study.plan()
    places = (
        [(arm.name, *place, 0) for arm in plan.arms for place in plan.places]
        if task is None
        else [(task.arm, task.repeat, task.fold, task.images)]
    )
    found: dict[str, int] = {}
    for arm, repeat, fold, images in places:
        path = study.training(arm, repeat, fold, images)
        if path.is_file():
            peak = msgspec.json.decode(path.read_bytes(), type=TrainingRecord).peak_bytes or 0
            found[arm] = max(found.get(arm, 0), peak)
    return {arm: peak for arm, peak in found.items() if peak}


def _fold(
    crate: Crate, contents: Mapping[str, Any], task: FoldTask, rows: Sequence[Any], board: Any, *ready: bool
) -> Any:
    """Do a task in a worker of Ray; it begins once `ready` are there, which say that its features are."""
    import socket

    import ray

    board.started.remote(task, socket.gethostname())
    fetch = [partial(ray.get, held) for held in rows]
    return do_task(crate, lambda key: ray.get(contents[key]), task, fetch)


def _features(crate: Crate, contents: Mapping[str, Any], arm: str, positions: range, threads: int) -> tuple[bool, Any]:
    import ray

    return True, do_features(crate, lambda key: ray.get(contents[key]), arm, positions, threads)
