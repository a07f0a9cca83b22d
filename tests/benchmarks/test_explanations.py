from __future__ import annotations

from pathlib import Path

import pytest

from mstl_edge.runtime import load_runtime
from mstl_edge_bench.delegate import Coverage, delegate_coverage
from mstl_edge_bench.explain import explain_speedup

A76, A72 = ("asimd", "asimddp"), ("asimd",)


@pytest.mark.parametrize(
    ("speedup", "coverage", "kind", "features", "bits", "said"),
    [
        (2.4, Coverage(31, 31), "litert", A76, 64, ("int8 is 2.4 times as fast", "31 of 31", "asimddp")),
        (1.5, Coverage(31, 30), "litert", A72, 64, ("30 of 31", "without dot-product instructions")),
        (1.3, Coverage(31, 30), "litert", A72, 32, ("32 bit",)),
        (1.2, Coverage(31, 31), "litert", A76, 32, ("32-bit program", "asimddp")),
        (
            0.21,
            Coverage(31, 0),
            "tflite-runtime",
            A76,
            64,
            ("takes 4.8 times as long", "0 of the 31", "LiteRT's XNNPACK"),
        ),
        (0.97, Coverage(31, 31), "litert", ("avx_vnni",), 64, ("int8 is as fast as float", "too small")),
        (1.9, Coverage(31, 0), "reference", A76, 64, ("reference kernels",)),
    ],
)
def test_the_ratio_is_explained_in_one_sentence_from_facts(
    speedup: float, coverage: Coverage, kind: str, features: tuple[str, ...], bits: int, said: tuple[str, ...]
) -> None:
    sentence = explain_speedup(speedup, coverage, runtime_kind=kind, features=features, bits=bits)
    assert all(part in sentence for part in said)
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_operators_in_xnnpack_are_counted_from_the_interpreter(models: Path) -> None:
    float_model = load_runtime(models / "tiny_float32.tflite", runtime="litert")
    assert delegate_coverage(float_model.interpreter) == Coverage(6, 6)
    # XNNPACK has no int8 softmax, so the last operator stays with LiteRT.
    int8 = load_runtime(models / "tiny_int8.tflite", runtime="litert")
    assert delegate_coverage(int8.interpreter) == Coverage(6, 5)


def test_reference_kernels_delegate_nothing(models: Path) -> None:
    runtime = load_runtime(models / "tiny_int8.tflite", runtime="reference")
    assert delegate_coverage(runtime.interpreter) == Coverage(6, 0)


def test_two_delegates_and_an_operator_between_them_are_told_apart() -> None:
    class Interpreter:
        def _get_ops_details(self) -> list[dict[str, object]]:
            chain = [{"op_name": f"OP{n}", "inputs": [n, 90 + n], "outputs": [n + 1]} for n in range(5)]
            delegates = [([0, 90, 91], [2]), ([3, 93, 94], [5])]
            return chain + [{"op_name": "DELEGATE", "inputs": given, "outputs": out} for given, out in delegates]

    assert delegate_coverage(Interpreter()) == Coverage(5, 4)
