"""Where folds run: here one after the other, or wherever another executor takes them (`mstl_edge.cluster`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mstl_edge.schemas.study_plan import Scheme


@dataclass(frozen=True)
class FoldTask:
    """One arm in one fold. All a worker needs beside the study's folder, so that it can travel to another machine.

    Attributes:
        study: The study's folder, where this task runs.
        arm: Name of the arm.
        repeat: From 1.
        fold: From 1.
        images: Size of the training subset; 0 for the whole training part.
        schemes: What to answer in; an answer that is on disk already is kept.
        threads: CPU threads.
    """

    study: Path
    arm: str
    repeat: int
    fold: int
    images: int
    schemes: tuple[Scheme, ...]
    threads: int

    @property
    def title(self) -> str:
        """What a line about it calls it."""
        on = f" on {self.images} images" if self.images else ""
        return f"{self.arm}{on}, repeat {self.repeat} fold {self.fold}"


@dataclass(frozen=True)
class FoldResult:
    """A finished task; its answers are on disk.

    Attributes:
        task: What was done.
        correct: Share of right answers by scheme.
        seconds: How long it took.
        host: Where it ran; empty for here.
    """

    task: FoldTask
    correct: dict[Scheme, float]
    seconds: float
    host: str = ""


class Executor(Protocol):
    """Runs tasks in any order and on any machine; results come as they are finished."""

    @property
    def running(self) -> Mapping[str, int]:
        """How many tasks run at this moment, by host, empty for those that only start; nothing where they run here."""

    def run(self, tasks: Sequence[FoldTask]) -> Iterator[FoldResult]:
        """Run every task once.

        Args:
            tasks: Independent of each other.

        Yields:
            A result per task, after its answers are on disk.
        """


@dataclass(frozen=True)
class OneAfterTheOther:
    """Runs tasks in this process, in the order given.

    Attributes:
        work: Does one task.
    """

    work: Callable[[FoldTask], FoldResult]

    @property
    def running(self) -> Mapping[str, int]:
        """Nothing beside what runs here."""
        return {}

    def run(self, tasks: Sequence[FoldTask]) -> Iterator[FoldResult]:
        """Run every task in turn."""
        for task in tasks:
            yield self.work(task)


def seconds_left(finished: Sequence[FoldResult], waiting: Sequence[FoldTask], at_once: int = 1) -> float:
    """Return how long the waiting tasks will take, so many at once, from what finished tasks of their kind took.

    A kind is an arm with its number of schemes; a kind that never ran is taken to be average. 0 where nothing has finished.
    """
    if not finished:
        return 0.0
    by_kind: dict[tuple[str, int], list[float]] = {}
    for result in finished:
        by_kind.setdefault(_kind(result.task), []).append(result.seconds)
    average = sum(result.seconds for result in finished) / len(finished)
    means = {kind: sum(seconds) / len(seconds) for kind, seconds in by_kind.items()}
    return sum(means.get(_kind(task), average) for task in waiting) / max(at_once, 1)


def _kind(task: FoldTask) -> tuple[str, int]:
    return task.arm, len(task.schemes)
