"""Milliseconds of one inference at batch 1: every width, input size, scheme and number of threads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mstl_edge.artifact import draw_golden_images, open_artifact
from mstl_edge.runtime import load_runtime, to_input

ROUNDS, WARMUP = 100, 20

pytestmark = pytest.mark.usefixtures("real_cpu")


def time_invoke(benchmark: Any, path: Path, kind: str, threads: int) -> None:
    """Time the interpreter's `invoke`; setting the input is left out, as `mstl-edge bench` leaves it out."""
    artifact = open_artifact(path)
    runtime = load_runtime(artifact, runtime=kind, threads=threads)  # type: ignore[arg-type]
    runtime.invoke(to_input(draw_golden_images(runtime.input.shape[1], 1)[0][None], runtime.input))
    facts = artifact.facts
    benchmark.extra_info.update(
        runtime=runtime.name, threads=threads, parameters=facts.parameters, macs=facts.macs, size_bytes=facts.size_bytes
    )
    rounds = ROUNDS if kind != "reference" else 5
    benchmark.pedantic(runtime.interpreter.invoke, rounds=rounds, warmup_rounds=min(WARMUP, rounds))


@pytest.mark.benchmark(group="latency", disable_gc=True)
def test_latency(
    benchmark: Any, model_file: Callable[[float, int, str], Path], alpha: float, size: int, scheme: str, threads: int
) -> None:
    benchmark.extra_info.update(alpha=alpha, size=size, scheme=scheme)
    time_invoke(benchmark, model_file(alpha, size, scheme), "auto", threads)


@pytest.mark.benchmark(group="runtimes", disable_gc=True)
def test_runtimes_side_by_side(
    benchmark: Any, model_file: Callable[[float, int, str], Path], kind: str, scheme: str
) -> None:
    """MobileNet 1.0/224 on one thread in every runtime that this environment can hold."""
    from mstl_edge.errors import MissingExtraError
    from mstl_edge.runtime import choose_runtime

    try:
        choose_runtime(kind)  # type: ignore[arg-type]
    except MissingExtraError as error:
        pytest.skip(str(error))
    benchmark.extra_info.update(alpha=1.0, size=224, scheme=scheme)
    time_invoke(benchmark, model_file(1.0, 224, scheme), kind, 1)
