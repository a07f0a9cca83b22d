"""What is in a `.tflite`: operators, parameters, multiply-accumulates, and how well int8 kernels use their range."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from mstl_edge.artifact.head import linear_head
from mstl_edge.artifact.tflite_graph import FLOAT_TYPES, Operator, Tensor, TfliteGraph, parse_graph

WEIGHT_BITS = 8
"""Of a kernel, where nothing else is said."""

_KERNEL_OPERATORS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


class TensorFacts(Struct, frozen=True):
    """One tensor; `scales` counts quantization scales (0: none, 1: per tensor, more: per channel)."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    scales: int
    scale: float | None
    zero_point: int | None
    constant: bool


class KernelFacts(Struct, frozen=True):
    """One constant kernel; `largest` is the largest |q| of each channel, empty where the kernel is not int8.

    `per_channel` says that there is one scale per output channel. A kernel that lists many scales but was quantized
    by one shows it in `largest`: only one channel reaches the full range.
    """

    name: str
    operator: str
    dtype: str
    shape: tuple[int, ...]
    per_channel: bool
    largest: tuple[int, ...]

    @property
    def zero_channels(self) -> int:
        """Channels that hold nothing but zeros."""
        return sum(value == 0 for value in self.largest)

    def short_channels(self, weight_bits: int = WEIGHT_BITS) -> int:
        """Count channels that hold something and yet don't reach `full_range(weight_bits)`."""
        return sum(0 < value < full_range(weight_bits) for value in self.largest)

    def wide_channels(self, weight_bits: int = WEIGHT_BITS) -> int:
        """Count channels that go beyond `full_range(weight_bits)`; with 8 bits, only −128 does."""
        return sum(value > full_range(weight_bits) for value in self.largest)


class ModelFacts(Struct, frozen=True):
    """A model file at a glance; `msgspec.to_builtins` gives the JSON of `mstl-edge inspect --json`.

    `parameters` counts the weights and biases of convolutions and dense layers, `macs` their multiply-accumulates for
    one image. `float_tensors` and `float_operators` name what is not integer. `feature_map` is the second output, where there is
    one: the map that the head pools.
    """

    size_bytes: int
    input: TensorFacts
    output: TensorFacts
    static: bool
    parameters: int
    macs: int
    operators: dict[str, int]
    kernels: tuple[KernelFacts, ...]
    float_tensors: tuple[str, ...]
    float_operators: tuple[str, ...]
    tensors: tuple[TensorFacts, ...]
    feature_map: TensorFacts | None = None

    @property
    def full_integer(self) -> bool:
        """No float tensor is left, input and output included."""
        return not self.float_tensors


def full_range(weight_bits: int = WEIGHT_BITS) -> int:
    """Return the largest |q| of a symmetric kernel, reached in every channel that was scaled by itself: 127, or 63 of 7 bits."""
    return (1 << (weight_bits - 1)) - 1


def inspect_flatbuffer(flatbuffer: bytes) -> ModelFacts:
    """Return the facts of a model, without TensorFlow and without an interpreter.

    Args:
        flatbuffer: The file's bytes, without an appended zip (`Artifact.flatbuffer`).

    Raises:
        ArtifactError: See `graph.parse_graph`.
    """
    return graph_facts(parse_graph(flatbuffer), len(flatbuffer))


def graph_facts(graph: TfliteGraph, size_bytes: int) -> ModelFacts:
    """Return the facts of a parsed model whose file has that size."""
    facts = tuple(_tensor_facts(tensor) for tensor in graph.tensors)
    nothing = TensorFacts("", "none", (), 0, None, None, constant=False)
    return ModelFacts(
        size_bytes=size_bytes,
        input=facts[graph.inputs[0]] if graph.inputs else nothing,
        output=facts[graph.outputs[0]] if graph.outputs else nothing,
        static=all(graph.tensors[number].static for number in (*graph.inputs, *graph.outputs)),
        parameters=_parameters(graph),
        macs=sum(_macs(operator, graph.tensors) for operator in graph.operators),
        operators=dict(Counter(operator.name for operator in graph.operators)),
        kernels=tuple(_kernels(graph)),
        float_tensors=tuple(tensor.name for tensor in graph.tensors if tensor.dtype in FLOAT_TYPES),
        float_operators=tuple(_float_operators(graph)),
        tensors=facts,
        feature_map=_feature_map(graph, facts),
    )


def _feature_map(graph: TfliteGraph, facts: tuple[TensorFacts, ...]) -> TensorFacts | None:
    """Return the second of two outputs, where it is what the head pools."""
    head = linear_head(graph) if is_answer_and_map([facts[number].shape for number in graph.outputs]) else None
    return facts[graph.outputs[1]] if head is not None and head.features == graph.outputs[1] else None


def is_answer_and_map(shapes: Sequence[Sequence[int]]) -> bool:
    """Say whether outputs of these shapes are an answer `(batch, classes)` and a map `(batch, height, width, channels)`."""
    return [len(shape) for shape in shapes] == [2, 4]


def _tensor_facts(tensor: Tensor) -> TensorFacts:
    return TensorFacts(
        name=tensor.name,
        dtype=tensor.dtype,
        shape=tensor.shape,
        scales=len(tensor.scales),
        scale=float(tensor.scales[0]) if len(tensor.scales) == 1 else None,
        zero_point=int(tensor.zero_points[0]) if len(tensor.scales) == len(tensor.zero_points) == 1 else None,
        constant=tensor.constant is not None,
    )


def _parameters(graph: TfliteGraph) -> int:
    """Count each weight or bias once, however many operators share it."""
    used = {
        number
        for operator in graph.operators
        if operator.name in _KERNEL_OPERATORS
        for number in operator.inputs[1:]
        if number >= 0
    }
    # A float16 file keeps weights behind a DEQUANTIZE; its operand is the constant.
    behind = {
        op.outputs[0]: op.inputs[0] for op in graph.operators if op.name == "DEQUANTIZE" and op.outputs and op.inputs
    }
    constants = {behind.get(number, number) for number in used}
    return sum(math.prod(graph.tensors[n].shape) for n in constants if graph.tensors[n].constant is not None)


def _macs(operator: Operator, tensors: tuple[Tensor, ...]) -> int:
    if operator.name not in _KERNEL_OPERATORS or len(operator.inputs) < 2 or min(operator.inputs[:2]) < 0:
        return 0
    kernel, output = tensors[operator.inputs[1]].shape, tensors[operator.outputs[0]].shape if operator.outputs else ()
    if operator.name == "DEPTHWISE_CONV_2D":
        return math.prod(output) * math.prod(kernel[1:3])
    if operator.name == "TRANSPOSE_CONV":
        source = tensors[operator.inputs[2]].shape if len(operator.inputs) > 2 and operator.inputs[2] >= 0 else ()
        return math.prod(source) * math.prod(kernel[:3])
    return math.prod(output) * math.prod(kernel[1:])


def _kernels(graph: TfliteGraph) -> list[KernelFacts]:
    found = []
    for operator in graph.operators:
        if operator.name not in _KERNEL_OPERATORS or len(operator.inputs) < 2 or operator.inputs[1] < 0:
            continue
        tensor = graph.tensors[operator.inputs[1]]
        if tensor.constant is not None:
            axis = 3 if operator.name == "DEPTHWISE_CONV_2D" else 0
            found.append(
                KernelFacts(
                    name=tensor.name,
                    operator=operator.name,
                    dtype=tensor.dtype,
                    shape=tensor.shape,
                    per_channel=len(tensor.scales) > 1
                    or (len(tensor.scales) == 1 and tensor.shape[axis : axis + 1] == (1,)),
                    largest=_largest(tensor, axis),
                )
            )
    return found


def _largest(tensor: Tensor, axis: int) -> tuple[int, ...]:
    if tensor.dtype != "int8" or tensor.constant is None or axis >= len(tensor.shape) or 0 in tensor.shape:
        return ()
    others = tuple(dimension for dimension in range(len(tensor.shape)) if dimension != axis)
    return tuple(int(value) for value in np.abs(tensor.constant.astype(np.int16)).max(axis=others))


def _float_operators(graph: TfliteGraph) -> list[str]:
    """Name each operator that computes in float, by its first output, with the reason."""
    named = []
    for operator in graph.operators:
        touched = [graph.tensors[n] for n in (*operator.inputs, *operator.outputs) if n >= 0]
        floating = [tensor for tensor in touched if tensor.dtype in FLOAT_TYPES]
        if floating:
            output = graph.tensors[operator.outputs[0]].name if operator.outputs else ""
            weights = next((tensor.dtype for tensor in floating if tensor.constant is not None), None)
            reason = (
                f"its weights are {weights}"
                if weights
                else f"its input or output is {floating[0].dtype}, without a scale"
            )
            named.append(f"{f'{operator.name} {output}'.strip()} ({reason})")
    return named
