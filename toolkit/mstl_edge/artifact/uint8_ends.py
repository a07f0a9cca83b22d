"""A model's graph rewritten for programs that take one uint8 or float image and give one row of scores.

Rewriting needs the schema that LiteRT generates, so nothing that a device runs imports this module.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from mstl_edge.artifact.packing import packed
from mstl_edge.artifact.tflite_metadata import METADATA_NAME

_SHIFT = 128
"""Between int8 and uint8 numbers that stand for the same real one."""


def for_image_programs(flatbuffer: bytes, metadata: bytes) -> bytes:
    """Return a classifier with one output and TFLite Metadata; int8 ends become uint8 by an operator at either end.

    The operators between stay as they are, so an answer differs by nothing but its number format: uint8 `q` stands for what int8
    `q − 128` did. With an input scale of 1/128 a program hands over the image's own bytes.

    Args:
        flatbuffer: A verified classifier, `(1, height, width, 3)` → `(1, classes)` among its outputs.
        metadata: From `tflite_metadata.encode_metadata`.
    """
    model = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    (graph,) = model.subgraphs
    (image,) = graph.inputs
    scores = next(number for number in graph.outputs if len(graph.tensors[number].shape) == 2)
    given, told = _input_end(model, graph, int(image)), _output_end(model, graph, int(scores))
    graph.inputs, graph.outputs = np.array([given], np.int32), np.array([told], np.int32)
    for signature in model.signatureDefs or ():
        signature.outputs = [entry for entry in signature.outputs if entry.tensorIndex == scores]
        for entries, number in ((signature.inputs, given), (signature.outputs, told)):
            for entry in entries:
                entry.tensorIndex = number
    _add_metadata(model, metadata)
    return packed(model, len(flatbuffer) + len(metadata))


def _input_end(model: Any, graph: Any, number: int) -> int:
    """Return the tensor that a program writes: `number` itself, or a uint8 one that is quantized into it."""
    if graph.tensors[number].type != schema.TensorType.INT8:
        return number
    outer = _add_uint8_twin(graph, number)
    graph.operators.insert(0, _requantize(model, outer, number))
    return outer


def _output_end(model: Any, graph: Any, number: int) -> int:
    if graph.tensors[number].type != schema.TensorType.INT8:
        return number
    outer = _add_uint8_twin(graph, number)
    graph.operators.append(_requantize(model, number, outer))
    return outer


def _add_uint8_twin(graph: Any, number: int) -> int:
    inner = graph.tensors[number]
    twin, quantization = schema.TensorT(), schema.QuantizationParametersT()
    quantization.scale = inner.quantization.scale
    quantization.zeroPoint = np.asarray(inner.quantization.zeroPoint, np.int64) + _SHIFT
    twin.shape, twin.shapeSignature, twin.hasRank = inner.shape, inner.shapeSignature, inner.hasRank
    twin.type, twin.buffer, twin.quantization = schema.TensorType.UINT8, 0, quantization
    twin.name = inner.name + b"_uint8"
    graph.tensors.append(twin)
    return len(graph.tensors) - 1


def _requantize(model: Any, source: int, target: int) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex = _quantize_code(model)
    operator.inputs, operator.outputs = np.array([source], np.int32), np.array([target], np.int32)
    operator.builtinOptionsType = schema.BuiltinOptions.QuantizeOptions
    operator.builtinOptions = schema.QuantizeOptionsT()
    return operator


def _quantize_code(model: Any) -> int:
    quantize = schema.BuiltinOperator.QUANTIZE
    for number, code in enumerate(model.operatorCodes):
        if code.builtinCode == quantize:
            return number
    added = schema.OperatorCodeT()
    added.builtinCode = added.deprecatedBuiltinCode = quantize
    added.version = 1
    model.operatorCodes.append(added)
    return len(model.operatorCodes) - 1


def _add_metadata(model: Any, metadata: bytes) -> None:
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(metadata, np.uint8)
    entry.name, entry.buffer = METADATA_NAME, len(model.buffers)
    model.buffers.append(buffer)
    kept = [held for held in model.metadata or () if held.name != METADATA_NAME.encode()]
    model.metadata = [*kept, entry]
