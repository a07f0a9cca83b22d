"""The registry of architectures: one file each, all read the same way."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mstl_edge_models.backbones import (
    densenet,
    efficientnet_lite,
    inception_v3,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    nasnet_mobile,
    plexusnet,
    resnet,
    shufflenet_v1,
    shufflenet_v2,
    squeezenet,
)
from mstl_edge_models.backbones.base import HEAD, Backbone, CutPoint, Published, Spec

_LIGHT = (
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    efficientnet_lite,
    shufflenet_v1,
    shufflenet_v2,
    squeezenet,
    nasnet_mobile,
    plexusnet,
)
_HEAVY = (resnet, densenet, inception_v3)
REGISTRY: Mapping[str, Backbone] = MappingProxyType({file.BACKBONE.name: file.BACKBONE for file in (*_LIGHT, *_HEAVY)})

__all__ = ["HEAD", "REGISTRY", "Backbone", "CutPoint", "Published", "Spec"]
