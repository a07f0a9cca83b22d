"""Kernels of fewer than 8 bits in an int8 file.

TFLite's converter scales every kernel channel to ±127. Where an engine adds two products of uint8 and int8 into 16 bits (x86 before
VNNI), 2 · 255 · 127 does not fit, and 2 · 255 · 63 does. So a kernel whose fake quantization knew ±63 is written again in
levels of that size; the values that it stands for stay the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from mstl_edge.artifact.inspection import WEIGHT_BITS, full_range

_BIAS_INPUT = {
    schema.BuiltinOperator.CONV_2D: 2,
    schema.BuiltinOperator.DEPTHWISE_CONV_2D: 2,
    schema.BuiltinOperator.FULLY_CONNECTED: 2,
    schema.BuiltinOperator.TRANSPOSE_CONV: 3,
}
_KERNEL_INPUT = 1


def narrow_kernels(flatbuffer: bytes, weight_bits: int) -> bytes:
    """Return an int8 file whose kernels use `weight_bits`; nothing but kernels, biases and their scales is changed.

    A kernel that was rounded to those levels before conversion keeps its values exactly, since each level of the coarser grid is
    nearest to one of the finer. A bias counts in steps of input scale times kernel scale, so it is written in the wider ones.

    Args:
        flatbuffer: The converter's output, each kernel channel reaching 127.
        weight_bits: 2 to 8; 8 returns the file as it is.
    """
    if weight_bits == WEIGHT_BITS:
        return flatbuffer
    ratio = full_range(weight_bits) / full_range()
    content = bytearray(flatbuffer)
    model = schema.Model.GetRootAs(content)
    done: set[int] = set()  # equal tensors may share their bytes
    for tensor in _kernels_and_biases(model):
        values = model.Buffers(tensor.Buffer()).DataAsNumpy()
        values = values.view(np.int8 if tensor.Type() == schema.TensorType.INT8 else "<i4")
        scales = tensor.Quantization().ScaleAsNumpy()
        for array, changed in ((values, np.rint(values * ratio)), (scales, scales.astype(np.float64) / ratio)):
            if array.ctypes.data not in done:
                array[:] = changed
                done.add(array.ctypes.data)
    return bytes(content)


def _kernels_and_biases(model: Any) -> Iterator[Any]:
    """Yield every constant int8 kernel, and the int32 bias behind it."""
    graph = model.Subgraphs(0)
    for number in range(graph.OperatorsLength()):
        operator = graph.Operators(number)
        code = model.OperatorCodes(operator.OpcodeIndex())
        bias_input = _BIAS_INPUT.get(max(code.DeprecatedBuiltinCode(), code.BuiltinCode()))
        if bias_input is None:
            continue
        kernel = graph.Tensors(operator.Inputs(_KERNEL_INPUT))
        if kernel.Type() != schema.TensorType.INT8 or not _stored(model, kernel):
            continue
        yield kernel
        given: NDArray[np.int32] = operator.InputsAsNumpy()
        if len(given) > bias_input and given[bias_input] >= 0:
            bias = graph.Tensors(int(given[bias_input]))
            if bias.Type() == schema.TensorType.INT32 and _stored(model, bias):
                yield bias


def _stored(model: Any, tensor: Any) -> bool:
    return bool(model.Buffers(tensor.Buffer()).DataLength())
