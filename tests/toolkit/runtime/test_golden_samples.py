from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mstl_edge.artifact import inspect_flatbuffer, open_artifact, read_artifact
from mstl_edge.errors import ArtifactError
from mstl_edge.runtime import InterpreterRuntime, allowed_lsb, load_runtime, record_golden, replay_golden


@pytest.mark.parametrize("model", ["tiny_int8", "tiny_float32", "three_classes"])
@pytest.mark.parametrize("runtime", ["litert", "reference"])
def test_golden_answers_are_reproduced(exported: Callable[[str], Path], model: str, runtime: str) -> None:
    artifact = open_artifact(exported(model))
    loaded = load_runtime(artifact, runtime=runtime)  # type: ignore[arg-type]
    difference = replay_golden(loaded, artifact)
    assert difference is not None
    assert difference <= allowed_lsb(artifact.golden[0], loaded.kind)


def test_the_outputs_are_the_raw_ones_of_the_reference_kernels(models: Path) -> None:
    flatbuffer = (models / "tiny_int8.tflite").read_bytes()
    samples = record_golden(flatbuffer, count=2)
    assert len(samples) == 2
    reference = InterpreterRuntime(flatbuffer, "reference")
    for sample in samples:
        raw = reference.invoke((sample.image[None].astype(np.int16) - 128).astype(np.int8))
        assert raw[0].tolist() == list(sample.outputs)
        assert sample.tolerance_lsb.keys() == {"reference", "litert"}
        assert sample.tolerance_lsb["reference"] == 0


def test_a_runtime_that_was_not_measured_gets_more_room(models: Path) -> None:
    sample = record_golden((models / "tiny_int8.tflite").read_bytes())[0]
    assert allowed_lsb(sample, "reference") == 1
    assert allowed_lsb(sample, "tflite-runtime") == max(sample.tolerance_lsb.values()) + 3


@pytest.mark.parametrize("model", ["tiny_int8", "tiny_float32"])
def test_changed_weight_bytes_of_the_head_fail_the_replay(exported: Callable[[str], Path], model: str) -> None:
    artifact = open_artifact(exported(model))
    head = inspect_flatbuffer(artifact.flatbuffer).kernels[-1]
    assert head.operator == "FULLY_CONNECTED"
    place, item_bytes = _place_of_head(artifact.flatbuffer)
    noticed = 0
    for number in range(32):
        changed = bytearray(artifact.flatbuffer)
        changed[place + item_bytes * number + item_bytes - 1] ^= 0x40
        damaged = dataclasses.replace(artifact, flatbuffer=bytes(changed))
        try:
            replay_golden(InterpreterRuntime(damaged.flatbuffer, "litert"), damaged)
        except ArtifactError as error:
            noticed += "golden images" in str(error)
    # Some of the sixteen features are dead for every image; the hash protects those.
    assert noticed >= 16


def _place_of_head(flatbuffer: bytes) -> tuple[int, int]:
    from mstl_edge.artifact.graph import parse_graph

    graph = parse_graph(flatbuffer)
    (dense,) = (operator for operator in graph.operators if operator.name == "FULLY_CONNECTED")
    kernel = graph.tensors[dense.inputs[1]].constant
    assert kernel is not None
    return flatbuffer.index(kernel.tobytes()), kernel.itemsize


def test_an_answer_that_is_no_number_is_refused(exported: Callable[[str], Path]) -> None:
    artifact = open_artifact(exported("tiny_float32"))
    runtime = load_runtime(artifact)
    runtime.invoke = lambda batch: np.full((1, 2), np.nan, np.float32)  # type: ignore[method-assign]
    with pytest.raises(ArtifactError, match="golden"):
        replay_golden(runtime, artifact)


def test_a_model_without_samples_says_that_nothing_was_checked(models: Path) -> None:
    artifact = read_artifact((models / "tiny_int8.tflite").read_bytes())
    assert replay_golden(load_runtime(artifact), artifact) is None
