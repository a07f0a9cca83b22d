"""Where a classifier looks: exact class maps of files that carry their feature map, occlusion maps of all others, and pictures."""

from __future__ import annotations

from mstl_edge.explain.evidence import Evidence, Method, evidence_of

__all__ = ["Evidence", "Method", "evidence_of"]
