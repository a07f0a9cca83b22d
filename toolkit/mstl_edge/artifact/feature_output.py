"""The feature map as a second output: nothing more is computed, and what was computed can be explained.

Rewriting needs the schema that LiteRT generates, so nothing that a device runs imports this module.
"""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from mstl_edge.artifact.head import linear_head
from mstl_edge.artifact.packing import packed
from mstl_edge.artifact.tflite_graph import parse_graph

FEATURES_NAME = "features"
"""Of the second output, in the file's signature."""


def with_feature_output(flatbuffer: bytes) -> bytes:
    """Return a classifier whose second output is the map that its head pools.

    No operator is added or changed, so that its answers stay what they were, to the bit. The answer stays the first output.

    Args:
        flatbuffer: A converter's output: `(1, size, size, 3)` → `(1, classes)`.

    Returns:
        `(1, size, size, 3)` → `(1, classes)`, `(1, height, width, channels)`; the file as it is where its head is not linear
        behind an average pooling, so that no map would explain it.
    """
    head = linear_head(parse_graph(flatbuffer))
    if head is None:
        return flatbuffer
    model = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    (graph,) = model.subgraphs
    if head.features in graph.outputs:
        return flatbuffer
    graph.outputs = np.array([*graph.outputs, head.features], np.int32)
    for signature in model.signatureDefs or ():
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = FEATURES_NAME, head.features
        signature.outputs = [*signature.outputs, entry]
    return packed(model, len(flatbuffer))
