"""A run's float model, its post-training and its quantization-aware int8 file: accuracy on the run's own test split, and speed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from mstl_edge.artifact import draw_golden_images, open_artifact
from mstl_edge.runs import RunFolder, read_json
from mstl_edge.runtime import load_runtime, to_input
from mstl_edge_bench.accuracy import Judged, answer_images, pair, score
from mstl_edge_bench.images import test_split_of as split_for_testing


def judged(path: Path) -> Judged:
    """Load an exported model."""
    artifact = open_artifact(path)
    assert artifact.card is not None
    return Judged(artifact, artifact.card, load_runtime(artifact))


EXPORTED = ("float32", "int8-ptq", "int8-qat")


def exported_file(run: RunFolder, scheme: str) -> Path:
    """Return a candidate of the run's export."""
    paths = {row["scheme"]: run.path / row["path"] for row in read_json(run.exports / "export.json")["candidates"]}
    if scheme not in paths:
        pytest.skip(f"{run.path.name} has no {scheme} candidate")
    path: Path = paths[scheme]
    return path


@pytest.mark.usefixtures("real_cpu")
@pytest.mark.benchmark(group="exported", disable_gc=True)
@pytest.mark.parametrize("exported", EXPORTED)
def test_latency_of_what_was_exported(benchmark: Any, trained_run: RunFolder, exported: str, threads: int) -> None:
    artifact = open_artifact(exported_file(trained_run, exported))
    runtime = load_runtime(artifact, threads=threads)
    runtime.invoke(to_input(draw_golden_images(runtime.input.shape[1], 1)[0][None], runtime.input))
    benchmark.extra_info.update(
        scheme=exported, threads=threads, runtime=runtime.name, size_bytes=len(artifact.flatbuffer)
    )
    benchmark.pedantic(runtime.interpreter.invoke, rounds=100, warmup_rounds=20)


@pytest.mark.benchmark(group="accuracy")
@pytest.mark.parametrize("exported", EXPORTED)
def test_accuracy(benchmark: Any, trained_run: RunFolder, exported: str) -> None:
    models = [judged(exported_file(trained_run, name)) for name in (exported, "float32")]
    data = split_for_testing(trained_run)
    scored = benchmark.pedantic(answer_images, args=(models[:1], data), rounds=1)
    both = answer_images(models, data)
    found = score(scored.answers[0], data, scored)
    paired = pair(*both.answers)
    assert paired is not None
    accuracy = {key: getattr(found, key) for key in ("data", "n", "value", "low", "high", "data_sha256")}
    benchmark.extra_info.update(
        run=models[0].card.name, scheme=exported, accuracy=accuracy, against_float=msgspec.to_builtins(paired)
    )
