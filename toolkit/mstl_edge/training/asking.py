"""What files say of images, in the runtime that a device uses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mstl_edge.runtime import ask, load_runtime
from mstl_edge.training.fitting.augment import PixelRows


@dataclass(frozen=True)
class Told:
    """What a file said of images.

    Attributes:
        probabilities: `(n, classes)`.
        pooled: `(n, channels)` means of its feature map; None where it does not put it out.
    """

    probabilities: NDArray[np.float32]
    pooled: NDArray[np.float32] | None

    def every(self, views: int) -> Told:
        """Return what was said of the first of each `views` rows: of the images, where their views follow them."""
        return Told(self.probabilities[::views], None if self.pooled is None else self.pooled[::views])


def tell(flatbuffer: bytes, pixels: PixelRows | NDArray[np.uint8], *, threads: int) -> Told:
    """Ask a file about images, one after the other.

    Args:
        flatbuffer: The model.
        pixels: `(n, height, width, 3) uint8`, read one after the other.
        threads: Threads of the engine.
    """
    runtime = load_runtime(flatbuffer, runtime="litert", threads=threads)
    rows, means = np.zeros((len(pixels), runtime.output.shape[-1]), np.float32), []
    for position in range(len(pixels)):
        answer = ask(runtime, np.asarray(pixels[position], dtype=np.uint8))
        rows[position] = answer.probabilities
        if (mean := answer.pooled()) is not None:
            means.append(mean[0])
    return Told(rows, np.stack(means) if means else None)


def answers(flatbuffer: bytes, pixels: PixelRows | NDArray[np.uint8], *, threads: int) -> NDArray[np.float32]:
    """Return the `(n, classes)` probabilities that a file gives; see `tell`."""
    return tell(flatbuffer, pixels, threads=threads).probabilities
