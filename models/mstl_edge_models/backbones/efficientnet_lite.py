"""EfficientNet-Lite (Liu 2020): EfficientNet (Tan and Le 2019, arXiv:1905.11946) for integer hardware.

It has neither squeeze-and-excite nor swish, which int8 bears badly.
"""

from __future__ import annotations

from typing import Any

from mstl_edge_models.backbones.base import Backbone, CutPoint, Spec, halved, head, whole
from mstl_edge_models.backbones.layers import Kernel, convolution

_STEM, _HEAD = 32, 1280
_STAGES = (
    (1, 16, 3, 1, 1),
    (6, 24, 3, 2, 2),
    (6, 40, 5, 2, 2),
    (6, 80, 3, 2, 3),
    (6, 112, 5, 1, 3),
    (6, 192, 5, 2, 4),
    (6, 320, 3, 1, 1),
)
"""Expansion, channels, kernel, stride of the first block, blocks."""
_BLOCKS = tuple(
    (expansion, channels, kernel, stride if first == 0 else 1)
    for expansion, channels, kernel, stride, count in _STAGES
    for first in range(count)
)


def build(keras: Any, spec: Spec) -> Any:
    """Return EfficientNet-Lite0 without its head, flat, with random weights."""
    image = keras.Input((spec.input_size, spec.input_size, 3))
    x = convolution(keras, image, "stem", Kernel(_STEM, 3, 2), relu=6.0)
    for number, (expansion, channels, kernel, stride) in enumerate(_BLOCKS):
        name, entering = f"b{number}", x
        if expansion > 1:
            x = convolution(keras, x, f"{name}_expand", Kernel(expansion * x.shape[-1]), relu=6.0)
        x = convolution(keras, x, f"{name}_dw", Kernel(None, kernel, stride), relu=6.0)
        x = convolution(keras, x, f"{name}_project", Kernel(channels), relu=None)
        if stride == 1 and entering.shape[-1] == channels:
            x = keras.layers.Add(name=f"{name}_add")([entering, x])
    return keras.Model(image, convolution(keras, x, "last", Kernel(_HEAD), relu=6.0), name="efficientnet_lite0")


def cut_points(variant: str) -> tuple[CutPoint, ...]:
    """Return a cut point in front of each block."""
    points, channels, halvings = [CutPoint("stem", 3, whole)], _STEM, 1
    for number, (_, wide, _, stride) in enumerate(_BLOCKS):
        points.append(CutPoint(f"b{number}", channels, halved(halvings)))
        channels, halvings = wide, halvings + (stride == 2)
    return (*points, CutPoint("last", channels, halved(halvings)), head(_HEAD))


BACKBONE = Backbone(
    name="efficientnet_lite",
    variants=("0",),
    default="0",
    cut_points=cut_points,
    build=build,
    parameters=lambda variant: 3_413_024,
    weights=lambda spec: None,
)
