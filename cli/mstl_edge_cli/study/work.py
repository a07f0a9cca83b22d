"""Where the trainings of a study are done: here, on a cluster, or one part of them; and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mstl_edge.errors import RunError, typed
from mstl_edge_cli import options
from mstl_edge_cli.console import print_json, say
from mstl_edge_cli.resuming import resumable
from mstl_edge_cli.terminal import Terminal

if TYPE_CHECKING:
    from mstl_edge.cluster import Place
    from mstl_edge.schemas.bench import BenchReport
    from mstl_edge.schemas.study import Study
    from mstl_edge.study.folder import StudyFolder
    from mstl_edge.study.shares import Share

THREADS_OF_A_TASK = 1
"""On a cluster, unless --threads says otherwise: many tasks of one thread are faster than a few of many."""


def where(
    cluster: str | None, task: str | None, resume: Path | None, threads: int | None
) -> tuple[Place | None, Share | None]:
    """Read where the work is done, and which part of it.

    Raises:
        RunError: `--task` beside what it does not go with.
        MstlEdgeError: See `parse_share`, `parse_place` and `check_reachable`.
    """
    if task is not None and (cluster is not None or resume is None):
        raise RunError(
            "--task with --resume STUDY and without --cluster: its parts share a folder that is there already",
            received=f"--task {task}" + (f" and --cluster {cluster}" if cluster else " without --resume"),
            hint="Make it first with --plan-only, or leave --task out.",
        )
    from mstl_edge.study.shares import parse_share

    if cluster is None:
        return None, None if task is None else parse_share(task)
    from mstl_edge.cluster import check_reachable, parse_place

    place = parse_place(cluster)
    check_reachable(place)
    if threads is None:
        options.limit_tensorflow(THREADS_OF_A_TASK)  # bridges are trained here, and equal bytes need equal counts
    return place, None


def tell_plan(opened: StudyFolder, *, as_json: bool) -> None:
    """Say how many trainings are planned, and what does them."""
    plan = opened.plan()
    trainings = len(plan.arms) * len(plan.places) * (1 + len(plan.learning_curve))
    if as_json:
        print_json({"study": str(opened.path), "trainings": trainings})
        return
    say(f"{trainings} trainings are planned; all of them here: {typed('mstl-edge', 'study', '--resume', opened.path)}")
    say(f"the first of four parts: {typed('mstl-edge', 'study', '--resume', opened.path, '--task', '1/4')}")


def do_share(opened: StudyFolder, share: Share, threads: int | None, *, as_json: bool) -> None:
    """Do one part of the trainings, and say how many are done."""
    from mstl_edge.training.study.run import run_share

    with resumable("study", opened.path):
        done, total = run_share(opened, share, threads=threads, reporter=Terminal())
    if as_json:
        print_json(
            {"study": str(opened.path), "task": share.number, "of": share.of, "finished": done, "trainings": total}
        )
        return
    say(f"part {share.number} of {share.of} is done; {done} of {total} trainings are finished")
    say(f"when all parts are: {typed('mstl-edge', 'study', '--resume', opened.path)}")


def finish(opened: StudyFolder, threads: int | None, place: Place | None) -> Study:
    """Do all trainings that are left, here or on a cluster, and sum the study up."""
    from mstl_edge.training.study.run import run_study

    executor = None
    if place is not None:
        from mstl_edge.cluster import OnRay

        threads = threads or THREADS_OF_A_TASK
        executor = OnRay(place, threads, Terminal())
    with resumable("study", opened.path):
        return run_study(opened, threads=threads, executor=executor, bench=_bench, reporter=Terminal())


def _bench(models: Sequence[Path]) -> BenchReport:
    """Return what the files of several networks cost here, in turns, on one thread."""
    from mstl_edge_bench.bench import BenchPlan, run_bench

    return run_bench(BenchPlan(models=tuple(models), accuracy=False), reporter=Terminal())
