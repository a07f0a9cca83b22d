"""PlexusNet (Eminaga et al. 2019, arXiv:1908.09067), from its description: two lanes of inception blocks that lean on each other.

A level concatenates six branches, halves their channels, and averages 2×2 pixels on the way to the next. At some levels the
first lane takes up the second one: published as two weights for the whole map, here as two for each channel, which a runtime
computes as a depthwise convolution. Published are random levels; here they are fixed, so that a weights file fits. The head pools
by the mean, as every network's here, not by the maximum. The authors count about 192,000 parameters, more than this has.
"""

from __future__ import annotations

from typing import Any

from mstl_edge_models.backbones.base import Backbone, CutPoint, Spec, halved, head, whole

_STEM = 32
_LANES = 2
_JUNCTIONS = (3, 5)
"""Levels behind which the first lane takes up the second."""
_PARAMETERS = {"5": 83_894, "7": 169_138}


def build(keras: Any, spec: Spec) -> Any:
    """Return PlexusNet of so many levels without its head, flat, with random weights."""
    image = keras.Input((spec.input_size, spec.input_size, 3))
    x = keras.layers.Conv2D(_STEM, 5, strides=2, padding="same", use_bias=False, name="stem")(image)
    lanes = [_norm(keras, x, "stem")] * _LANES
    depth = int(spec.variant)
    for level in range(1, depth + 1):
        lanes = [_level(keras, lane, f"lane_{level}_{number}", _width(level)) for number, lane in enumerate(lanes)]
        if level in _JUNCTIONS:
            lanes = [_junction(keras, lanes, f"lane_{level}"), *lanes[1:]]
        if level < depth:
            lanes = [keras.layers.AveragePooling2D(2, name=f"lane_{level}_{n}_pool")(x) for n, x in enumerate(lanes)]
    return keras.Model(image, keras.layers.Concatenate(name="lane_concat")(lanes), name="plexusnet")


def _width(level: int) -> int:
    return 2 * (level + 1) + 2


def _level(keras: Any, x: Any, name: str, width: int) -> Any:
    """Return six branches side by side, normalized, and half their channels."""

    def convolution(read: Any, branch: str, factor: float, *kernel: int) -> Any:
        return keras.layers.Conv2D(int(factor * width), kernel or 1, padding="same", name=f"{name}_{branch}")(read)

    short, long = convolution(x, "short", 1.5), convolution(x, "long", 1.5)
    long = convolution(convolution(long, "long_flat", 1.75, 1, 3), "long_tall", 2.0, 3, 1)
    pooled = keras.layers.AveragePooling2D(2, strides=1, padding="same", name=f"{name}_mean")(x)
    branches = [
        convolution(x, "point", 1.0),
        convolution(short, "short_flat", 1.0, 1, 3),
        convolution(short, "short_tall", 1.0, 3, 1),
        convolution(long, "long_end_tall", 1.0, 3, 1),
        convolution(long, "long_end_flat", 1.0, 1, 3),
        convolution(pooled, "mean_point", 1.0),
    ]
    x = _norm(keras, keras.layers.Concatenate(name=f"{name}_concat")(branches), f"{name}_wide")
    return _norm(keras, convolution(x, "half", len(branches) / 2), f"{name}_half")


def _norm(keras: Any, x: Any, name: str) -> Any:
    return keras.layers.ReLU(name=f"{name}_relu")(keras.layers.BatchNormalization(name=f"{name}_bn")(x))


def _junction(keras: Any, lanes: list[Any], name: str) -> Any:
    """Return the first lane and the last, each weighed."""
    weighed = [
        keras.layers.DepthwiseConv2D(1, use_bias=False, name=f"{name}_{end}_weight")(lane)
        for end, lane in (("first", lanes[0]), ("last", lanes[-1]))
    ]
    return keras.layers.Add(name=f"{name}_junction")(weighed)


def cut_points(variant: str) -> tuple[CutPoint, ...]:
    """Return a cut point in front of the stem and of the lanes; between these no single value stands."""
    return CutPoint("stem", 3, whole), CutPoint("lane", _STEM, halved(1)), head(_LANES * 3 * _width(int(variant)))


BACKBONE = Backbone(
    name="plexusnet",
    variants=tuple(_PARAMETERS),
    default="7",
    cut_points=cut_points,
    build=build,
    parameters=_PARAMETERS.__getitem__,
    weights=lambda spec: None,
    smallest=128,
)
