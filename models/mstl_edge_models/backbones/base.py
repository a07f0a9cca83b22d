"""What every architecture tells about itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

HEAD = "head"
"""The cut point that every network has: the head alone is trained, on pooled features."""

Normalization = Literal["tf", "torch", "caffe", "bgr"]
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the channels red, green, blue of ImageNet, in [0, 1]."""
IMAGENET_BGR_MEAN = (103.939, 116.779, 123.68)
"""Of its channels blue, green, red, in [0, 255], as Caffe's networks have it."""
Side = Callable[[int], int]
"""Pixels of an image's side → of a feature map's."""


class Spec(Protocol):
    """The part of a recipe that an architecture is built from."""

    @property
    def variant(self) -> str:
        """Which size of the architecture."""

    @property
    def input_size(self) -> int:
        """Height and width of the input in pixels."""


@dataclass(frozen=True)
class CutPoint:
    """A place where a network can be cut in two; everything above it is trained.

    Attributes:
        name: Of the first block above it, as `unfreeze_from` names it.
        channels: Of the feature map that enters the block.
        side: Of that feature map, for an image of so many pixels.
    """

    name: str
    channels: int
    side: Side

    def values(self, size: int) -> int:
        """Return how many values enter the block for one image of `size` pixels: what is stored where all below stays frozen."""
        return self.side(size) ** 2 * self.channels


def whole(size: int) -> int:
    """Return the side of what is as large as the image."""
    return size


def pooled(size: int) -> int:
    """Return the side of what is one vector."""
    return 1


def halved(times: int) -> Side:
    """Return the side of what was halved so often, rounded up."""
    return lambda size: -(-size // 2**times)


def head(channels: int) -> CutPoint:
    """Return the last cut point of every network."""
    return CutPoint(HEAD, channels, pooled)


def divisible(channels: float, by: int = 8) -> int:
    """Return a number of channels as MobileNets round it: to a multiple, and never down by more than a tenth."""
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded if rounded >= 0.9 * channels else rounded + by


@dataclass(frozen=True)
class Published:
    """A file of ImageNet weights that Keras downloads.

    Attributes:
        name: As it lies in Keras' own cache.
        url: Where it is downloaded from.
        digest: Of its content, `md5:…` as Keras has it or `sha256:…`; empty where nobody says it.
    """

    name: str
    url: str
    digest: str = ""


@dataclass(frozen=True)
class Backbone:
    """One architecture without its head.

    Attributes:
        name: How a recipe names it.
        variants: Its published sizes, from small to large.
        default: The variant that is meant where none is named.
        cut_points: `variant` → where it can be cut, from input to output; the last is `head`.
        build: `(keras, spec)` → a flat functional model `(batch, input_size, input_size, 3) float32` → `(batch, height, width,
            channels)`, with random weights. The framework is handed in, so that this package imports none.
        parameters: `variant` → numbers in a file of its weights without a head, means and variances of BatchNorm included:
            how much it can learn, and how a weights file tells what it is of.
        weights: `spec` → the ImageNet weights that Keras publishes for it, or None.
        normalization: What its weights expect of pixels, in Keras' words: `tf` [−1, 1]; `torch` [0, 1], less the mean of
            ImageNet, over its standard deviation; `caffe` blue, green, red, less their means; `bgr` blue, green, red in
            [0, 1].
        normalization_of: Variant → what its weights expect, where that differs: others trained them.
        bundled: Variant → file in `mstl_edge_models/weights`.
        smallest: Pixels that it needs.
        any_width: Whether a variant is a width multiplier, of which any positive number can be built.
    """

    name: str
    variants: tuple[str, ...]
    default: str
    cut_points: Callable[[str], tuple[CutPoint, ...]]
    build: Callable[[Any, Spec], Any]
    parameters: Callable[[str], int]
    weights: Callable[[Spec], Published | None]
    normalization: Normalization = "tf"
    normalization_of: Mapping[str, Normalization] = field(default_factory=dict)
    bundled: Mapping[str, str] = field(default_factory=dict)
    smallest: int = 32
    any_width: bool = False

    def variant(self, text: str) -> str | None:
        """Return a variant as it is spelled here, `0.25` for `.25`; None where there is none such."""
        if text in self.variants:
            return text
        try:
            number = float(text)
        except ValueError:
            return None
        published = {float(name): name for name in self.variants if _is_number(name)}
        return published.get(number) or (str(number) if self.any_width and 0.0 < number < float("inf") else None)

    def pixels(self, variant: str) -> Normalization:
        """Return what the weights of a variant expect of pixels."""
        return self.normalization_of.get(variant, self.normalization)

    def cut_names(self, variant: str) -> tuple[str, ...]:
        """Return the names of a variant's cut points, from input to output."""
        return tuple(point.name for point in self.cut_points(variant))

    def cut_point(self, variant: str, name: str) -> CutPoint:
        """Return the cut point called `name`."""
        return next(point for point in self.cut_points(variant) if point.name == name)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
