"""Milliseconds of one inference at batch 1: every width, input size, scheme and number of threads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from in_turns import REPLAY, Member

from mstl_edge.errors import MissingExtraError
from mstl_edge.runtime import choose_runtime

pytestmark = pytest.mark.usefixtures("real_cpu")


@pytest.mark.benchmark(group="latency", disable_gc=True, timer=REPLAY)
def test_latency(
    benchmark: Any, in_turns: Callable[..., None], model_file: Callable[[float, int, str], Path],
    alpha: float, size: int, scheme: str, threads: int,
) -> None:  # fmt: skip
    """Schemes and numbers of threads of one width and input size are timed in turns."""
    benchmark.extra_info.update(alpha=alpha, size=size, scheme=scheme)
    in_turns(lambda test: Member(model_file(alpha, size, test["scheme"]), test["threads"]), "alpha", "size")


@pytest.mark.benchmark(group="runtimes", disable_gc=True, timer=REPLAY)
def test_runtimes_side_by_side(
    benchmark: Any, in_turns: Callable[..., None], model_file: Callable[[float, int, str], Path], kind: str, scheme: str
) -> None:
    """MobileNet 1.0/224 on one thread in every runtime that this environment can hold."""
    if not holds(kind):
        pytest.skip(f"{kind} is not installed")
    benchmark.extra_info.update(alpha=1.0, size=224, scheme=scheme)
    in_turns(
        lambda test: Member(model_file(1.0, 224, test["scheme"]), 1, test["kind"]) if holds(test["kind"]) else None
    )


def holds(kind: Any) -> bool:
    """Say whether this environment holds a runtime."""
    try:
        choose_runtime(kind)
    except MissingExtraError:
        return False
    return True
