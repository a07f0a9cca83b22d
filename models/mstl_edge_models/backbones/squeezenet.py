"""SqueezeNet 1.1 (Iandola et al. 2016, arXiv:1602.07360), with the layers of its common Keras weights."""

from __future__ import annotations

from typing import Any

from mstl_edge_models.backbones.base import Backbone, CutPoint, Spec, head, whole

_FIRES = {2: (16, 64), 3: (16, 64), 4: (32, 128), 5: (32, 128), 6: (48, 192), 7: (48, 192), 8: (64, 256), 9: (64, 256)}
"""Squeezed and expanded channels, the latter of each of two kernels."""
_POOLED_BEHIND = (1, 3, 5)


def build(keras: Any, spec: Spec) -> Any:
    """Return SqueezeNet 1.1 without its head, flat, with random weights."""
    image = keras.Input((spec.input_size, spec.input_size, 3))
    x = keras.layers.Conv2D(64, 3, strides=2, padding="valid", name="conv1")(image)
    x = keras.layers.Activation("relu", name="relu_conv1")(x)
    x = keras.layers.MaxPooling2D(3, strides=2, name="pool1")(x)
    for number, (squeezed, expanded) in _FIRES.items():
        fire = f"fire{number}"
        x = keras.layers.Conv2D(squeezed, 1, activation="relu", name=f"{fire}/squeeze1x1")(x)
        small = keras.layers.Conv2D(expanded, 1, activation="relu", name=f"{fire}/expand1x1")(x)
        large = keras.layers.Conv2D(expanded, 3, padding="same", activation="relu", name=f"{fire}/expand3x3")(x)
        x = keras.layers.Concatenate(name=f"{fire}/concat")([small, large])
        if number in _POOLED_BEHIND:
            x = keras.layers.MaxPooling2D(3, strides=2, name=f"pool{number}")(x)
    return keras.Model(image, x, name="squeezenet")


def cut_points(variant: str) -> tuple[CutPoint, ...]:
    """Return a cut point in front of each fire module."""
    points, channels, halvings = [CutPoint("conv1", 3, whole)], 64, 2
    for number, (_, expanded) in _FIRES.items():
        points.append(CutPoint(f"fire{number}", channels, _shrunk(halvings)))
        channels, halvings = 2 * expanded, halvings + (number in _POOLED_BEHIND)
    return (*points, head(channels))


def _shrunk(times: int) -> Any:
    """Return the side behind so many kernels of 3 with a stride of 2 that pad nothing."""

    def side(size: int) -> int:
        for _ in range(times):
            size = (size - 3) // 2 + 1
        return size

    return side


BACKBONE = Backbone(
    name="squeezenet",
    variants=("1.1",),
    default="1.1",
    cut_points=cut_points,
    build=build,
    parameters=lambda variant: 722_496,
    weights=lambda spec: None,
    normalization="caffe",
)
