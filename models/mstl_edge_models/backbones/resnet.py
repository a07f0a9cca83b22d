"""ResNet50 (He et al. 2016, arXiv:1512.03385), as `keras.applications` builds it: a heavy reference."""

from __future__ import annotations

from typing import Any

from mstl_edge_models.backbones.base import Backbone, CutPoint, Published, Spec, halved, head, whole

_BLOCKS = (3, 4, 6, 3)
_URL = "https://storage.googleapis.com/tensorflow/keras-applications/resnet/"
_FILE = "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"


def build(keras: Any, spec: Spec) -> Any:
    """Return ResNet50 without its head, flat, with random weights."""
    return keras.applications.ResNet50(
        input_shape=(spec.input_size, spec.input_size, 3), include_top=False, weights=None
    )


def cut_points(variant: str) -> tuple[CutPoint, ...]:
    """Return a cut point in front of each residual block."""
    points, channels = [CutPoint("conv1", 3, whole)], 64
    for stage, blocks in enumerate(_BLOCKS, 2):
        for block in range(1, blocks + 1):
            halvings = stage if stage == 2 or block > 1 else stage - 1
            points.append(CutPoint(f"conv{stage}_block{block}", channels, halved(halvings)))
            channels = 64 * 2**stage
    return (*points, head(channels))


BACKBONE = Backbone(
    name="resnet",
    variants=("50",),
    default="50",
    cut_points=cut_points,
    build=build,
    parameters=lambda variant: 23_587_712,
    weights=lambda spec: Published(_FILE, _URL + _FILE, "md5:4d473c1dd8becc155b73f8504c6f6626"),
    normalization="caffe",
)
