"""The network: a flat functional graph, its weights by layer name, and the cut between frozen prefix and trained tail.

Flat, because tfmot cannot annotate a model nested in a model. BatchNorm is frozen, which in Keras also keeps it in
inference mode.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.recipe import BackboneSpec
from mstl_edge.storage import digest
from mstl_edge.training._keras import keras
from mstl_edge_models import backbones

Weights = dict[str, list[NDArray[np.float32]]]
"""Layer name → its arrays, in Keras' order."""

POOL, LOGITS, FLAT, PROBABILITIES = "head_pool", "head_logits", "head_flat", "head_probabilities"


@dataclass(frozen=True)
class Cut:
    """A network cut in two at a tensor.

    Attributes:
        prefix: Input → features; frozen. None where everything is trained.
        tail: Features → logits; trained.
    """

    prefix: Any
    tail: Any


def build_classifier(spec: BackboneSpec, classes: int) -> Any:
    """Return backbone and head as one flat functional model with random weights.

    `(batch, input_size, input_size, 3) float32 in [−1, 1)` → `(batch, classes)` logits.
    """
    backbone = backbones.REGISTRY[spec.name].build(keras, spec)
    # Not a global average, which TFLite computes by MEAN: tflite-runtime rounds that one differently on ARM and on x86.
    pooled = keras.layers.AveragePooling2D(tuple(backbone.output.shape[1:3]), name=POOL)(backbone.output)
    # A pointwise convolution, as in Howard et al. 2017: unlike a dense layer it is quantized per channel by every runtime.
    logits = keras.layers.Conv2D(classes, 1, name=LOGITS)(pooled)
    logits = keras.layers.Reshape((classes,), name=FLAT)(logits)
    model = keras.Model(backbone.input, logits, name=spec.name)
    freeze_batch_norm(model)
    return model


def with_softmax(model: Any, temperature: float) -> Any:
    """Return a copy of `model` that ends in probabilities, with the temperature folded into the head's weights."""
    copied = keras.models.clone_model(model)
    weights = weights_of(model)
    weights[LOGITS] = [array / np.float32(temperature) for array in weights[LOGITS]]
    set_weights(copied, weights)
    freeze_batch_norm(copied)
    softmax = keras.layers.Softmax(name=PROBABILITIES)(copied.output)
    return keras.Model(copied.input, softmax, name=model.name)


def freeze_batch_norm(model: Any) -> None:
    """Keep every BatchNorm layer's statistics and affine weights as they are."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def fresh_head(features: int, classes: int, seed: int) -> list[NDArray[np.float32]]:
    """Return a new head's kernel `(features, classes)` and bias: Glorot uniform (Glorot and Bengio 2010), seeded, and zeros."""
    limit = np.sqrt(6.0 / (features + classes))
    kernel = np.random.default_rng(seed).uniform(-limit, limit, (features, classes)).astype(np.float32)
    return [kernel, np.zeros(classes, dtype=np.float32)]


def weights_of(model: Any) -> Weights:
    """Return the arrays of every layer that has any."""
    return {layer.name: [np.asarray(array) for array in layer.get_weights()] for layer in model.layers if layer.weights}


def set_weights(model: Any, weights: Mapping[str, Iterable[NDArray[np.float32]]]) -> None:
    """Set the layers that `weights` names; a pointwise kernel may come as a matrix or as a 1×1 convolution."""
    for layer in model.layers:
        if layer.name in weights and layer.weights:
            wanted = [tuple(variable.shape) for variable in layer.weights]
            layer.set_weights([np.reshape(a, s) for a, s in zip(weights[layer.name], wanted, strict=True)])


def cut_at(model: Any, unfreeze_from: str) -> Cut:
    """Cut a flat model in front of layer `unfreeze_from`; both halves are copies with the same weights.

    In the tail a pointwise convolution is a `Dense` layer: the same product, whose gradient TensorFlow computes as
    a matrix product, up to eight times faster than its gradient of a 1×1 convolution.
    """
    border = _border(model, unfreeze_from)
    weights = weights_of(model)
    tail = keras.models.clone_model(keras.Model(border, model.output), clone_function=_as_matrix_product)
    set_weights(tail, weights)
    freeze_batch_norm(tail)
    if border is model.input:
        return Cut(None, tail)
    prefix = keras.models.clone_model(keras.Model(model.input, border))
    set_weights(prefix, weights)
    prefix.trainable = False
    return Cut(prefix, tail)


def _border(model: Any, unfreeze_from: str) -> Any:
    """Return the tensor that feeds `unfreeze_from`, in front of any padding: zeros need not be stored."""
    layers = [layer.name for layer in model.layers]
    border = model.get_layer(unfreeze_from).input
    before = model.layers[layers.index(unfreeze_from) - 1]
    return before.input if isinstance(before, keras.layers.ZeroPadding2D) and before.output is border else border


def _as_matrix_product(layer: Any) -> Any:
    # type(), since DepthwiseConv2D is no pointwise convolution though it may be 1×1.
    if (
        type(layer) is keras.layers.Conv2D
        and layer.kernel_size == (1, 1)
        and layer.strides == (1, 1)
        and layer.groups == 1
    ):
        return keras.layers.Dense(layer.filters, use_bias=layer.use_bias, activation=layer.activation, name=layer.name)
    return type(layer).from_config(layer.get_config())


def model_digest(model: Any) -> bytes:
    """Return a key for a model's layers, edges and weights; equal for equal functions, whatever built them."""
    parts: list[bytes | str] = [repr(_edges(model))]
    for layer in model.layers:
        config = {key: value for key, value in layer.get_config().items() if key not in ("name", "trainable", "dtype")}
        parts += [type(layer).__name__, repr(sorted(config.items(), key=str))]
        parts += [np.ascontiguousarray(array).tobytes() for array in layer.get_weights()]
    return digest(*parts)


def _edges(model: Any) -> list[list[tuple[int, int]]]:
    """Return for each layer of a flat model the layers, by position, and the tensors of theirs that it reads."""
    described = model.get_config()["layers"]
    positions = {layer["name"]: position for position, layer in enumerate(described)}
    return [
        [(positions[name], tensor) for node in layer["inbound_nodes"] for name, _, tensor, *_ in node]
        for layer in described
    ]
