"""Why int8 is as much faster or slower than float as it is: one sentence from facts."""

from __future__ import annotations

from collections.abc import Sequence

from mstl_edge_bench.cpu import dot_product
from mstl_edge_bench.delegate import Coverage

EQUAL = 0.05
"""Ratios closer to 1 than this are called equal."""


def explain_speedup(
    speedup: float, coverage: Coverage, *, runtime_kind: str, features: Sequence[str], bits: int, scheme: str = "int8"
) -> str:
    """Return one sentence.

    Args:
        speedup: Float latency / int8 latency.
        coverage: Operators of the int8 model, and how many of them XNNPACK runs.
        runtime_kind: Which runtime.
        features: CPU flags, as in `result.Host`.
        bits: Of a pointer.
        scheme: How the faster or slower model is quantized.
    """
    return f"{_ratio(speedup, scheme)}: {_cause(speedup, coverage, runtime_kind, features, bits)}."


def _ratio(speedup: float, scheme: str) -> str:
    if abs(speedup - 1) <= EQUAL:
        return f"{scheme} is as fast as float"
    if speedup > 1:
        return f"{scheme} is {speedup:.1f} times as fast as float"
    return f"{scheme} takes {1 / speedup:.1f} times as long as float"


def _cause(speedup: float, coverage: Coverage, runtime_kind: str, features: Sequence[str], bits: int) -> str:
    if runtime_kind == "reference":
        return "reference kernels are plain loops made for checking, not for speed"
    if coverage.delegated < coverage.operators / 2:
        others = coverage.operators - coverage.delegated
        return (
            f"XNNPACK took {coverage.delegated} of the {coverage.operators} operators, so {others} ran in "
            f"{runtime_kind}'s own kernels{_advice(runtime_kind)}"
        )
    taken = f"XNNPACK runs {coverage.delegated} of {coverage.operators} operators"
    wide = dot_product(features)
    if wide is not None and bits == 64:
        reason = f"this CPU sums int8 products by {wide}"
        return (
            f"{taken} and {reason}"
            if speedup > 1
            else f"{taken} and {reason}, yet the model is too small to gain by it"
        )
    if wide is not None:
        return f"{taken}, but a {bits}-bit program uses little of the CPU's {wide}"
    narrow = "without dot-product instructions int8 gains mainly by moving fewer bytes"
    return f"{taken}, and {narrow}{'' if bits == 64 else f' ({bits} bit)'}"


def _advice(runtime_kind: str) -> str:
    return "; LiteRT's XNNPACK takes int8" if runtime_kind == "tflite-runtime" else ""
