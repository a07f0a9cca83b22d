"""What every architecture tells about itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


class Spec(Protocol):
    """The part of a recipe that an architecture is built from."""

    @property
    def alpha(self) -> float:
        """Width multiplier."""

    @property
    def input_size(self) -> int:
        """Height and width of the input in pixels."""


@dataclass(frozen=True)
class Backbone:
    """One architecture without its head.

    Attributes:
        name: How a recipe names it.
        variants: Names of its sizes, from small to large; for an architecture with a width multiplier, its published values.
        layers: Names of the layers that `unfreeze_from` may name, from input to output.
        build: `(keras, spec)` → a flat functional model `(batch, input_size, input_size, 3) float32 in [-1, 1)` →
            `(batch, height, width, channels)`, with random weights. The framework is handed in, so that this package imports none.
        values_before: `(spec, layer)` → how many values the tensor has that enters a layer: what is stored of an image where
            everything below it stays frozen.
        imagenet_file: `spec` → name of the file in which Keras publishes the ImageNet weights, or None where it has none.
        imagenet_url: Where Keras downloads that file from.
        bundled_file: Name of the small weights file in `mstl_edge_models/weights`, or None.
        bundled_alpha: Width multiplier of the bundled weights.
    """

    name: str
    variants: tuple[str, ...]
    layers: tuple[str, ...]
    build: Callable[[Any, Spec], Any]
    values_before: Callable[[Spec, str], int]
    imagenet_file: Callable[[Spec], str | None]
    imagenet_url: str
    bundled_file: str | None = None
    bundled_alpha: float | None = None
