from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from mstl_edge.metrics import Interval
from mstl_edge.runtime import load_runtime
from mstl_edge_bench.compare.explain import explain_speedup
from mstl_edge_bench.machine.delegate import Coverage, delegate_coverage
from mstl_edge_bench.machine.host import describe_host

A76, A72 = ("asimd", "asimddp"), ("asimd",)
ALL, NONE = Coverage(31, 31), Coverage(31, 0)
FASTER, SLOWER, UNCLEAR = Interval(2.4, 2.2, 2.6), Interval(0.7, 0.65, 0.75), Interval(1.04, 0.9, 1.2)


def explained(speedup: Interval, coverage: Coverage = ALL, **fields: Any) -> str:
    told = {"features": A76, "bits": 64, "runtime_kind": "litert", "scheme": "int8", **fields}
    host = msgspec.structs.replace(describe_host(), features=told.pop("features"), bits=told.pop("bits"))
    return explain_speedup(speedup, coverage, ALL, host=host, **told)


@pytest.mark.parametrize(
    ("speedup", "coverage", "fields", "sentence"),
    [
        (
            FASTER, ALL, {},
            "XNNPACK runs 31 of 31 operators; "
            "this CPU has int8 dot products (asimddp).",
        ),
        (
            FASTER, ALL, {"features": A72},
            "XNNPACK runs 31 of 31 operators; this CPU has no int8 dot product.",
        ),
        (
            SLOWER, ALL, {"features": A72},
            "XNNPACK runs 31 of 31 operators; "
            "this CPU has no int8 dot product.",
        ),
        (
            SLOWER, NONE, {"runtime_kind": "tflite-runtime", "bits": 32},
            "XNNPACK took 0 of the 31 operators (31 of 31 in float), and the "
            "other 31 ran in tflite-runtime's own kernels; LiteRT's XNNPACK takes int8; "
            "this CPU has int8 dot products (asimddp); the program is one of 32 bit.",
        ),
        (
            UNCLEAR, ALL, {"features": ()},
            "XNNPACK runs 31 of 31 "
            "operators; this CPU does not tell its instructions.",
        ),
        (
            FASTER, NONE, {"runtime_kind": "reference"},
            "Both ran in reference kernels, plain loops made for checking.",
        ),
        (
            FASTER, Coverage(168, 157, {"AVERAGE_POOL_2D": 10, "SOFTMAX": 1}), {},
            "XNNPACK runs 157 of 168 operators, not AVERAGE_POOL_2D (10), SOFTMAX; "
            "this CPU has int8 dot products (asimddp).",
        ),
        (UNCLEAR, ALL, {"scheme": "float16"},
         "XNNPACK runs 31 of 31 operators."),
    ],
)  # fmt: skip
def test_the_ratio_is_explained_in_one_sentence_from_facts(
    speedup: Interval, coverage: Coverage, fields: dict[str, Any], sentence: str
) -> None:
    assert explained(speedup, coverage, **fields) == sentence


@pytest.mark.parametrize("speedup", [SLOWER, UNCLEAR])
@pytest.mark.parametrize("coverage", [ALL, NONE])
@pytest.mark.parametrize("features", [A76, A72, ()])
def test_an_int8_model_that_is_not_faster_is_not_said_to_gain(
    speedup: Interval, coverage: Coverage, features: tuple[str, ...]
) -> None:
    sentence = explained(speedup, coverage, features=features)
    assert "gain" not in sentence
    assert "times" not in sentence
    assert "too small" not in sentence


def test_operators_in_xnnpack_are_counted_from_the_interpreter(models: Path) -> None:
    float_model = load_runtime(models / "tiny_float32.tflite", runtime="litert")
    assert delegate_coverage(float_model.interpreter) == Coverage(6, 6)
    # XNNPACK has no int8 softmax, so the last operator stays with LiteRT.
    int8 = load_runtime(models / "tiny_int8.tflite", runtime="litert")
    assert delegate_coverage(int8.interpreter) == Coverage(6, 5, {"SOFTMAX": 1})


def test_reference_kernels_delegate_nothing(models: Path) -> None:
    runtime = load_runtime(models / "tiny_int8.tflite", runtime="reference")
    assert delegate_coverage(runtime.interpreter) == Coverage(6, 0)


def test_two_delegates_and_an_operator_between_them_are_told_apart() -> None:
    class Interpreter:
        def _get_ops_details(self) -> list[dict[str, object]]:
            chain = [{"op_name": f"OP{n}", "inputs": [n, 90 + n], "outputs": [n + 1]} for n in range(5)]
            delegates = [([0, 90, 91], [2]), ([3, 93, 94], [5])]
            return chain + [{"op_name": "DELEGATE", "inputs": given, "outputs": out} for given, out in delegates]

    assert delegate_coverage(Interpreter()) == Coverage(5, 4, {"OP2": 1})
