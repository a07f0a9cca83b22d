"""Weights of MobileNetV3-Small whose BatchNorm is absorbed → the layout of `keras.applications`.

    python models/convert/mobilenet_v3_folded.py FOLDED.h5 KERAS.h5

The file it reads has blocks `b0` to `b10` with `_expand _dw _se1 _se2 _project` between `conv` and `last`, each with a bias. Two
parts of the hard sigmoid are in its neighbours: +3 in the bias of `_se2`, 1/6 in the kernel of `_project`. What it writes has each
BatchNorm as an identity with that bias. Every tensor that is mapped is printed; one that is left over is an error.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from mstl_edge.recipe import BackboneSpec
from mstl_edge.training.network.classifier import build_backbone

EPSILON = 1e-3
BLOCKS = 11


def main(source: Path, target: Path) -> None:
    """Map every tensor, and save what Keras loads."""
    with h5py.File(source, "r") as file:
        names = [name.decode() if isinstance(name, bytes) else name for name in file.attrs["layer_names"]]
        folded = {name: [np.asarray(file[name][one]) for one in file[name].attrs["weight_names"]] for name in names}
    folded = {name: arrays for name, arrays in folded.items() if arrays}
    model = build_backbone(BackboneSpec(name="mobilenet_v3", variant="small"))
    for old, new, arrays in _mapped(folded):
        layer = model.get_layer(new)
        layer.set_weights(arrays)
        print(f"{old} → {new}: {', '.join(str(array.shape) for array in arrays)}")  # noqa: T201
    if folded:
        sys.exit(f"expected no tensor but those of MobileNetV3-Small. Received: {', '.join(folded)}")
    model.save_weights(str(target), save_format="h5")


def _mapped(folded: dict[str, list[NDArray[np.float32]]]) -> Iterator[tuple[str, str, list[NDArray[np.float32]]]]:
    """Yield the old name, the new one, and the arrays of each layer; what is yielded is taken out of `folded`."""
    yield from _convolution(folded, "conv", "Conv", "Conv/BatchNorm")
    for number in range(BLOCKS):
        old, new = f"b{number}", f"expanded_conv_{number}" if number else "expanded_conv"
        gated = f"{old}_se1" in folded
        if number:
            yield from _convolution(folded, f"{old}_expand", f"{new}/expand", f"{new}/expand/BatchNorm")
        yield from _convolution(folded, f"{old}_dw", f"{new}/depthwise", f"{new}/depthwise/BatchNorm")
        if gated:
            yield f"{old}_se1", f"{new}/squeeze_excite/Conv", folded.pop(f"{old}_se1")
            kernel, bias = folded.pop(f"{old}_se2")
            yield f"{old}_se2", f"{new}/squeeze_excite/Conv_1", [kernel, bias - 3.0]
        scale = 6.0 if gated else 1.0
        yield from _convolution(folded, f"{old}_project", f"{new}/project", f"{new}/project/BatchNorm", scale)
    yield from _convolution(folded, "last", "Conv_1", "Conv_1/BatchNorm")


def _convolution(
    folded: dict[str, list[NDArray[np.float32]]], old: str, new: str, norm: str, scale: float = 1.0
) -> Iterator[tuple[str, str, list[NDArray[np.float32]]]]:
    kernel, bias = folded.pop(old)
    yield old, new, [kernel * np.float32(scale)]
    ones, zeros = np.ones_like(bias), np.zeros_like(bias)
    yield old, norm, [ones, bias, zeros, ones * np.float32(1.0 - EPSILON)]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
