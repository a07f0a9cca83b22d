"""MobileNet V1 (Howard et al. 2017, arXiv:1704.04861), as `keras.applications` builds it."""

from __future__ import annotations

from typing import Any

from mstl_edge_models.backbones.base import Backbone, CutPoint, Published, Spec, halved, head, whole

_CHANNELS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
"""Of the stem and of each block, at width 1."""
_HALVING = (2, 4, 6, 12)
"""Blocks with a stride of 2, in their depthwise convolution."""
_URL = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet/"
_WIDTHS = {"0.25": "2_5", "0.5": "5_0", "0.75": "7_5", "1.0": "1_0"}
_SIZES = (128, 160, 192, 224)
_DIGESTS = {"mobilenet_2_5_224_tf_no_top.h5": "sha256:dbdb03ee2a22fd895301636cd328b234bb3a9952358f436d82f46b81e0d5b0bf"}


def build(keras: Any, spec: Spec) -> Any:
    """Return MobileNet V1 without its head, flat, with random weights."""
    return keras.applications.MobileNet(
        input_shape=(spec.input_size, spec.input_size, 3), alpha=float(spec.variant), include_top=False, weights=None
    )


def cut_points(variant: str) -> tuple[CutPoint, ...]:
    """Return a cut point in front of the stem and of each convolution."""
    points, halvings = [CutPoint("conv1", 3, whole)], 1
    for block in range(1, len(_CHANNELS)):
        channels = int(_CHANNELS[block - 1] * float(variant))
        points.append(CutPoint(f"conv_dw_{block}", channels, halved(halvings)))
        halvings += block in _HALVING
        points.append(CutPoint(f"conv_pw_{block}", channels, halved(halvings)))
    return (*points, head(int(_CHANNELS[-1] * float(variant))))


def parameters(variant: str) -> int:
    """Return the numbers in a weights file: kernels, and four for each channel that BatchNorm follows."""
    stem, *outputs = (int(channels * float(variant)) for channels in _CHANNELS)
    blocks = zip([stem, *outputs], outputs, strict=False)
    return (3 * 9 + 4) * stem + sum((9 + 4) * entering + (entering + 4) * leaving for entering, leaving in blocks)


def weights(spec: Spec) -> Published | None:
    """Return Keras' own `no_top` weights; other input sizes take those for 224, as Keras does."""
    size = spec.input_size if spec.input_size in _SIZES else 224
    name = f"mobilenet_{_WIDTHS.get(spec.variant)}_{size}_tf_no_top.h5"
    return Published(name, _URL + name, _DIGESTS.get(name, "")) if spec.variant in _WIDTHS else None


BACKBONE = Backbone(
    name="mobilenet_v1",
    variants=tuple(_WIDTHS),
    default="1.0",
    cut_points=cut_points,
    build=build,
    parameters=parameters,
    weights=weights,
    bundled={"0.25": "mobilenet_v1_0.25_bundled.h5"},
    any_width=True,
)
