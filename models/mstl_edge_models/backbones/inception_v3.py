"""Inception v3 (Szegedy et al. 2016, arXiv:1512.00567), as `keras.applications` builds it: a heavy reference."""

from __future__ import annotations

from typing import Any

from mstl_edge_models.backbones.base import Backbone, CutPoint, Published, Side, Spec, head, whole
from mstl_edge_models.backbones.layers import renamed

_CHANNELS = (192, 256, 288, 288, 768, 768, 768, 768, 768, 1280, 2048)
"""Of what enters each of the blocks `mixed0` to `mixed10`."""
_HALVED_BEHIND = (3, 8)
_URL = "https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/"
_FILE = "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"


def build(keras: Any, spec: Spec) -> Any:
    """Return Inception v3 without its head, flat, with random weights, each layer called after its block."""
    model = keras.applications.InceptionV3(
        input_shape=(spec.input_size, spec.input_size, 3), include_top=False, weights=None
    )
    names, block, pools = {}, "stem", 0
    for number, layer in enumerate(model.layers[1:]):
        names[layer.name] = f"{block}_{number}"
        pools += isinstance(layer, keras.layers.MaxPooling2D)
        if block == "stem" and pools == 2:
            block = "mixed0"
        elif layer.name == block:
            block = f"mixed{int(block.removeprefix('mixed')) + 1}"
    return renamed(keras, model, names)


def cut_points(variant: str) -> tuple[CutPoint, ...]:
    """Return a cut point in front of each block of branches."""
    points = [CutPoint("stem", 3, whole)]
    for number, channels in enumerate(_CHANNELS):
        points.append(CutPoint(f"mixed{number}", channels, _side(sum(behind < number for behind in _HALVED_BEHIND))))
    return (*points, head(2048))


def _side(halvings: int) -> Side:
    """Return the side behind the stem and so many halvings; none of them pads."""

    def side(size: int) -> int:
        size = _half(_half(_half(size) - 2) - 2)
        for _ in range(halvings):
            size = _half(size)
        return size

    return side


def _half(size: int) -> int:
    return (size - 3) // 2 + 1


BACKBONE = Backbone(
    name="inception_v3",
    variants=("1.0",),
    default="1.0",
    cut_points=cut_points,
    build=build,
    parameters=lambda variant: 21_802_784,
    weights=lambda spec: Published(_FILE, _URL + _FILE, "md5:bcbd6486424b2319ff4ef7d526e38f63"),
    smallest=75,
)
