"""What a layout of weights is: rows from a tensor's name there to its name here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Shapes = Mapping[str, tuple[int, ...]]


def as_it_is(tensor: Array) -> Array:
    """Return a tensor unchanged."""
    return tensor


def kernel(tensor: Array) -> Array:
    """Return PyTorch's kernel `(out, in, height, width)` as Keras has it, `(height, width, in, out)`."""
    return np.ascontiguousarray(tensor.transpose(2, 3, 1, 0))


def depthwise(tensor: Array) -> Array:
    """Return PyTorch's depthwise kernel `(channels, 1, height, width)` as Keras has it, `(height, width, channels, 1)`."""
    return np.ascontiguousarray(tensor.transpose(2, 3, 0, 1))


@dataclass(frozen=True)
class Row:
    """One tensor of the network.

    Attributes:
        ours: `LAYER/WEIGHT`, as Keras names them here.
        theirs: Its name in the file, or that of the tensor it is made of.
        change: From that one to ours.
        beside: More tensors of the file that `change` is given behind that one.
    """

    ours: str
    theirs: str
    change: Callable[..., Array] = as_it_is
    beside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """How others name and shape the weights of one backbone.

    Attributes:
        name: For people.
        backbone: As the registry calls it.
        variants: Which of its variants are published like that.
        variant: Shapes by name → the variant that they are of, None where they are of another layout.
        rows: `variant` → every tensor of the network.
        of_the_head: Whether a tensor belongs to a head, or to training, and is left out.
    """

    name: str
    backbone: str
    variants: tuple[str, ...]
    variant: Callable[[Shapes], str | None]
    rows: Callable[[str], Sequence[Row]]
    of_the_head: Callable[[str], bool]


def batch_norm(ours: str, theirs: str, order: Sequence[int] | None = None) -> list[Row]:
    """Return the rows of a BatchNorm from PyTorch's; `order` says which of their channels stands where."""
    pick = as_it_is if order is None else lambda tensor: tensor[np.asarray(order)]
    return [
        Row(f"{ours}/gamma", f"{theirs}.weight", pick),
        Row(f"{ours}/beta", f"{theirs}.bias", pick),
        Row(f"{ours}/moving_mean", f"{theirs}.running_mean", pick),
        Row(f"{ours}/moving_variance", f"{theirs}.running_var", pick),
    ]


def of_torchvision_head(*prefixes: str) -> Callable[[str], bool]:
    """Return whether a tensor of torchvision's is of its classifier, or counts batches."""
    return lambda name: name.startswith(prefixes) or name.endswith(".num_batches_tracked")
