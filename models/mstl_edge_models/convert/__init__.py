"""Weights that others published, in their own layouts: what each tensor is called there and here.

A layout is a list of rows, one for each tensor of the network, so that nothing is mapped by its place. The file is read by
`checkpoint` where it is PyTorch's; no framework is imported, and no pickle is executed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from mstl_edge_models.convert import (
    absorbed_mobilenet_v3,
    torchvision_densenet,
    torchvision_shufflenet_v2,
    torchvision_squeezenet,
)
from mstl_edge_models.convert.layout import Layout, Row, Shapes

LAYOUTS: tuple[Layout, ...] = (
    absorbed_mobilenet_v3.LAYOUT,
    torchvision_shufflenet_v2.LAYOUT,
    torchvision_squeezenet.LAYOUT,
    *torchvision_densenet.LAYOUTS,
)


def layout_of(shapes: Shapes) -> tuple[Layout, str] | None:
    """Return the layout of tensors of such names and shapes, and the variant they are of; None where they are of none."""
    for layout in LAYOUTS:
        variant = layout.variant(shapes)
        if variant is not None:
            return layout, variant
    return None


def converted(layout: Layout, variant: str, tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return tensors by the names that they have here, `LAYER/WEIGHT`.

    Raises:
        KeyError: A tensor is missing, or there is one that no row names; it says which.
    """
    rows = layout.rows(variant)
    named = {name for row in rows for name in (row.theirs, *row.beside)}
    if missing := sorted(named - tensors.keys()):
        raise KeyError(f"no {missing[0]}, which {layout.name} has")
    if unknown := sorted(name for name in tensors.keys() - named if not layout.of_the_head(name)):
        raise KeyError(f"{unknown[0]}, which {layout.name} has not")
    return {row.ours: row.change(*(tensors[name] for name in (row.theirs, *row.beside))) for row in rows}


__all__ = ["LAYOUTS", "Layout", "Row", "Shapes", "converted", "layout_of"]
