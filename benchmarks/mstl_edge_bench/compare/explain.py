"""Why int8 is as much faster or slower than float as it is: one sentence, of facts that were looked up on this machine."""

from __future__ import annotations

from collections.abc import Sequence

from mstl_edge.metrics import Interval
from mstl_edge.schemas.bench import Host
from mstl_edge_bench.machine.cpu import dot_product
from mstl_edge_bench.machine.delegate import Coverage

_INT8_SCHEMES = ("int8", "dynamic")
"""Those whose products are of int8; float16 is computed in float32."""


def explain_speedup(
    speedup: Interval,
    coverage: Coverage,
    float_coverage: Coverage,
    *,
    host: Host,
    runtime_kind: str,
    scheme: str,
) -> str:
    """Return one sentence, to stand beside the ratio.

    It says what was looked up; which of it causes the ratio was not measured, so it is not claimed.

    Args:
        speedup: Float latency / int8 latency with its interval.
        coverage: Operators of the int8 model, and how many of them XNNPACK runs.
        float_coverage: The same of the float model.
        host: Whose CPU, and how many bits of it the program uses.
        runtime_kind: Which runtime.
        scheme: How the faster or slower model is quantized.
    """
    facts = [_kernels(speedup, coverage, float_coverage, runtime_kind)]
    if runtime_kind != "reference" and scheme in _INT8_SCHEMES:
        facts.append(_products(host.features))
    if host.bits != 64:
        facts.append(f"the program is one of {host.bits} bit")
    return f"{facts[0][0].upper()}{'; '.join(facts)[1:]}."


def _kernels(speedup: Interval, coverage: Coverage, float_coverage: Coverage, runtime_kind: str) -> str:
    if runtime_kind == "reference":
        return "both ran in reference kernels, plain loops made for checking"
    if coverage.delegated >= coverage.operators / 2:
        told = ", ".join(f"{kind}{f' ({count})' if count > 1 else ''}" for kind, count in coverage.others.items())
        return f"XNNPACK runs {coverage.delegated} of {coverage.operators} operators{told and f', not {told}'}"
    others = coverage.operators - coverage.delegated
    advice = "; LiteRT's XNNPACK takes int8" if runtime_kind == "tflite-runtime" and speedup.high < 1 else ""
    return (
        f"XNNPACK took {coverage.delegated} of the {coverage.operators} operators ({float_coverage.delegated} of "
        f"{float_coverage.operators} in float), and the other {others} ran in {runtime_kind}'s own kernels{advice}"
    )


def _products(features: Sequence[str]) -> str:
    wide = dot_product(features)
    if wide is not None:
        return f"this CPU has {wide}"
    return "this CPU has no int8 dot product" if features else "this CPU does not tell its instructions"
