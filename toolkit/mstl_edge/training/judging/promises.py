"""What an int8 file promises of itself, held against what is in it."""

from __future__ import annotations

from mstl_edge.artifact import ModelFacts
from mstl_edge.artifact.inspection import WEIGHT_BITS, full_range


def promise_breaches(facts: ModelFacts, *, allow_float: bool, weight_bits: int = WEIGHT_BITS) -> list[str]:
    """List where a file is not what int8 promises: full integer, static, exact input, every kernel channel using its range."""
    breaches = []
    if not allow_float:
        breaches += [f"stays float: {operator}" for operator in facts.float_operators]
        if facts.float_tensors and not facts.float_operators:
            breaches.append(f"float tensors are left: {', '.join(facts.float_tensors[:3])}")
    if (facts.input.dtype, facts.input.scale, facts.input.zero_point) != ("int8", 1 / 128, 0):
        breaches.append(
            f"the input is {facts.input.dtype} with scale {facts.input.scale} and zero point {facts.input.zero_point}, "
            "not int8 with 1/128 and 0"
        )
    if facts.output.dtype != "int8":
        breaches.append(f"the output is {facts.output.dtype}, not int8")
    if not facts.static:
        breaches.append("the batch is dynamic")
    full, integer = full_range(weight_bits), [kernel for kernel in facts.kernels if kernel.dtype == "int8"]
    breaches += [
        f"{kernel.name}: {kernel.short_channels(weight_bits)} of {len(kernel.largest)} channels do not reach |q| = {full}"
        for kernel in integer
        if kernel.short_channels(weight_bits) or not kernel.per_channel
    ]
    breaches += [
        f"{kernel.name}: {kernel.wide_channels(weight_bits)} of {len(kernel.largest)} channels go beyond |q| = {full}"
        for kernel in integer
        if kernel.wide_channels(weight_bits)
    ]
    return breaches
