"""MobileNetV3-Small as it is recovered from an int8 file: BatchNorm absorbed, blocks `b0` … `b10`.

Of a squeeze-and-excite gate relu6(x + 3) / 6 such a file holds the 3 in the bias of the convolution in front of it, and the 1/6 in
the projection behind it; Keras has both as operators.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from mstl_edge_models.convert.layout import Array, Layout, Row, Shapes, as_it_is

_EPSILON = 1e-3
"""Of every BatchNorm of Keras' MobileNetV3."""
_BLOCKS, _WITHOUT_GATE, _WITHOUT_EXPANSION = 11, (1, 2), (0,)
_MARKS = {"conv/kernel": (3, 3, 3, 16), "last/kernel": (1, 1, 96, 576), "b0_se1/kernel": (1, 1, 16, 8)}


def _variant(shapes: Shapes) -> str | None:
    return "small" if all(shapes.get(name) == shape for name, shape in _MARKS.items()) else None


def _without_norm(
    ours: str, theirs: str, *, kind: str = "kernel", change: Callable[[Array], Array] = as_it_is
) -> list[Row]:
    """Return the rows of a convolution whose BatchNorm was absorbed: one that adds the bias stands for it."""
    norm = f"{ours}/BatchNorm"
    bias = f"{theirs}/bias"
    return [
        Row(f"{ours}/{kind}", f"{theirs}/{kind}", change),
        Row(f"{norm}/gamma", bias, lambda tensor: np.full_like(tensor, math.sqrt(1.0 + _EPSILON))),
        Row(f"{norm}/beta", bias),
        Row(f"{norm}/moving_mean", bias, np.zeros_like),
        Row(f"{norm}/moving_variance", bias, np.ones_like),
    ]


def _without_three(bias: Array) -> Array:
    return bias - np.float32(3.0)


def _times_six(projection: Array) -> Array:
    return projection * np.float32(6.0)


def _rows(variant: str) -> Sequence[Row]:
    rows = _without_norm("Conv", "conv")
    for block in range(_BLOCKS):
        ours, theirs = f"expanded_conv_{block}" if block else "expanded_conv", f"b{block}"
        gated = block not in _WITHOUT_GATE
        if block not in _WITHOUT_EXPANSION:
            rows += _without_norm(f"{ours}/expand", f"{theirs}_expand")
        rows += _without_norm(f"{ours}/depthwise", f"{theirs}_dw", kind="depthwise_kernel")
        if gated:
            gate = f"{ours}/squeeze_excite"
            rows += [
                Row(f"{gate}/Conv/kernel", f"{theirs}_se1/kernel"),
                Row(f"{gate}/Conv/bias", f"{theirs}_se1/bias"),
                Row(f"{gate}/Conv_1/kernel", f"{theirs}_se2/kernel"),
                Row(f"{gate}/Conv_1/bias", f"{theirs}_se2/bias", _without_three),
            ]
        rows += _without_norm(f"{ours}/project", f"{theirs}_project", change=_times_six if gated else as_it_is)
    return [*rows, *_without_norm("Conv_1", "last")]


LAYOUT = Layout(
    name="MobileNetV3-Small with BatchNorm absorbed",
    backbone="mobilenet_v3",
    variants=("small",),
    variant=_variant,
    rows=_rows,
    of_the_head=lambda name: False,
)
