"""MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381), as `keras.applications` builds it."""

from __future__ import annotations

from typing import Any

from mstl_edge_models.backbones.base import Backbone, CutPoint, Published, Spec, divisible, halved, head, whole

_BLOCKS = ((16, 1), *((24, s) for s in (2, 1)), *((32, s) for s in (2, 1, 1)), *((64, s) for s in (2, 1, 1, 1)))
_BLOCKS += (*((96, 1),) * 3, *((160, s) for s in (2, 1, 1)), (320, 1))
"""Channels at width 1 and stride of each block."""
_URL = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"
_VARIANTS = ("0.35", "0.5", "0.75", "1.0", "1.3", "1.4")
_SIZES = (96, 128, 160, 192, 224)


def build(keras: Any, spec: Spec) -> Any:
    """Return MobileNetV2 without its head, flat, with random weights."""
    return keras.applications.MobileNetV2(
        input_shape=(spec.input_size, spec.input_size, 3), alpha=float(spec.variant), include_top=False, weights=None
    )


def cut_points(variant: str) -> tuple[CutPoint, ...]:
    """Return a cut point in front of each block."""
    width = float(variant)
    points, channels, halvings = [CutPoint("Conv1", 3, whole)], divisible(32 * width), 1
    for number, (wide, stride) in enumerate(_BLOCKS):
        points.append(CutPoint(f"block_{number}" if number else "expanded_conv", channels, halved(halvings)))
        channels, halvings = divisible(wide * width), halvings + (stride == 2)
    return (*points, CutPoint("Conv_1", channels, halved(halvings)), head(divisible(1280 * max(1.0, width))))


def parameters(variant: str) -> int:
    """Return the numbers in a weights file: kernels, and four for each channel that BatchNorm follows."""
    width = float(variant)
    entering, last = divisible(32 * width), divisible(1280 * max(1.0, width))
    count = (3 * 9 + 4) * entering
    for number, (wide, _) in enumerate(_BLOCKS):
        inner, leaving = entering * (6 if number else 1), divisible(wide * width)
        count += (entering + 4) * inner if number else 0
        count += (9 + 4) * inner + (inner + 4) * leaving
        entering = leaving
    return count + (entering + 4) * last


def weights(spec: Spec) -> Published | None:
    """Return Keras' own `no_top` weights; wide ones and other input sizes take those for 224, as Keras does."""
    if spec.variant not in _VARIANTS:
        return None
    size = spec.input_size if spec.input_size in _SIZES and float(spec.variant) <= 1.0 else 224
    name = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{float(spec.variant)}_{size}_no_top.h5"
    return Published(name, _URL + name)


BACKBONE = Backbone(
    name="mobilenet_v2",
    variants=_VARIANTS,
    default="1.0",
    cut_points=cut_points,
    build=build,
    parameters=parameters,
    weights=weights,
    any_width=True,
)
