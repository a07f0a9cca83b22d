"""What the architectures that Keras does not have are built of; the framework is handed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kernel:
    """The kernel of a convolution: how many `filters` it has, None for a depthwise one, its side, and how far it steps."""

    filters: int | None
    size: int = 1
    stride: int = 1


@dataclass(frozen=True)
class Convention:
    """What frameworks do differently.

    Attributes:
        centred: Pad both sides alike, as PyTorch does, and not the far side first, as TensorFlow does.
        epsilon: Of the BatchNorm.
    """

    centred: bool
    epsilon: float


TENSORFLOW, PYTORCH = Convention(centred=False, epsilon=1e-3), Convention(centred=True, epsilon=1e-5)


def convolution(
    keras: Any,
    x: Any,
    name: str,
    kernel: Kernel,
    *,
    relu: float | bool | None = True,
    convention: Convention = TENSORFLOW,
) -> Any:
    """Return a convolution without bias, its BatchNorm `NAME_bn`, and a ReLU `NAME_relu`.

    Args:
        keras: The Keras to build with.
        x: What is read.
        name: Of the convolution.
        kernel: Of the convolution.
        relu: Whether there is a ReLU, or where it ends.
        convention: How it is padded and normalized.
    """
    padding, filters = "same", kernel.filters
    if convention.centred and kernel.size > 1:
        x, padding = keras.layers.ZeroPadding2D(kernel.size // 2, name=f"{name}_pad")(x), "valid"
    make = keras.layers.DepthwiseConv2D if filters is None else lambda *a, **k: keras.layers.Conv2D(filters, *a, **k)
    x = make(kernel.size, strides=kernel.stride, padding=padding, use_bias=False, name=name)(x)
    x = keras.layers.BatchNormalization(epsilon=convention.epsilon, name=f"{name}_bn")(x)
    limit = None if relu is True else relu
    return keras.layers.ReLU(limit, name=f"{name}_relu")(x) if relu else x


def channels(keras: Any, x: Any, name: str, start: int, count: int) -> Any:
    """Return some of the channels: Keras has no layer for it, but a crop of the last axis is one, read with channels first."""
    cropping = ((0, 0), (start, x.shape[-1] - start - count))
    return keras.layers.Cropping2D(cropping, data_format="channels_first", name=name)(x)


def shuffled(keras: Any, x: Any, name: str, groups: int) -> Any:
    """Return the channels dealt out: the first of each group, then the second of each (Zhang et al. 2018, arXiv:1707.01083)."""
    height, width, count = x.shape[1:]
    x = keras.layers.Reshape((height, width, groups, count // groups), name=f"{name}_groups")(x)
    x = keras.layers.Permute((1, 2, 4, 3), name=f"{name}_dealt")(x)
    return keras.layers.Reshape((height, width, count), name=f"{name}_shuffled")(x)


def renamed(keras: Any, model: Any, names: Mapping[str, str]) -> Any:
    """Return a model whose layers are called otherwise, with new random weights; names that are not mapped stay."""
    config = model.get_config()
    for layer in config["layers"]:
        layer["name"] = layer["config"]["name"] = names.get(layer["name"], layer["name"])
        for node in layer["inbound_nodes"]:
            for read in node:
                read[0] = names.get(read[0], read[0])
    for end in (*config["input_layers"], *config["output_layers"]):
        end[0] = names.get(end[0], end[0])
    return keras.Model.from_config(config)
