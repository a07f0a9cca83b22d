"""MobileNetV3 (Howard et al. 2019, arXiv:1905.02244), as `keras.applications` builds it.

The minimalistic variants have neither squeeze-and-excite nor hard-swish nor 5×5 kernels, which int8 bears better.
"""

from __future__ import annotations

from typing import Any

from mstl_edge_models.backbones.base import Backbone, CutPoint, Published, Spec, halved, head, whole

_SMALL = ((16, 2), (24, 2), (24, 1), *((40, s) for s in (2, 1, 1)), (48, 1), (48, 1), *((96, s) for s in (2, 1, 1)))
_LARGE = ((16, 1), (24, 2), (24, 1), *((40, s) for s in (2, 1, 1)), *((80, s) for s in (2, 1, 1, 1)))
_LARGE += ((112, 1), (112, 1), *((160, s) for s in (2, 1, 1)))
_BLOCKS = {"small": _SMALL, "large": _LARGE}
"""Channels and stride of each block."""
_URL = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v3/"
_DIGESTS = {
    "small-minimalistic": "md5:cde8136e733e811080d9fcd8a252f7e4",
    "small": "md5:d3e8ec802a04aa4fc771ee12a9a9b836",
    "large-minimalistic": "md5:ec5221f64a2f6d1ef965a614bdae7973",
    "large": "md5:07fb09a5933dd0c8eaafa16978110389",
}
_PARAMETERS = {"small-minimalistic": 441_000, "small": 939_120, "large-minimalistic": 1_437_608, "large": 2_996_352}


def build(keras: Any, spec: Spec) -> Any:
    """Return MobileNetV3 without its head, flat, with random weights."""
    size, _, minimalistic = spec.variant.partition("-")
    make = {"small": keras.applications.MobileNetV3Small, "large": keras.applications.MobileNetV3Large}[size]
    return make(
        input_shape=(spec.input_size, spec.input_size, 3),
        minimalistic=bool(minimalistic),
        include_top=False,
        weights=None,
        include_preprocessing=False,
    )


def cut_points(variant: str) -> tuple[CutPoint, ...]:
    """Return a cut point in front of each block."""
    points, channels, halvings = [CutPoint("Conv", 3, whole)], 16, 1
    for number, (wide, stride) in enumerate(_BLOCKS[variant.partition("-")[0]]):
        name = f"expanded_conv_{number}" if number else "expanded_conv"
        points.append(CutPoint(name, channels, halved(halvings)))
        channels, halvings = wide, halvings + (stride == 2)
    return (*points, CutPoint("Conv_1", channels, halved(halvings)), head(6 * channels))


def weights(spec: Spec) -> Published:
    """Return Keras' own `no_top` weights, which are for 224 pixels."""
    size, _, minimalistic = spec.variant.partition("-")
    name = f"weights_mobilenet_v3_{size}{'_minimalistic' if minimalistic else ''}_224_1.0_float_no_top_v2.h5"
    return Published(name, _URL + name, _DIGESTS[spec.variant])


BACKBONE = Backbone(
    name="mobilenet_v3",
    variants=tuple(_DIGESTS),
    default="small",
    cut_points=cut_points,
    build=build,
    parameters=_PARAMETERS.__getitem__,
    weights=weights,
)
