"""The table of operators: all that passes need to know of a kind, in one row.

How int8 scales pass through a kind is TFLite's quantization specification: an operator has a scale of its own, hands on that of
its input, needs one scale for all that it joins, or has a fixed one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Scale = Literal["own", "through", "shared", "fixed"]


@dataclass(frozen=True)
class Operator:
    """One kind of operator.

    Attributes:
        kind: Its name in a graph.
        scale: `own`: its output has a range of its own. `through`: it has its input's. `shared`: all inputs and the output have
            one. `fixed`: 256 steps from 0 to 1, whatever is computed.
        moves: Whether its values are some of its input's, so that there is nothing to round.
        fuses: Whether a device computes a ReLU behind it in the same operator.
        kernel: Name of the kernel in Keras; empty where there is none.
        outputs: Axis of the kernel that its output channels lie on.
        reads: Axis of the kernel that its input channels lie on.
        why: Why nothing is rounded, in words for a report.
    """

    kind: str
    scale: Scale = "own"
    moves: bool = False
    fuses: bool = False
    kernel: str = ""
    outputs: int = -1
    reads: int = -2
    why: str = ""

    @property
    def convolves(self) -> bool:
        """Whether it has a kernel, and so a bias that may be shifted."""
        return bool(self.kernel)


_MOVES = "moves values without changing them"

TABLE: Mapping[str, Operator] = MappingProxyType({
    row.kind: row
    for row in (
        Operator("input"),
        Operator("conv", fuses=True, kernel="kernel"),
        Operator("depthwise", fuses=True, kernel="depthwise_kernel", outputs=2, reads=2),
        Operator("dense", fuses=True, kernel="kernel"),
        Operator("batch_norm"),
        Operator("relu"),
        Operator("add", fuses=True),
        Operator("multiply", fuses=True),
        Operator("add_constant", fuses=True),
        Operator("multiply_constant", fuses=True),
        Operator("concat", scale="shared", moves=True, why="its inputs have one scale, and it has theirs"),
        Operator("average_pool", scale="through"),
        Operator("max_pool", scale="through", moves=True, why="picks values without changing them"),
        Operator("pad", scale="through", moves=True, why="adds zeros, which are exact in every scale of its input"),
        Operator("crop", scale="through", moves=True, why=_MOVES),
        Operator("reshape", scale="through", moves=True, why=_MOVES),
        Operator("transpose", scale="through", moves=True, why=_MOVES),
        Operator("slice", scale="through", moves=True, why=_MOVES),
        Operator("sigmoid", scale="fixed"),
        Operator("softmax", scale="fixed", why="its output scale is fixed to 1/256 by TFLite"),
    )
})  # fmt: skip
