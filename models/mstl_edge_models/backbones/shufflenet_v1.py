"""ShuffleNet (Zhang et al. 2018, arXiv:1707.01083) with three groups: grouped pointwise convolutions with shuffles between them."""

from __future__ import annotations

from typing import Any

from mstl_edge_models.backbones.base import Backbone, CutPoint, Spec, halved, head, whole
from mstl_edge_models.backbones.layers import Kernel, channels, convolution, shuffled

_GROUPS, _STEM = 3, 24
_STAGES, _REPEATS = (240, 480, 960), (4, 8, 4)
"""Channels at width 1 and blocks of stages 2 to 4."""
_FIRST = "s2_0"
_PARAMETERS = {"0.5": 249_564, "1.0": 929_208}


def build(keras: Any, spec: Spec) -> Any:
    """Return ShuffleNet without its head, flat, with random weights."""
    image = keras.Input((spec.input_size, spec.input_size, 3))
    x = convolution(keras, image, "conv1", Kernel(_stem(spec.variant), 3, 2))
    x = keras.layers.MaxPooling2D(3, strides=2, padding="same", name="pool1")(x)
    for stage, (wide, repeats) in enumerate(zip(_STAGES, _REPEATS, strict=True), 2):
        for number in range(repeats):
            x = _block(keras, x, f"s{stage}_{number}", int(wide * float(spec.variant)), number == 0)
    return keras.Model(image, x, name="shufflenet_v1")


def _block(keras: Any, x: Any, name: str, wide: int, halving: bool) -> Any:
    """Return a bottleneck of a quarter of the channels, joined to the mean of its input where it halves, else added to it."""
    whole_input = name == _FIRST  # too few channels for groups
    made = wide - x.shape[-1] if halving else wide
    main = _grouped(keras, x, f"{name}_pw1", wide // 4, 1 if whole_input else _GROUPS)
    main = keras.layers.ReLU(name=f"{name}_pw1_relu")(main)
    main = shuffled(keras, main, name, _GROUPS)
    main = convolution(keras, main, f"{name}_dw", Kernel(None, 3, 2 if halving else 1), relu=None)
    main = _grouped(keras, main, f"{name}_pw2", made, _GROUPS)
    if halving:
        beside = keras.layers.AveragePooling2D(3, strides=2, padding="same", name=f"{name}_pool")(x)
        joined = keras.layers.Concatenate(name=f"{name}_concat")([beside, main])
    else:
        joined = keras.layers.Add(name=f"{name}_add")([x, main])
    return keras.layers.ReLU(name=f"{name}_relu")(joined)


def _grouped(keras: Any, x: Any, name: str, filters: int, groups: int) -> Any:
    """Return a grouped pointwise convolution and its BatchNorm, one convolution a group: TensorFlow trains no others on a CPU."""
    if groups == 1:
        return convolution(keras, x, name, Kernel(filters), relu=None)
    reads, makes = x.shape[-1] // groups, filters // groups
    parts = [
        keras.layers.Conv2D(makes, 1, use_bias=False, name=f"{name}_{group}")(
            channels(keras, x, f"{name}_{group}_in", group * reads, reads)
        )
        for group in range(groups)
    ]
    joined = keras.layers.Concatenate(name=f"{name}_concat")(parts)
    return keras.layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn")(joined)


def _stem(variant: str) -> int:
    return int(_STEM * float(variant))


def cut_points(variant: str) -> tuple[CutPoint, ...]:
    """Return a cut point in front of each block."""
    points, entering = [CutPoint("conv1", 3, whole)], _stem(variant)
    for stage, (wide, repeats) in enumerate(zip(_STAGES, _REPEATS, strict=True), 2):
        for number in range(repeats):
            points.append(CutPoint(f"s{stage}_{number}", entering, halved(stage + (number > 0))))
            entering = int(wide * float(variant))
    return (*points, head(entering))


BACKBONE = Backbone(
    name="shufflenet_v1",
    variants=("0.5", "1.0"),
    default="1.0",
    cut_points=cut_points,
    build=build,
    parameters=_PARAMETERS.__getitem__,
    weights=lambda spec: None,
)
