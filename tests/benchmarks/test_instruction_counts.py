"""The comparison of instruction counts notices what it should; the counting itself needs an emulated core (tests/arm64)."""

from __future__ import annotations

import copy
import importlib
import json
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def instructions() -> ModuleType:
    return importlib.import_module("experiments.instructions.measure")


@pytest.fixture
def committed(instructions: ModuleType) -> dict:
    return json.loads(instructions.RESULT.read_text(encoding="utf-8"))


def test_the_committed_counts_cover_both_runtimes_both_cores_and_both_schemes(
    instructions: ModuleType, committed: dict
) -> None:
    cases = {(row["kind"], row["core"], row["scheme"]) for row in committed["counts"]}
    assert cases == {(k, c, s) for k in instructions.SYSROOTS for c in instructions.CORES for s in instructions.SCHEMES}


@pytest.mark.parametrize(("factor", "noticed"), [(1.0, 0), (1.009, 0), (0.991, 0), (1.011, 1), (0.989, 1)])
def test_a_change_above_1_percent_is_noticed_and_a_smaller_one_is_not(
    instructions: ModuleType, committed: dict, factor: float, noticed: int
) -> None:
    counted = copy.deepcopy(committed)
    counted["counts"][0]["instructions"] *= factor
    assert len(instructions.changes(committed, counted)) == noticed


def test_a_case_that_vanished_or_appeared_is_noticed(instructions: ModuleType, committed: dict) -> None:
    fewer = committed | {"counts": committed["counts"][1:]}
    assert "not counted any more" in instructions.changes(committed, fewer)[0]
    assert "not committed yet" in instructions.changes(fewer, committed)[0]


def test_dot_product_instructions_halve_the_int8_count_on_a_pi_5_and_a_pi_4_has_none(committed: dict) -> None:
    count = {
        (row["core"], row["scheme"]): row["instructions"] for row in committed["counts"] if row["kind"] == "litert"
    }
    assert count["cortex-a76", "int8"] < 0.6 * count["cortex-a76", "float32"]
    assert count["cortex-a72", "int8"] > 0.9 * count["cortex-a72", "float32"]
