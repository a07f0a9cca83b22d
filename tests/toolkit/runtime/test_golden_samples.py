from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mstl_edge.artifact import inspect_flatbuffer, open_artifact, read_artifact
from mstl_edge.artifact.tflite_graph import parse_graph
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
    kernel = _kernels(artifact.flatbuffer)[-1]
    place, item_bytes = artifact.flatbuffer.index(kernel.tobytes()), kernel.itemsize
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


def _kernels(flatbuffer: bytes) -> list[np.ndarray]:
    graph = parse_graph(flatbuffer)
    names = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    found = [graph.tensors[operator.inputs[1]].constant for operator in graph.operators if operator.name in names]
    return [kernel for kernel in found if kernel is not None]


@pytest.fixture
def decided(models: Path) -> bytes:
    """Return the tiny int8 model with logits 16 times as large, as training makes them: its own answers all lie near 0.5.

    Scales alone are changed, of the head's kernel, bias and output, so that no integer of it is.
    """
    flatbuffer = (models / "tiny_int8.tflite").read_bytes()
    graph = parse_graph(flatbuffer)
    (head,) = (operator for operator in graph.operators if operator.name == "FULLY_CONNECTED")
    for number in (*head.inputs[1:], *head.outputs):
        scales = graph.tensors[number].scales
        assert flatbuffer.count(scales.tobytes()) == 1
        flatbuffer = flatbuffer.replace(scales.tobytes(), (scales * np.float32(16)).tobytes())
    return flatbuffer


def test_a_quarter_of_the_bytes_changed_in_the_middle_of_a_network_fail_the_first_sample(decided: bytes) -> None:
    artifact = dataclasses.replace(read_artifact(decided), golden=tuple(record_golden(decided)))
    draw = np.random.default_rng(7)
    noticed = 0
    for _ in range(120):
        kernel = _kernels(decided)[draw.integers(3)]  # all but the head
        changed = bytearray(decided)
        changed[decided.index(kernel.tobytes()) + draw.integers(kernel.nbytes)] ^= draw.integers(1, 256)
        try:
            replay_golden(InterpreterRuntime(bytes(changed), "litert"), artifact, count=1)
        except ArtifactError as error:
            noticed += "golden images" in str(error)
    assert noticed >= 30


def test_samples_lie_in_the_middle_of_the_range_and_the_one_nearest_to_a_half_is_last(decided: bytes) -> None:
    shares = [(sample.answers["litert"][0] + 128) / 256 for sample in record_golden(decided)]
    assert all(0.25 < share < 0.75 for share in shares)
    assert len(set(shares)) == 3
    assert min(shares, key=lambda share: abs(share - 0.5)) == shares[2]


class _Shifted:
    """Answers as a runtime does, some steps off."""

    def __init__(self, runtime: InterpreterRuntime, steps: int) -> None:
        self.kind, self.name, self.input, self.output = runtime.kind, runtime.name, runtime.input, runtime.output
        self._runtime, self._steps = runtime, steps

    def invoke(self, batch: np.ndarray) -> np.ndarray:
        return self._runtime.invoke(batch) + np.int8([self._steps, -self._steps])


def test_a_runtime_is_held_to_its_own_answer_and_not_to_the_reference_kernels(exported: Callable[[str], Path]) -> None:
    artifact = open_artifact(exported("tiny_int8"))
    runtime = load_runtime(artifact)
    # As if the reference kernels had answered 4 steps below; a runtime 2 steps above its own answer is within 6 of theirs.
    answer = np.array(artifact.golden[0].answers["litert"])
    apart = dataclasses.replace(
        artifact.golden[0], outputs=tuple(answer - 4.0), tolerance_lsb={"litert": 6.0, "reference": 0.0}
    )
    ours = dataclasses.replace(artifact, golden=(apart,))
    assert replay_golden(runtime, ours) == 0
    with pytest.raises(ArtifactError, match=r"within 1\.00 LSB .* Received: 2\.00 LSB"):
        replay_golden(_Shifted(runtime, 2), ours)  # type: ignore[arg-type]
    # A file from before answers were kept.
    older = dataclasses.replace(artifact, golden=(dataclasses.replace(apart, answers={}),))
    assert replay_golden(_Shifted(runtime, 2), older) == 6  # type: ignore[arg-type]


def test_answers_travel_in_the_file(exported: Callable[[str], Path], models: Path) -> None:
    flatbuffer = (models / "tiny_int8.tflite").read_bytes()
    assert [sample.answers for sample in open_artifact(exported("tiny_int8")).golden] == [
        {"litert": sample.answers["litert"]} for sample in record_golden(flatbuffer)
    ]


def test_an_answer_that_is_no_number_is_refused(exported: Callable[[str], Path]) -> None:
    artifact = open_artifact(exported("tiny_float32"))
    runtime = load_runtime(artifact)
    runtime.invoke = lambda batch: np.full((1, 2), np.nan, np.float32)  # type: ignore[method-assign]
    with pytest.raises(ArtifactError, match="golden"):
        replay_golden(runtime, artifact)


def test_a_model_without_samples_says_that_nothing_was_checked(models: Path) -> None:
    artifact = read_artifact((models / "tiny_int8.tflite").read_bytes())
    assert replay_golden(load_runtime(artifact), artifact) is None
