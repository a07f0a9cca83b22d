"""ShuffleNetV2 as torchvision publishes it.

torchvision deals the channels out behind a block and then halves them; the network here deals them out in front of the next one,
into even and odd. Both let half of the channels pass by, and they are the same network once each new channel stands where it
passes by as many blocks as it does there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mstl_edge_models.convert.layout import (
    Array,
    Layout,
    Row,
    Shapes,
    batch_norm,
    depthwise,
    kernel,
    of_torchvision_head,
)

_REPEATS = {2: 4, 3: 8, 4: 4}
_STAGES = {"0.5": (48, 96, 192), "1.0": (116, 232, 464), "1.5": (176, 352, 704)}
_STEM, _LAST = 24, 1024
Order = list[int]
"""At each of our channels, which of theirs it is."""
Dealing = Callable[[int, int], int | None]
"""A channel of what a block joins, and half of them → its place among those that pass the next block by; None if it enters it."""


@dataclass(frozen=True)
class Block:
    """How the channels of a block stand: those that enter it, those that its two branches give."""

    entering: Order
    beside: Order
    main: Order


def _dealt_there(channel: int, half: int) -> int | None:
    place = _shuffled(channel, half)
    return place if place < half else None


def _shuffled(channel: int, half: int) -> int:
    """Return where torchvision's shuffle of two groups puts a channel."""
    return 2 * (channel % half) + channel // half


def _dealt_here(channel: int, half: int) -> int | None:
    return None if channel % 2 else channel // 2


def _passed(channel: int, half: int, left: int, dealt: Dealing) -> int:
    """Return how many of the blocks that are left a channel passes by."""
    for block in range(left):
        place = dealt(channel, half)
        if place is None:
            return block
        channel = place
    return left


def _matched(first: int, half: int, left: int) -> Order:
    """Return new channels, `first` and the `half` from there, so that each passes by as many blocks here as there."""
    here, there = (
        sorted(range(half), key=lambda place: _passed(first + place, half, left, dealt))
        for dealt in (_dealt_here, _dealt_there)
    )
    order = [0] * half
    for ours, theirs in zip(here, there, strict=True):
        order[ours] = theirs
    return order


def _blocks(repeats: int, half: int, entering: Order) -> tuple[list[Block], Order]:
    """Return how the channels of a stage's blocks stand, and how those that leave it do."""
    left = repeats - 1
    first = Block(entering, _matched(0, half, left), _matched(half, half, left))
    blocks, joined = [first], [*first.beside, *(half + channel for channel in first.main)]
    for number in range(1, repeats):
        passing = [_dealt_there(joined[place], half) for place in range(0, 2 * half, 2)]
        inside = [_shuffled(joined[place], half) - half for place in range(1, 2 * half, 2)]
        beside = [place for place in passing if place is not None]
        assert len(beside) == half, "both orders let the same channels pass by"
        blocks.append(Block(inside, beside, _matched(half, half, left - number)))
        joined = [*beside, *(half + channel for channel in blocks[-1].main)]
    return blocks, [_shuffled(channel, half) for channel in joined]


def _variant(shapes: Shapes) -> str | None:
    wide = tuple(2 * shapes.get(f"stage{stage}.0.branch2.5.weight", (0,))[0] for stage in _REPEATS)
    last = shapes.get("conv5.0.weight", (0,))[0]
    return next((name for name, widths in _STAGES.items() if (widths, _LAST) == (wide, last)), None)


def _pointwise(
    ours: str, theirs: str, number: int, entering: Order | None = None, given: Order | None = None
) -> list[Row]:
    """Return the rows of a convolution and of the BatchNorm behind it."""

    def change(tensor: Array) -> Array:
        tensor = tensor if entering is None else tensor[:, np.asarray(entering)]
        return kernel(tensor if given is None else tensor[np.asarray(given)])

    return [
        Row(f"{ours}/kernel", f"{theirs}.{number}.weight", change),
        *batch_norm(f"{ours}_bn", f"{theirs}.{number + 1}", given),
    ]


def _depthwise(ours: str, theirs: str, number: int, order: Order | None = None) -> list[Row]:
    def change(tensor: Array) -> Array:
        return depthwise(tensor if order is None else tensor[np.asarray(order)])

    return [
        Row(f"{ours}/depthwise_kernel", f"{theirs}.{number}.weight", change),
        *batch_norm(f"{ours}_bn", f"{theirs}.{number + 1}", order),
    ]


def _rows(variant: str) -> Sequence[Row]:
    rows, order = _pointwise("conv1", "conv1", 0), list(range(_STEM))
    for stage, wide in zip(_REPEATS, _STAGES[variant], strict=True):
        blocks, leaving = _blocks(_REPEATS[stage], wide // 2, order)
        for number, block in enumerate(blocks):
            ours, theirs = f"s{stage}_{number}", f"stage{stage}.{number}.branch"
            rows += [
                *_pointwise(f"{ours}_pw1", f"{theirs}2", 0, block.entering),
                *_depthwise(f"{ours}_dw", f"{theirs}2", 3),
                *_pointwise(f"{ours}_pw2", f"{theirs}2", 5, None, block.main),
            ]
            if number == 0:
                rows += [
                    *_depthwise(f"{ours}_proj_dw", f"{theirs}1", 0, block.entering),
                    *_pointwise(f"{ours}_proj_pw", f"{theirs}1", 2, block.entering, block.beside),
                ]
        order = leaving
    return [*rows, *_pointwise("conv5", "conv5", 0, order)]


LAYOUT = Layout(
    name="torchvision's ShuffleNetV2",
    backbone="shufflenet_v2",
    variants=tuple(_STAGES),
    variant=_variant,
    rows=_rows,
    of_the_head=of_torchvision_head("fc."),
)
