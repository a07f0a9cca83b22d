"""A run's float model, its post-training and its quantization-aware int8 file: accuracy on the run's own test split, and speed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from in_turns import REPLAY, Member

from mstl_edge.artifact import open_artifact
from mstl_edge.runs import RunFolder, read_json
from mstl_edge.runtime import load_runtime
from mstl_edge_bench.lineup import trainable_parameters
from mstl_edge_bench.scoring.accuracy import Judged, answer_images, pair, score
from mstl_edge_bench.scoring.images import test_split_of as split_for_testing

EXPORTED = ("float32", "int8-ptq", "int8-qat")
SCORES = (
    "data", "n", "value", "low", "high", "sensitivity", "specificity", "auc", "confusion", "threshold", "unreadable",
    "data_sha256",
)  # fmt: skip


def judged(path: Path) -> Judged:
    """Load an exported model."""
    artifact = open_artifact(path)
    assert artifact.card is not None
    return Judged(artifact, artifact.card, load_runtime(artifact))


def exported_file(run: RunFolder, scheme: str) -> Path | None:
    """Return a candidate of the run's export; None where there is none, or the gate kept it from being a model file."""
    rows = {row["scheme"]: row["path"] for row in read_json(run.exports / "export.json")["candidates"]}
    path = rows.get(scheme)
    return run.path / path if path and path.endswith(".tflite") else None


def needed(run: RunFolder, scheme: str) -> Path:
    """Return a candidate, or skip the test."""
    path = exported_file(run, scheme)
    if path is None:
        pytest.skip(f"{run.path.name} has no {scheme} candidate")
    return path


@pytest.mark.usefixtures("real_cpu")
@pytest.mark.benchmark(group="exported", disable_gc=True, timer=REPLAY)
@pytest.mark.parametrize("exported", EXPORTED)
def test_latency_of_what_was_exported(
    benchmark: Any, in_turns: Callable[..., None], trained_run: RunFolder, exported: str, threads: int
) -> None:
    """All candidates, with every number of threads, are timed in turns."""
    needed(trained_run, exported)
    benchmark.extra_info.update(scheme=exported)

    def member(test: dict[str, Any]) -> Member | None:
        path = exported_file(trained_run, test["exported"])
        return Member(path, test["threads"]) if path else None

    in_turns(member)


@pytest.mark.benchmark(group="accuracy")
@pytest.mark.parametrize("exported", EXPORTED)
def test_accuracy(benchmark: Any, trained_run: RunFolder, exported: str) -> None:
    """The time is that of answering the whole test split."""
    models = [judged(needed(trained_run, name)) for name in (exported, "float32")]
    data = split_for_testing(trained_run)
    scored = benchmark.pedantic(answer_images, args=(models[:1], data), rounds=1)
    found = msgspec.to_builtins(score(scored.answers[0], data, scored))
    paired = pair(*answer_images(models, data).answers)
    assert paired is not None
    artifact = models[0].artifact
    benchmark.extra_info.update(
        run=models[0].card.name,
        scheme=exported,
        accuracy={key: found[key] for key in SCORES},
        against_float=msgspec.to_builtins(paired),
        parameters=artifact.facts.parameters,
        trainable_parameters=trainable_parameters(artifact),
        size_bytes=len(artifact.flatbuffer),
    )
