"""What passes must keep, asked of any network."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from mstl_edge.preprocess import normalize
from mstl_edge.training.convert import to_int8_flatbuffer
from mstl_edge.training.network.graph import Graph
from mstl_edge.training.network.keras import layers_of, to_keras


def told(graph: Graph, images: np.ndarray) -> np.ndarray:
    return np.asarray(to_keras(graph)(images, training=False))


def close(found: Any, wanted: Any) -> None:
    scale = max(1.0, float(np.abs(np.asarray(wanted)).max()))
    np.testing.assert_allclose(np.asarray(found) / scale, np.asarray(wanted) / scale, atol=1e-4)


def assert_the_file_computes_the_graph(quantized: Graph, pixels: np.ndarray) -> None:
    """Hold each operator of the int8 file, given what the file computed in front of it, against the graph's."""
    flatbuffer = to_int8_flatbuffer(quantized, signature=False)
    computed = _computed(flatbuffer, quantized, pixels)
    layers, values = layers_of(to_keras(quantized)), {quantized.input.name: normalize(pixels)}
    equal = []
    for node in quantized.nodes[1:]:
        read = [values[name] for name in node.inputs]
        answer = np.asarray(layers[node.name](read if len(read) > 1 else read[0]))
        values[node.name] = computed.get(node.name, answer)
        if node.rounding is not None:
            step = (node.rounding.high - node.rounding.low) / 255
            apart = np.abs(computed[node.name] - answer) / step
            assert apart.max() <= 2.01, node
            assert np.mean(apart <= 1.01) >= 0.99, node
            # An average of a few values often lies half-way, where a device rounds away from zero.
            equal += [apart.ravel() <= 0.01] if node.kind != "average_pool" else []
    assert np.mean(np.concatenate(equal)) >= 0.95


def _computed(flatbuffer: bytes, graph: Graph, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """What the file's operators compute by LiteRT's reference kernels, each in real numbers, by the nodes that they stand for."""
    interpreter = Interpreter(
        model_content=flatbuffer,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    operators = interpreter._get_ops_details()
    assert not {"QUANTIZE", "DEQUANTIZE"} & {operator["op_name"] for operator in operators}
    made = {number for operator in operators for number in operator["outputs"]}
    tensors = {t["name"].split(";")[0]: t for t in interpreter.get_tensor_details() if t["index"] in made}
    rounded = [node.name for node in graph.nodes[1:] if node.rounding is not None]
    found = {name: next(t for key, t in tensors.items() if f"/quant_{name}/" in f"/{key}") for name in rounded}
    outputs: dict[str, list[np.ndarray]] = {name: [] for name in rounded}
    for image in pixels:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], (image ^ np.uint8(128)).view(np.int8)[None])
        interpreter.invoke()
        for name, tensor in found.items():
            scale, zero = tensor["quantization"]
            outputs[name].append(
                (interpreter.get_tensor(tensor["index"]).astype(np.float32) - zero) * np.float32(scale)
            )
    return {name: np.concatenate(arrays) for name, arrays in outputs.items()}
