from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mstl_edge.artifact import KernelFacts, inspect_flatbuffer
from mstl_edge.artifact.opcodes import operator_name
from mstl_edge.artifact.tflite_graph import TENSOR_TYPES, parse_graph

PARAMETERS = (3 * 3 * 3 * 8 + 8) + (3 * 3 * 8 + 8) + (8 * 16 + 16) + (16 * 2 + 2)
MACS = 16 * 16 * 8 * 27 + 16 * 16 * 8 * 9 + 16 * 16 * 16 * 8 + 16 * 2


@pytest.mark.parametrize("model", ["tiny_float32", "tiny_int8"])
def test_parameters_and_multiply_accumulates_are_those_counted_by_hand(models: Path, model: str) -> None:
    facts = inspect_flatbuffer((models / f"{model}.tflite").read_bytes())
    assert facts.parameters == PARAMETERS
    assert facts.macs == MACS
    assert facts.operators == {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 1, "MEAN": 1, "FULLY_CONNECTED": 1, "SOFTMAX": 1}
    assert facts.static


def test_an_int8_model_is_integer_throughout_and_says_its_scales(models: Path) -> None:
    facts = inspect_flatbuffer((models / "tiny_int8.tflite").read_bytes())
    assert facts.full_integer
    assert facts.float_operators == ()
    assert (facts.input.dtype, facts.input.scale, facts.input.zero_point) == ("int8", 1 / 128, 0)
    assert (facts.output.dtype, facts.output.scale, facts.output.zero_point) == ("int8", 1 / 256, -128)


def test_a_float_model_names_its_float_operators(models: Path) -> None:
    facts = inspect_flatbuffer((models / "tiny_float32.tflite").read_bytes())
    assert not facts.full_integer
    assert len(facts.float_operators) == 6
    assert facts.kernels[0].largest == ()


def test_every_channel_of_every_int8_kernel_reaches_127(models: Path) -> None:
    kernels = inspect_flatbuffer((models / "tiny_int8.tflite").read_bytes()).kernels
    assert [len(kernel.largest) for kernel in kernels] == [8, 8, 16, 2]
    assert all(kernel.per_channel and not kernel.short_channels() for kernel in kernels)


def test_a_kernel_that_was_scaled_as_one_shows_short_channels() -> None:
    kernel = KernelFacts("k", "DEPTHWISE_CONV_2D", "int8", (1, 3, 3, 4), per_channel=True, largest=(2, 0, 127, 12))
    assert (kernel.short_channels(), kernel.zero_channels) == (2, 1)


@pytest.mark.parametrize("model", ["tiny_float32", "tiny_int8", "three_classes", "not_a_classifier"])
def test_the_reader_agrees_with_the_generated_schema(models: Path, model: str) -> None:
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    content = (models / f"{model}.tflite").read_bytes()
    graph = parse_graph(content)
    theirs = schema.ModelT.InitFromPackedBuf(content, 0)
    (subgraph,) = theirs.subgraphs
    assert graph.inputs == tuple(subgraph.inputs)
    assert graph.outputs == tuple(subgraph.outputs)
    for ours, tensor in zip(graph.tensors, subgraph.tensors, strict=True):
        assert ours.name == tensor.name.decode()
        assert ours.shape == tuple(tensor.shape)
        assert TENSOR_TYPES[tensor.type] == ours.dtype
        scales = tensor.quantization.scale if tensor.quantization is not None else None
        np.testing.assert_array_equal(ours.scales, [] if scales is None else scales)
        raw = theirs.buffers[tensor.buffer].data
        assert (ours.constant is None) == (raw is None)
        assert ours.constant is None or ours.constant.tobytes() == bytes(raw)
    for ours_operator, operator in zip(graph.operators, subgraph.operators, strict=True):
        code = theirs.operatorCodes[operator.opcodeIndex].builtinCode
        assert ours_operator.name == operator_name(code)
        assert ours_operator.inputs == tuple(operator.inputs)


def test_the_operator_names_are_those_of_the_generated_schema() -> None:
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    assert {code: operator_name(code) for code in range(200)} == {code: names[code] for code in range(200)}
    assert operator_name(100_000) is None
