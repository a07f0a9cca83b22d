from __future__ import annotations

from pathlib import Path

from mstl_edge.study.executor import FoldResult, FoldTask, OneAfterTheOther, seconds_left


def task(arm, fold, schemes=("float32",), images=0):
    return FoldTask(Path("study"), arm, 1, fold, images, schemes, 1)


def test_tasks_run_in_order_and_only_when_they_are_asked_for():
    seen = []

    def work(given):
        seen.append(given)
        return FoldResult(given, {}, 1.0)

    tasks = [task("single", fold) for fold in (1, 2, 3)]
    results = OneAfterTheOther(work).run(tasks)
    assert next(results).task == tasks[0]
    assert seen == tasks[:1]
    assert [result.task for result in results] == tasks[1:]


def test_the_time_left_goes_by_what_arms_of_a_kind_took():
    int8 = ("float32", "int8-qat")
    finished = [
        FoldResult(task("scratch", 1), {}, 10.0),
        FoldResult(task("multi", 1, int8), {}, 100.0),
        FoldResult(task("multi", 2, int8), {}, 120.0),
    ]
    assert seconds_left(finished, [task("scratch", 2), task("multi", 3, int8)]) == 10.0 + 110.0
    assert seconds_left(finished[:1], [task("other", 1)]) == 10.0
    assert seconds_left([], [task("other", 1)]) == 0.0
    assert seconds_left(finished, []) == 0.0
