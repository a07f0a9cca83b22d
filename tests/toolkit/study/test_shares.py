from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mstl_edge.errors import RunError
from mstl_edge.study.executor import FoldTask
from mstl_edge.study.shares import Share, parse_share


def tasks(arms, folds):
    return [FoldTask(Path("study"), arm, 1, fold, 0, ("float32",), 1) for fold in range(folds) for arm in arms]


@given(st.integers(1, 5), st.integers(1, 12), st.integers(1, 40))
def test_parts_hold_every_task_once_and_differ_by_one_at_most(arms, folds, of):
    whole = tasks([f"arm{number}" for number in range(arms)], folds)
    parts = [Share(number, of).tasks(whole) for number in range(1, of + 1)]
    assert sorted((task.arm, task.fold) for part in parts for task in part) == sorted((t.arm, t.fold) for t in whole)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_an_arm_is_spread_over_as_few_parts_as_can_be():
    parts = [Share(number, 4).tasks(tasks(["a", "b"], 10)) for number in (1, 2, 3, 4)]
    assert [{task.arm for task in part} for part in parts] == [{"a"}, {"a"}, {"b"}, {"b"}]


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "1/", "/4", "a/b", "1/0", "-1/4", "1/4/2", ""])
def test_what_names_no_part_is_one_line(text):
    with pytest.raises(RunError, match=r"--task I/N, the I-th of N processes.*Received"):
        parse_share(text)


def test_a_part_is_read():
    assert parse_share(" 3/8 ") == Share(3, 8)
