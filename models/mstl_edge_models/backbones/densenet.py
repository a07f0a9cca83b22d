"""DenseNet121 (Huang et al. 2017, arXiv:1608.06993), as `keras.applications` builds it: a heavy reference."""

from __future__ import annotations

from typing import Any

from mstl_edge_models.backbones.base import Backbone, CutPoint, Published, Spec, halved, head, whole

_BLOCKS, _GROWTH = (6, 12, 24, 16), 32
_URL = "https://storage.googleapis.com/tensorflow/keras-applications/densenet/"
_FILE = "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5"


def build(keras: Any, spec: Spec) -> Any:
    """Return DenseNet121 without its head, flat, with random weights."""
    return keras.applications.DenseNet121(
        input_shape=(spec.input_size, spec.input_size, 3), include_top=False, weights=None
    )


def cut_points(variant: str) -> tuple[CutPoint, ...]:
    """Return a cut point in front of each dense layer and of each transition."""
    points, channels = [CutPoint("conv1", 3, whole)], 64
    for stage, layers in enumerate(_BLOCKS, 2):
        for layer in range(1, layers + 1):
            points.append(CutPoint(f"conv{stage}_block{layer}", channels, halved(stage)))
            channels += _GROWTH
        if stage < len(_BLOCKS) + 1:
            points.append(CutPoint(f"pool{stage}", channels, halved(stage)))
            channels //= 2
    return (*points, head(channels))


BACKBONE = Backbone(
    name="densenet",
    variants=("121",),
    default="121",
    cut_points=cut_points,
    build=build,
    parameters=lambda variant: 7_037_504,
    weights=lambda spec: Published(_FILE, _URL + _FILE, "md5:30ee3e1110167f948a6b9946edeeb738"),
    normalization="torch",
)
