"""One of several processes that share a study's tasks without talking to each other: an element of an array of jobs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mstl_edge.errors import RunError, typed
from mstl_edge.study.executor import FoldTask

_SHARE = re.compile(r"(\d{1,6})/(\d{1,6})")


@dataclass(frozen=True)
class Share:
    """Element `number` (from 1) of `of`."""

    number: int
    of: int

    def tasks(self, tasks: Sequence[FoldTask]) -> list[FoldTask]:
        """Return this element's part of a study's tasks, the same whatever is finished.

        Tasks of one arm stay together, since they share features; no part is larger than another by more than one task.
        """
        by_arm = sorted(tasks, key=lambda task: task.arm)  # stable: the folds of an arm keep their order
        start, end = (len(by_arm) * edge // self.of for edge in (self.number - 1, self.number))
        return by_arm[start:end]


def parse_share(text: str) -> Share:
    """Read `I/N`.

    Raises:
        RunError: It is something else, or I is not among 1 … N.
    """
    found = _SHARE.fullmatch(text.strip())
    number, of = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= of:
        raise RunError(
            "--task I/N, the I-th of N processes, from 1/N to N/N",
            received=text,
            hint=f"For example {typed('mstl-edge', 'study', '--resume', 'STUDY', '--task', '1/4')}",
        )
    return Share(number, of)
