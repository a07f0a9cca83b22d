"""A `.tflite` model as plain data: tensors, operators, constants; parsed and checked by `parse_graph`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.artifact.flatbuffer import Reader, Table, damaged
from mstl_edge.artifact.opcodes import CUSTOM, operator_name

TENSOR_TYPES = {
    0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 5: "string", 6: "bool", 7: "int16", 8: "complex64",
    9: "int8", 10: "float64", 11: "complex128", 12: "uint64", 13: "resource", 14: "variant", 15: "uint32", 16: "uint16",
    17: "int4", 18: "bfloat16", 19: "int2", 20: "uint4", 21: "float8_e4m3fn", 22: "float8_e5m2",
}  # fmt: skip
FLOAT_TYPES = frozenset({"float16", "float32", "float64", "bfloat16", "float8_e4m3fn", "float8_e5m2"})
_NUMPY_TYPES = {
    "float32": "<f4", "float16": "<f2", "int32": "<i4", "uint8": "u1", "int64": "<i8", "bool": "?", "int16": "<i2",
    "int8": "i1", "float64": "<f8", "uint64": "<u8", "uint32": "<u4", "uint16": "<u2",
}  # fmt: skip
_STEPS = {
    "CONV_2D": (1, 2, 4, 5),
    "DEPTHWISE_CONV_2D": (1, 2, 5, 6),
    "AVERAGE_POOL_2D": (1, 2, 3, 4),
    "MAX_POOL_2D": (1, 2, 3, 4),
}
"""Fields of an operator's options that kernels divide by: strides, dilations, window sizes."""
MAX_STEP = 1 << 16
MAX_TENSOR_BYTES = 2**31


@dataclass(frozen=True)
class Tensor:
    """One tensor; `scales` and `zero_points` are empty where it is not quantized, `constant` None where it is computed.

    `static`: no extent is left open. `given`: there is nothing to compute, as in a constant, a variable or an empty tensor.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    scales: NDArray[np.float32]
    zero_points: NDArray[np.int64]
    quantized_dimension: int
    constant: NDArray[Any] | None
    static: bool
    given: bool


@dataclass(frozen=True)
class Operator:
    """One operator; `inputs` and `outputs` are tensor numbers, −1 for an optional input left out."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class TfliteGraph:
    """The first subgraph of a model, which is what runs."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    subgraphs: int


def parse_graph(flatbuffer: bytes) -> TfliteGraph:
    """Parse and check a model.

    Args:
        flatbuffer: The file's bytes, without an appended zip.

    Raises:
        ArtifactError: It is no `.tflite`, it is damaged, or it refers to what is not there.
    """
    model = Reader(flatbuffer).root()
    if model.scalar(0, "I") != 3:
        raise damaged(f"schema version {model.scalar(0, 'I')} instead of 3")
    codes = [_operator_code(table) for table in model.tables(1)]
    buffers = [_buffer(table, flatbuffer) for table in model.tables(4)]
    model.text(3)
    _check_side_tables(model, len(buffers))
    graphs = [_subgraph(table, codes, buffers) for table in model.tables(2)]
    if not graphs:
        raise damaged("a model without a graph")
    _check_signatures(model, graphs)
    first = graphs[0]
    return TfliteGraph(first.tensors, first.operators, first.inputs, first.outputs, len(graphs))


def _operator_code(table: Table) -> str:
    # Codes above 127 do not fit the old byte, which then holds a placeholder (schema.fbs, OperatorCode).
    code = max(table.scalar(0, "b"), table.scalar(3, "i"))
    custom = table.text(1)
    table.scalar(2, "i", 1)
    name = operator_name(code)
    if name is None:
        raise damaged(f"the unknown operator code {code}")
    return f"{name}:{custom}" if name == CUSTOM else name


def _buffer(table: Table, flatbuffer: bytes) -> NDArray[np.uint8]:
    offset, size = table.scalar(1, "Q"), table.scalar(2, "Q")
    if offset > 1:
        if offset + size > len(flatbuffer):
            raise damaged("weights beyond the end (a truncated file?)")
        return np.frombuffer(flatbuffer, np.uint8, size, offset)
    return table.array(0, "u1")


def _check_side_tables(model: Table, buffers: int) -> None:
    for metadata in model.tables(6):
        metadata.text(0)
        if metadata.scalar(1, "I") >= buffers:
            raise damaged("metadata without its buffer")
    if any(not 0 <= number < buffers for number in model.array(5, "<i4")):
        raise damaged("metadata without its buffer")


def _check_signatures(model: Table, graphs: list[TfliteGraph]) -> None:
    for signature in model.tables(7):
        signature.text(2)
        number = signature.scalar(4, "I")
        if number >= len(graphs):
            raise damaged("a signature of a graph that is not there")
        for entry in (*signature.tables(0), *signature.tables(1)):
            entry.text(0)
            if entry.scalar(1, "I") >= len(graphs[number].tensors):
                raise damaged("a signature of a tensor that is not there")


def _subgraph(table: Table, codes: list[str], buffers: list[NDArray[np.uint8]]) -> TfliteGraph:
    table.text(4)
    tensors = tuple(_tensor(entry, buffers) for entry in table.tables(0))
    operators = tuple(_operator(entry, codes, len(tensors)) for entry in table.tables(3))
    inputs, outputs = _numbers(table, 1, len(tensors), 0), _numbers(table, 2, len(tensors), 0)
    _check_order(tensors, operators, inputs, outputs)
    return TfliteGraph(tensors, operators, inputs, outputs, 1)


def _numbers(table: Table, field: int, tensors: int, smallest: int) -> tuple[int, ...]:
    numbers = tuple(int(number) for number in table.array(field, "<i4"))
    if any(not smallest <= number < tensors for number in numbers):
        raise damaged("a reference to a tensor that is not there")
    return numbers


def _check_order(
    tensors: tuple[Tensor, ...], operators: tuple[Operator, ...], inputs: tuple[int, ...], outputs: tuple[int, ...]
) -> None:
    """Every operator reads only what a constant, an input or an earlier operator provides."""
    known = {number for number, tensor in enumerate(tensors) if tensor.given} | set(inputs)
    for operator in operators:
        if any(number >= 0 and number not in known for number in operator.inputs):
            raise damaged(f"a {operator.name} that reads a tensor before it is computed")
        known.update(operator.outputs)
    if any(number not in known for number in outputs):
        raise damaged("an output that nothing computes")


def _tensor(table: Table, buffers: list[NDArray[np.uint8]]) -> Tensor:
    code, number = table.scalar(1, "b"), table.scalar(2, "I")
    dtype = TENSOR_TYPES.get(code)
    if dtype is None:
        raise damaged(f"the unknown tensor type {code}")
    if number >= len(buffers):
        raise damaged("a tensor without its buffer")
    shape = tuple(int(extent) for extent in table.array(0, "<i4"))
    signature = tuple(int(extent) for extent in table.array(7, "<i4"))
    if any(extent < 0 for extent in shape) or any(extent < -1 for extent in signature):
        raise damaged(f"a tensor of shape {list(shape)}")
    if signature and len(signature) != len(shape):
        raise damaged("a tensor with two different ranks")
    if math.prod(shape) * 8 > MAX_TENSOR_BYTES:
        raise damaged(f"a tensor of {math.prod(shape):,} elements")
    name = table.text(3)
    sparsity = table.table(6)
    if sparsity is not None:
        raise damaged("a sparse tensor, which this reader does not check")
    if next(table.tables(9), None) is not None:
        raise damaged("a variant tensor, which this reader does not check")
    scales, zero_points, dimension = _quantization(table, shape)
    constant = _constant(buffers[number], dtype, shape, name) if number else None
    given = constant is not None or bool(table.scalar(5, "B")) or 0 in shape
    return Tensor(name, dtype, shape, scales, zero_points, dimension, constant, -1 not in signature, given)


def _constant(raw: NDArray[np.uint8], dtype: str, shape: tuple[int, ...], name: str) -> NDArray[Any] | None:
    if not len(raw):
        return None
    kind = _NUMPY_TYPES.get(dtype)
    if kind is None:
        return raw
    if math.prod(shape) * np.dtype(kind).itemsize != len(raw):
        raise damaged(f"{len(raw):,} bytes of {dtype} for shape {list(shape)} of {name!r}")
    return np.frombuffer(raw, np.dtype(kind)).reshape(shape)


def _quantization(table: Table, shape: tuple[int, ...]) -> tuple[NDArray[np.float32], NDArray[np.int64], int]:
    quantization = table.table(4)
    if quantization is None:
        return np.empty(0, np.float32), np.empty(0, np.int64), 0
    quantization.array(0, "<f4")
    quantization.array(1, "<f4")
    scales, zero_points = quantization.array(2, "<f4"), quantization.array(3, "<i8")
    dimension = quantization.scalar(6, "i")
    if quantization.scalar(4, "B") and quantization.table(5) is not None:
        raise damaged("a custom quantization, which this reader does not check")
    if not np.isfinite(scales).all() or (scales < 0).any():
        raise damaged("a quantization scale that is no positive number")
    if len(zero_points) not in (0, len(scales)):
        raise damaged(f"{len(zero_points)} zero points for {len(scales)} scales")
    if len(scales) > 1 and not (0 <= dimension < len(shape) and shape[dimension] == len(scales)):
        raise damaged(f"{len(scales)} scales for a tensor of shape {list(shape)}")
    if (np.abs(zero_points) > 2**31).any():
        raise damaged("a zero point beyond 32 bits")
    return scales, zero_points, dimension


def _operator(table: Table, codes: list[str], tensors: int) -> Operator:
    index = table.scalar(0, "I")
    if index >= len(codes):
        raise damaged("an operator without its code")
    name = codes[index]
    inputs, outputs = _numbers(table, 1, tensors, -1), _numbers(table, 2, tensors, 0)
    table.array(5, "u1")
    table.array(7, "?")
    _numbers(table, 8, tensors, -1)
    if table.scalar(9, "Q") > 1:
        raise damaged("custom options outside the flatbuffer, which this reader does not check")
    options = table.table(4)
    table.table(12)
    if options is not None and name in _STEPS:
        steps = [options.scalar(field, "i", 1) for field in _STEPS[name]]
        if any(not 1 <= step <= MAX_STEP for step in steps):
            raise damaged(f"a {name} with strides or sizes {steps}")
    return Operator(name, inputs, outputs)
