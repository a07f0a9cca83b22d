"""ShuffleNetV2 (Ma et al. 2018, arXiv:1807.11164): halves of the channels pass by, and are dealt out anew in each block.

Channels are parted into even and odd ones in front of a block and joined behind it, as the authors' own code does; another order of
the same channels is the same network.
"""

from __future__ import annotations

from typing import Any

from mstl_edge_models.backbones.base import Backbone, CutPoint, Spec, halved, head, whole
from mstl_edge_models.backbones.layers import PYTORCH, Kernel, channels, convolution, shuffled

_STEM = 24
_STAGES = {
    "0.5-no-conv5": ((48, 96, 192), 0),
    "0.5": ((48, 96, 192), 1024),
    "1.0": ((116, 232, 464), 1024),
    "1.5": ((176, 352, 704), 1024),
}
"""Channels of stages 2 to 4 and of the last convolution."""
_REPEATS = (4, 8, 4)
_PARAMETERS = {"0.5-no-conv5": 149_040, "0.5": 349_744, "1.0": 1_269_784, "1.5": 2_502_064}


def build(keras: Any, spec: Spec) -> Any:
    """Return ShuffleNetV2 without its head, flat, with random weights."""
    image = keras.Input((spec.input_size, spec.input_size, 3))
    wide, last = _STAGES[spec.variant]
    x = _convolution(keras, image, "conv1", Kernel(_STEM, 3, 2))
    x = keras.layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = keras.layers.MaxPooling2D(3, strides=2, name="pool1")(x)
    for stage, (count, repeats) in enumerate(zip(wide, _REPEATS, strict=True), 2):
        for number in range(repeats):
            x = (_passing if number else _halving)(keras, x, f"s{stage}_{number}", count)
    return keras.Model(image, _convolution(keras, x, "conv5", Kernel(last)) if last else x, name="shufflenet_v2")


def _convolution(keras: Any, x: Any, name: str, kernel: Kernel, *, relu: bool = True) -> Any:
    return convolution(keras, x, name, kernel, relu=relu, convention=PYTORCH)


def _main(keras: Any, x: Any, name: str, count: int, stride: int) -> Any:
    x = _convolution(keras, x, f"{name}_pw1", Kernel(count))
    return _convolution(keras, x, f"{name}_dw", Kernel(None, 3, stride), relu=False)


def _halving(keras: Any, x: Any, name: str, count: int) -> Any:
    beside = _convolution(keras, x, f"{name}_proj_dw", Kernel(None, 3, 2), relu=False)
    beside = _convolution(keras, beside, f"{name}_proj_pw", Kernel(count // 2))
    main = _main(keras, x, name, count // 2, 2)
    main = _convolution(keras, main, f"{name}_pw2", Kernel(count // 2))
    return keras.layers.Concatenate(name=f"{name}_concat")([beside, main])


def _passing(keras: Any, x: Any, name: str, count: int) -> Any:
    half = count // 2
    dealt = shuffled(keras, x, name, half)
    beside = channels(keras, dealt, f"{name}_even", 0, half)
    main = _main(keras, channels(keras, dealt, f"{name}_odd", half, half), name, half, 1)
    main = _convolution(keras, main, f"{name}_pw2", Kernel(half))
    return keras.layers.Concatenate(name=f"{name}_concat")([beside, main])


def cut_points(variant: str) -> tuple[CutPoint, ...]:
    """Return a cut point in front of each block."""
    wide, last = _STAGES[variant]
    points, entering = [CutPoint("conv1", 3, whole)], _STEM
    for stage, (count, repeats) in enumerate(zip(wide, _REPEATS, strict=True), 2):
        for number in range(repeats):
            points.append(CutPoint(f"s{stage}_{number}", entering, halved(stage + (number > 0))))
            entering = count
    tail = [CutPoint("conv5", entering, halved(5))] if last else []
    return (*points, *tail, head(last or entering))


BACKBONE = Backbone(
    name="shufflenet_v2",
    variants=tuple(_STAGES),
    default="1.0",
    cut_points=cut_points,
    build=build,
    parameters=_PARAMETERS.__getitem__,
    weights=lambda spec: None,
    normalization="torch",
    normalization_of={"0.5-no-conv5": "bgr"},
)
