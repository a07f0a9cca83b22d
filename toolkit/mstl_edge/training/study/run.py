"""The story of a study: images, folds, bridges once, every arm in every fold, tables."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from mstl_edge.counted import counted
from mstl_edge.data.seen import Seen
from mstl_edge.errors import RunError
from mstl_edge.output_folder import check_unused, working_alone
from mstl_edge.progress import SILENT, Reporter
from mstl_edge.schemas.study import STUDY, Study
from mstl_edge.schemas.study_plan import StudyPlan
from mstl_edge.storage import alone_in, waiting_for_others, write_text
from mstl_edge.study.executor import Executor, FoldResult, FoldTask, OneAfterTheOther, seconds_left
from mstl_edge.study.folder import StudyFolder, create_study, with_absolute_places
from mstl_edge.study.folds import EVERYTHING, Fold
from mstl_edge.study.results.costs import Bench, bench_models
from mstl_edge.study.results.summary import summarize
from mstl_edge.study.shares import Share
from mstl_edge.training.study.images import deal_bridges, gather_images, make_bridges, train_bridges
from mstl_edge.training.study.one_fold import plan_folds, run_fold


def start_study(
    plan: StudyPlan, out: Path | None = None, *, reporter: Reporter = SILENT, seen: Mapping[str, Seen] | None = None
) -> StudyFolder:
    """Check everything that can be checked before training, and make the study's folder.

    Args:
        plan: What to compare.
        out: The folder; default `studies/RECIPE-DATE-TIME`.
        reporter: Told of progress.
        seen: Data by stage that somebody has read already.

    Raises:
        RunError: `out` already holds something.
        DataError: Arms differ in images or labels, folds or subsets cannot hold every class, or a bridge's data cannot be used.
        WeightsError: First weights are missing or belong to another network.
    """
    check_unused(out)
    manifest = gather_images(plan, reporter, (seen or {}).get(plan.target.name))
    plan = with_absolute_places(plan)
    bridges = deal_bridges(plan, manifest, reporter)
    folds = plan_folds(plan, manifest, EVERYTHING)
    plan = _with_real_subsets(plan, folds, reporter)
    for images in plan.learning_curve:
        plan_folds(plan, manifest, images)
    study = create_study(plan, manifest, folds, out)
    make_bridges(study, bridges)
    return study


def _with_real_subsets(plan: StudyPlan, folds: Sequence[Fold], reporter: Reporter) -> StudyPlan:
    """Drop points of the learning curve that no training part is larger than: the study itself measures that."""
    smallest = min(len(fold.train) + len(fold.validation) for fold in folds)
    kept = tuple(sorted({images for images in plan.learning_curve if images < smallest}))
    if dropped := sorted(set(plan.learning_curve) - set(kept)):
        told = ", ".join(map(str, dropped))
        reporter.say(
            f"learning curve: {told} left out; a training part holds {counted(smallest, 'image')}, "
            "and all of them are the last point"
        )
    return msgspec.structs.replace(plan, learning_curve=kept)


def run_study(
    study: StudyFolder,
    *,
    threads: int | None = None,
    executor: Executor | None = None,
    bench: Bench | None = None,
    reporter: Reporter = SILENT,
) -> Study:
    """Do what is left of a study; every finished fold is kept.

    Args:
        study: From `start_study` or `open_study`.
        threads: CPU threads; default all.
        executor: Where folds run; default here, one after the other.
        bench: Measures what the files of several networks cost; default nothing does.
        reporter: Told of progress.

    Returns:
        What is in `study.json`.

    Raises:
        MstlEdgeError: Images or disk do not allow it; what is finished stays.
    """
    with working_alone(study.path):
        _run_folds(study, threads or os.cpu_count() or 1, executor or OneAfterTheOther(run_fold), reporter)
        summary = summarize(study)
        STUDY.write(study.result, summary)  # before the bench, so that nothing that befalls it costs the folds
        if bench is not None:
            bench_models(study, bench)
            summary = summarize(study)
            STUDY.write(study.result, summary)
        return summary


def run_share(
    study: StudyFolder, share: Share, *, threads: int | None = None, reporter: Reporter = SILENT
) -> tuple[int, int]:
    """Do one element's part of a study that several processes share by its folder; `run_study` puts the parts together.

    Args:
        study: From `open_study`.
        share: Which part.
        threads: CPU threads; default all.
        reporter: Told of progress.

    Returns:
        How many trainings of the study are finished, and how many it has.

    Raises:
        RunError: The same part is being worked on already, or the whole study is.
        MstlEdgeError: Images or disk do not allow it; what is finished stays.
    """
    with working_alone(study.path, beside_others=True), _alone_with(study, share):
        used = threads or os.cpu_count() or 1
        with waiting_for_others(_made(study.path / "work" / "bridges")):
            train_bridges(study, used, reporter)
        tasks = plan_tasks(study, used)
        waiting = [task for task in share.tasks(tasks) if not _is_done(study, task)]
        _run(OneAfterTheOther(run_fold), waiting, reporter)
        return sum(_is_done(study, task) for task in tasks), len(tasks)


@contextmanager
def _alone_with(study: StudyFolder, share: Share) -> Iterator[None]:
    mark = _made(study.path / "work") / f"share-{share.number}-of-{share.of}"
    mark.touch()
    with alone_in(mark) as alone:
        if not alone:
            raise RunError(
                f"a part that no other process is working on (--task {share.number}/{share.of})",
                received=study.path,
                hint="Give each element of an array of jobs a number of its own.",
            )
        yield


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _run_folds(study: StudyFolder, threads: int, executor: Executor, reporter: Reporter) -> None:
    for leftover in study.path.rglob("*.partial"):  # of a process that was killed while it wrote
        leftover.unlink(missing_ok=True)
    train_bridges(study, threads, reporter)
    tasks = plan_tasks(study, threads)
    waiting = [task for task in tasks if not _is_done(study, task)]
    if len(waiting) < len(tasks):
        reporter.say(f"{len(tasks) - len(waiting)} of {len(tasks)} trainings finished earlier, kept")
    _run(executor, waiting, reporter)
    write_text(study.all_answers, _together(study, tasks))
    shutil.rmtree(study.path / "work", ignore_errors=True)


def _together(study: StudyFolder, tasks: Sequence[FoldTask]) -> str:
    """Return every fold's answers as one CSV, with the arm, scheme, repeat, fold and size of its training part in front."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head: list[str] = []
    for task in tasks:
        for scheme in task.schemes:
            path = study.answers(task.arm, scheme, task.repeat, task.fold, task.images)
            columns, *rows = csv.reader(io.StringIO(path.read_text(encoding="utf-8")))
            if not head:
                head = ["arm", "scheme", "repeat", "fold", "training_images", *columns]
                writer.writerow(head)
            place = [task.arm, scheme, task.repeat, task.fold, task.images or "all"]
            writer.writerows([*place, *row] for row in rows)
    return text.getvalue()


def plan_tasks(study: StudyFolder, threads: int) -> list[FoldTask]:
    """Return every training of a study; all arms of a fold before the next fold, subsets last and in float32 alone."""
    plan = study.plan()
    return [
        FoldTask(
            study.path.resolve(),
            arm.name,
            repeat,
            fold,
            images,
            arm.schemes if images == EVERYTHING else ("float32",),
            threads,
        )
        for images in (EVERYTHING, *sorted(plan.learning_curve, reverse=True))
        for repeat, fold in plan.places
        for arm in plan.arms
    ]


def _is_done(study: StudyFolder, task: FoldTask) -> bool:
    return all(
        study.answers(task.arm, scheme, task.repeat, task.fold, task.images).is_file() for scheme in task.schemes
    )


def _run(executor: Executor, waiting: Sequence[FoldTask], reporter: Reporter) -> None:
    left = dict.fromkeys(waiting)
    finished: list[FoldResult] = []
    with reporter.bar("trainings", len(waiting)) as advance:
        for result in executor.run(waiting):
            finished.append(result)
            del left[result.task]
            running = executor.running
            seconds = seconds_left(finished, list(left), sum(running.values()))
            advance(1, _told(result, f"{len(finished)}/{len(waiting)}", _left(seconds) + _where(running)))


def _told(result: FoldResult, done: str, left: str) -> str:
    right = ", ".join(f"{scheme} {100 * share:.1f} %" for scheme, share in result.correct.items())
    at = f" at {result.host}" if result.host else ""
    return f"{done} {result.task.title}{at}: {right}; {left}"


def _where(running: Mapping[str, int]) -> str:
    """Say how many tasks run where; nothing where they run here."""
    begun = "".join(f"; {count} running at {host}" for host, count in sorted(running.items()) if host)
    return begun + (f"; {starting} starting" if (starting := running.get("", 0)) else "")


def _left(seconds: float) -> str:
    return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"
