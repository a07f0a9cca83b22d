"""SqueezeNet 1.1 as torchvision publishes it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mstl_edge_models.backbones.base import IMAGENET_BGR_MEAN, IMAGENET_DEVIATION, IMAGENET_MEAN
from mstl_edge_models.convert.layout import Array, Layout, Row, Shapes, kernel, of_torchvision_head

_FIRES = {2: 3, 3: 4, 4: 6, 5: 7, 6: 9, 7: 10, 8: 11, 9: 12}
"""Place of each fire module among torchvision's `features`."""
_MEAN, _DEVIATION = np.array(IMAGENET_MEAN), np.array(IMAGENET_DEVIATION)
_BGR_MEAN = np.array(IMAGENET_BGR_MEAN)


def _variant(shapes: Shapes) -> str | None:
    return "1.1" if shapes.get("features.0.weight") == (64, 3, 3, 3) and "features.3.squeeze.weight" in shapes else None


def _for_other_pixels(tensor: Array) -> Array:
    """Return the first kernel for blue, green, red less their means; theirs expects red, green, blue in [0, 1], less a mean, over
    a deviation. It pads nothing, so that with `_for_another_mean` this is exact.
    """
    for_pixels: Array = kernel(tensor) / (255.0 * _DEVIATION).reshape(1, 1, 3, 1)
    return for_pixels[:, :, ::-1].astype(np.float32)


def _for_another_mean(bias: Array, tensor: Array) -> Array:
    apart = (_BGR_MEAN[::-1] / 255.0 - _MEAN) / _DEVIATION
    added: Array = np.einsum("hwio,i->o", kernel(tensor).astype(np.float64), apart)
    return (bias + added).astype(np.float32)


def _rows(variant: str) -> Sequence[Row]:
    rows = [
        Row("conv1/kernel", "features.0.weight", _for_other_pixels),
        Row("conv1/bias", "features.0.bias", _for_another_mean, beside=("features.0.weight",)),
    ]
    for number, place in _FIRES.items():
        for part in ("squeeze", "expand1x1", "expand3x3"):
            ours = f"fire{number}/{'squeeze1x1' if part == 'squeeze' else part}"
            theirs = f"features.{place}.{part}"
            rows += [Row(f"{ours}/kernel", f"{theirs}.weight", kernel), Row(f"{ours}/bias", f"{theirs}.bias")]
    return rows


LAYOUT = Layout(
    name="torchvision's SqueezeNet 1.1",
    backbone="squeezenet",
    variants=("1.1",),
    variant=_variant,
    rows=_rows,
    of_the_head=of_torchvision_head("classifier."),
)
