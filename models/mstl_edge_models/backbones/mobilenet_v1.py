"""MobileNet V1 (Howard et al. 2017, arXiv:1704.04861), as `keras.applications` builds it."""

from __future__ import annotations

from typing import Any

from mstl_edge_models.backbones.base import Backbone, Spec

_BLOCKS = 13
_CHANNELS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
"""Of the stem and of each block, at width 1."""
_HALVING = (2, 4, 6, 12)
"""Blocks with a stride of 2."""
_IMAGENET_ALPHAS = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}
_IMAGENET_SIZES = (128, 160, 192, 224)


def build(keras: Any, spec: Spec) -> Any:
    """Return MobileNet V1 without its head, flat, with random weights.

    Args:
        keras: The Keras to build with.
        spec: Width multiplier and input size (at least 32).
    """
    return keras.applications.MobileNet(
        input_shape=(spec.input_size, spec.input_size, 3), alpha=spec.alpha, include_top=False, weights=None
    )


def values_before(spec: Spec, layer: str) -> int:
    """Return how many values enter a layer, for one image."""
    if layer == "conv1":
        return spec.input_size * spec.input_size * 3
    part, block = layer.removeprefix("conv_").split("_")
    before = int(block) - 1
    halvings = 1 + sum(step <= before for step in _HALVING) + (part == "pw" and int(block) in _HALVING)
    side: int = -(-spec.input_size // 2**halvings)
    return side * side * int(_CHANNELS[before] * spec.alpha)


def imagenet_file(spec: Spec) -> str | None:
    """Return the name of Keras' own `no_top` weights file; other input sizes use the one for 224, as Keras does."""
    alpha = _IMAGENET_ALPHAS.get(spec.alpha)
    size = spec.input_size if spec.input_size in _IMAGENET_SIZES else 224
    return f"mobilenet_{alpha}_{size}_tf_no_top.h5" if alpha else None


BACKBONE = Backbone(
    name="mobilenet_v1",
    variants=("0.25", "0.5", "0.75", "1.0"),
    layers=("conv1", *(f"conv_{part}_{block}" for block in range(1, _BLOCKS + 1) for part in ("dw", "pw"))),
    build=build,
    values_before=values_before,
    imagenet_file=imagenet_file,
    imagenet_url="https://storage.googleapis.com/tensorflow/keras-applications/mobilenet/",
    bundled_file="mobilenet_v1_0.25_bundled.h5",
    bundled_alpha=0.25,
)
