"""Between graphs and Keras: the only traversal of Keras models in the project."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.training._keras import keras, tf
from mstl_edge.training.network import layers
from mstl_edge.training.network.graph import Graph, Node, Weights
from mstl_edge.training.network.normal import write_arithmetic, write_layer
from mstl_edge.training.network.writing import Writing, refused


def from_keras(model: Any) -> Graph:
    """Return a flat functional Keras model as a graph, in the one form that passes know.

    Args:
        model: One input and one output; no model nested in it, and no layer called twice.

    Raises:
        MstlEdgeError: It holds an operator that the table does not, or none in that form; the layer is named.
    """
    writing = Writing()
    for described in model.get_config()["layers"]:
        layer = model.get_layer(described["name"])
        calls = described["inbound_nodes"]
        if isinstance(layer, keras.Model):
            raise refused(layer, "a model in a model")
        if len(calls) > 1:
            raise refused(layer, "a layer that is called twice")
        if described["class_name"] == "TFOpLambda":
            read, *_, named = calls[0]
            write_arithmetic(writing, layer, described["config"]["function"], writing.values[read], named)
        else:
            write_layer(writing, layer, [writing.values[name] for name, *_ in (calls[0] if calls else [])])
    output = writing.values[model.output_names[0]]
    return Graph(model.name, tuple(writing.nodes), writing.weights, output)


def to_keras(graph: Graph, *, matrix_products: bool = False) -> Any:
    """Return a graph as a flat functional Keras model with the same weights; BatchNorm is frozen.

    What a graph rounds is under fake quantization.

    Args:
        graph: The network.
        matrix_products: Make a pointwise convolution a `Dense` layer: the same product, whose gradient TensorFlow computes as a
            matrix product, up to eight times faster than its gradient of a 1×1 convolution.
    """
    wrapped = _wrapping(graph)
    values: dict[str, Any] = {}
    made: dict[str, Any] = {}
    for node in graph.nodes:
        if node.kind == "input":
            values[node.name] = given = keras.Input(node.shape, name=node.name)
            if node.rounding is not None:
                values[node.name] = wrapped(node, None)(given)
            continue
        make = _as_dense if matrix_products and is_pointwise(node) else _MAKERS[node.kind]
        layer = made[node.name] = wrapped(node, make(node, len(graph.weights.get(node.name, ()))))
        read = [values[name] for name in node.inputs]
        values[node.name] = layer(read if len(read) > 1 else read[0])
    model = keras.Model(given, values[graph.output], name=graph.name)
    for name, arrays in graph.weights.items():
        variables = variables_of(made[name])
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(np.reshape(array, variable.shape))
    for node in graph.nodes:
        if node.kind == "batch_norm":
            made[node.name].trainable = False
    return model


def probe(
    graph: Graph, names: Sequence[str], reduce: Callable[[Any], Any]
) -> Callable[[NDArray[np.float32]], list[Any]]:
    """Return a function from a batch of inputs to what `reduce` makes of each of the named values."""
    model = to_keras(graph)
    made = layers_of(model)
    watched = keras.Model(model.input, [made[name].output for name in names])

    def observe(batch: Any) -> list[Any]:
        values = watched(batch, training=False)
        return [reduce(value) for value in (values if len(names) > 1 else [values])]

    traced = tf.function(
        observe, input_signature=[tf.TensorSpec([None, *graph.input.shape], tf.float32)], autograph=False
    )
    return lambda batch: traced(tf.constant(batch))


def weights_of(model: Any) -> Weights:
    """Return the arrays of every layer of a Keras model that has any, by the name of its node."""
    found = {node_name(layer): [v.numpy() for v in variables_of(layer)] for layer in model.layers}
    return {name: arrays for name, arrays in found.items() if arrays}


def layers_of(model: Any) -> dict[str, Any]:
    """Return the layers of what `to_keras` made, by the names of their nodes."""
    return {node_name(layer): layer for layer in model.layers}


def node_name(layer: Any) -> str:
    """Return the name of the node that a layer was made for."""
    return str(layer.layer.name if _is_wrapped(layer) else layer.name)


def variables_of(layer: Any) -> list[Any]:
    """Return the variables of a layer that hold a node's weights, in their order; under fake quantization the unrounded ones."""
    if not _is_wrapped(layer):
        return list(layer.weights)
    kernels = [kernel for kernel, *_ in layer._weight_vars]
    return [*kernels, *([layer.layer.bias] if kernels and layer.layer.use_bias else [])]


def _is_wrapped(layer: Any) -> bool:
    return hasattr(layer, "_weight_vars")


def is_pointwise(node: Node) -> bool:
    """Return whether a node is a matrix product over channels."""
    config = node.config
    return node.kind == "conv" and (*config["kernel_size"], *config["strides"], config["groups"]) == (1, 1, 1, 1, 1)


def _wrapping(graph: Graph) -> Callable[[Node, Any], Any]:
    """Return what puts a layer under fake quantization; imported where something is rounded, since it needs tfmot."""
    if not any(node.rounding or node.weight_bits for node in graph.nodes):
        return lambda node, layer: layer
    from mstl_edge.training.network.rounding import rounded

    return rounded


def _conv(node: Node, arrays: int) -> Any:
    config = node.config
    return keras.layers.Conv2D(
        node.shape[-1], config["kernel_size"], config["strides"], config["padding"], dilation_rate=config["dilation"],
        groups=config["groups"], use_bias=arrays > 1, name=node.name,
    )  # fmt: skip


def _depthwise(node: Node, arrays: int) -> Any:
    config = node.config
    return keras.layers.DepthwiseConv2D(
        config["kernel_size"], config["strides"], config["padding"], dilation_rate=config["dilation"],
        use_bias=arrays > 1, name=node.name,
    )  # fmt: skip


def _as_dense(node: Node, arrays: int) -> Any:
    return keras.layers.Dense(node.shape[-1], use_bias=arrays > 1, name=node.name)


def _pool(layer: Any) -> Callable[[Node, int], Any]:
    return lambda node, _: layer(node.config["size"], node.config["strides"], node.config["padding"], name=node.name)


_MAKERS: dict[str, Callable[[Node, int], Any]] = {
    "conv": _conv,
    "depthwise": _depthwise,
    "dense": _as_dense,
    "batch_norm": lambda node, _: keras.layers.BatchNormalization(epsilon=node.config["epsilon"], name=node.name),
    "relu": lambda node, _: keras.layers.ReLU(node.config["limit"], name=node.name),
    "add": lambda node, _: keras.layers.Add(name=node.name),
    "multiply": lambda node, _: keras.layers.Multiply(name=node.name),
    "add_constant": lambda node, _: layers.Shift(node.config["value"], name=node.name),
    "multiply_constant": lambda node, _: layers.Gain(node.config["value"], name=node.name),
    "concat": lambda node, _: keras.layers.Concatenate(name=node.name),
    "average_pool": _pool(keras.layers.AveragePooling2D),
    "max_pool": _pool(keras.layers.MaxPooling2D),
    "crop": lambda node, _: keras.layers.Cropping2D(node.config["cropping"], name=node.name),
    "pad": lambda node, _: keras.layers.ZeroPadding2D(node.config["padding"], name=node.name),
    "reshape": lambda node, _: keras.layers.Reshape(node.shape, name=node.name),
    "transpose": lambda node, _: keras.layers.Permute(node.config["order"], name=node.name),
    "slice": lambda node, _: layers.Channels(node.config["start"], node.config["count"], name=node.name),
    "sigmoid": lambda node, _: keras.layers.Activation("sigmoid", name=node.name),
    "softmax": lambda node, _: keras.layers.Softmax(name=node.name),
}
