"""The registry of architectures: one file each, all read the same way."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mstl_edge_models.backbones import mobilenet_v1
from mstl_edge_models.backbones.base import HEAD, Backbone, CutPoint, Published, Spec

REGISTRY: Mapping[str, Backbone] = MappingProxyType({backbone.name: backbone for backbone in (mobilenet_v1.BACKBONE,)})

__all__ = ["HEAD", "REGISTRY", "Backbone", "CutPoint", "Published", "Spec"]
