"""The suites measure as `mstl-edge bench` does, and their tables say how steady a number is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mstl_edge_bench.timing.latency import LEAST_BLOCKS

ROOT = Path(__file__).parents[2]


def run_suite(*arguments: str, json_file: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "pytest", "--benchmark-enable", f"--benchmark-json={json_file}", "-q", *arguments]
    # These tests may be one process of several; the suite that they start is not, and must not switch its times off.
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=alone)
    assert ran.returncode == 0, ran.stdout
    found: list[dict[str, Any]] = json.loads(json_file.read_text())["benchmarks"]
    return found


@pytest.fixture
def grid(tmp_path: Path, exported: Callable[[str], Path]) -> Path:
    """Tiny models under the names of those that the suites look for."""
    folder = tmp_path / "models"
    folder.mkdir()
    for size in (96, 224):
        for scheme in ("float32", "int8"):
            for alpha in (0.25, 1.0):
                target = folder / f"mobilenet_v1-{alpha}-{size}-{scheme}.tflite"
                target.write_bytes(exported(f"tiny_{scheme}").read_bytes())
    return folder


def test_latency_comes_in_alternating_blocks_with_their_spread_and_validity(grid: Path, tmp_path: Path) -> None:
    entries = run_suite(
        "benchmarks/suites/test_latency.py", "-k", "test_latency and 0.25 and 96", f"--models={grid}", "--patience=0",
        json_file=tmp_path / "suite.json",
    )  # fmt: skip
    schemes = {entry["extra_info"]["scheme"] for entry in entries}
    assert schemes == {"float32", "int8"}
    for entry in entries:
        info, stats = entry["extra_info"], entry["stats"]
        assert entry["options"]["timer"] == "mstl_edge_bench.timing.latency"
        assert (info["alpha"], info["size"], info["blocks"]) == (0.25, 96, LEAST_BLOCKS)
        blocks = np.reshape(stats["data"], (LEAST_BLOCKS, -1))
        assert blocks.shape[1] >= 20
        medians = np.median(blocks, axis=1)
        assert info["block_medians_ms"] == pytest.approx(list(1000 * medians))
        assert info["spread"] == pytest.approx(medians.max() / medians.min() - 1)
        assert stats["median"] == pytest.approx(np.median(blocks))
        assert info["valid"] is (info["invalid_because"] is None)
        assert info["valid"] is (info["held_still"] and info["stable"])
        assert info["stable"] is (info["spread"] <= 0.15)
        assert info["blocks_taken"] == LEAST_BLOCKS
        assert {"overhead_share", "warnings", "before", "after", "parameters", "trainable_parameters"} <= info.keys()


def test_what_stands_in_one_row_is_timed_once_and_together(
    monkeypatch: pytest.MonkeyPatch, exported: Callable[[str], Path]
) -> None:
    import in_turns

    timed: list[list[str]] = []

    def row(members: dict[str, Any], patience_s: float) -> dict[str, Any]:
        timed.append(sorted(members))
        return {name: {"seconds": [0.25 * number, 0.5], "called": name} for number, name in enumerate(members, 1)}

    monkeypatch.setattr(in_turns, "time_row", row)
    turns = in_turns.Turns()
    members = {name: in_turns.Member(exported(f"tiny_{name}"), 1) for name in ("float32", "int8")}
    for name, first in (("int8", 0.5), ("float32", 0.25)):
        fixture = Fixture(in_turns.REPLAY)
        turns.record(fixture, "row", name, lambda: members)
        assert fixture.durations == [first, 0.5]
        assert fixture.extra_info == {"called": name}
    assert timed == [["float32", "int8"]]


class Fixture:
    """What the suites use of pytest-benchmark's fixture."""

    disabled = False

    def __init__(self, timer: Callable[[], float]) -> None:
        self.extra_info: dict[str, Any] = {}
        self.durations: list[float] = []
        self._timer = timer

    def pedantic(self, call: Callable[[], None], rounds: int) -> None:
        for _ in range(rounds):
            start = self._timer()
            call()
            self.durations.append(self._timer() - start)


def test_parameters_are_counted_in_total_and_as_trained(grid: Path, tmp_path: Path) -> None:
    (entry,) = run_suite(
        "benchmarks/suites/test_parameters.py", "-k", "0.25 and 96 and float32", f"--models={grid}", "--patience=0",
        json_file=tmp_path / "suite.json",
    )  # fmt: skip
    assert entry["extra_info"]["parameters"] > 0
    # The tiny models are no MobileNets, so their cards can't tell.
    assert entry["extra_info"]["trainable_parameters"] is None


def test_accuracy_of_every_candidate_is_kept_with_intervals(
    finished_run: Path, with_candidates: Callable[..., None], tmp_path: Path
) -> None:
    with_candidates()
    entries = run_suite(
        "benchmarks/suites/test_accuracy.py", "-k", "test_accuracy", f"--run={finished_run}", "--patience=0",
        json_file=tmp_path / "suite.json",
    )  # fmt: skip
    told = {entry["extra_info"]["scheme"]: entry["extra_info"] for entry in entries if entry["group"] == "accuracy"}
    assert sorted(told) == ["float32", "int8-ptq", "int8-qat"]
    for info in told.values():
        scores = info["accuracy"]
        assert scores["n"] == 10
        assert scores["low"] <= scores["value"] <= scores["high"]
        for name in ("sensitivity", "specificity", "auc"):
            assert 0 <= scores[name]["low"] <= scores[name]["value"] <= scores[name]["high"] <= 1
        assert info["parameters"] > 0
        assert "trainable_parameters" in info
        assert 0 <= info["against_float"]["agreement_low"] <= info["against_float"]["agreement"]
    timed = [entry["extra_info"] for entry in entries if entry["group"] == "exported"]
    assert {info["scheme"] for info in timed} == set(told)
    assert all(info["blocks"] == LEAST_BLOCKS for info in timed)


def test_a_candidate_that_the_gate_kept_back_is_skipped(
    finished_run: Path, with_candidates: Callable[..., None], tmp_path: Path
) -> None:
    with_candidates(path="exports/tiny-int8-ptq.tflite.rejected")
    entries = run_suite(
        "benchmarks/suites/test_accuracy.py", "-k", "test_accuracy and not test_latency", f"--run={finished_run}", "--patience=0",
        json_file=tmp_path / "suite.json",
    )  # fmt: skip
    assert {entry["extra_info"]["scheme"] for entry in entries} == {"float32", "int8-qat"}


def entry(group: str, median_ms: float, **info: Any) -> dict[str, Any]:
    return {"group": group, "stats": {"median": median_ms / 1000}, "extra_info": info}


STEADY = {"spread": 0.02, "valid": True, "blocks": 5}


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that renders what the suites measured; `read` returns what a test makes of it."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from rendered import suites

    host = {"board": "unknown", "cpu": "A CPU", "cores": 2, "bits": 64, "system": "Linux"}

    def hold(*entries: dict[str, Any]) -> str:
        trees = {"suites.json": list(entries), "suites-tflite-runtime.json": []}
        monkeypatch.setattr(
            suites,
            "read",
            lambda name: {"benchmarks": trees[name], "machine_info": {"mstl_edge_host": host}},
        )
        text: str = suites.suites()
        return text

    return hold


@pytest.mark.parametrize(
    ("info", "cell", "explained"),
    [
        (STEADY, "| 0.92 |", ""),
        ({**STEADY, "spread": 0.18}, "| ~0.92 (18 %) |", "`~`: the medians of the blocks differ by more than 15%"),
        ({**STEADY, "valid": False}, "| !0.92 |", "`!`: clock, temperature or throttling changed"),
        # What is measured now holds the judgement itself; `valid` then speaks of the blocks too.
        (
            {**STEADY, "spread": 0.18, "stable": False, "held_still": True, "valid": False},
            "| ~0.92 (18 %) |",
            "`~`: the medians of the blocks differ by more than 15%",
        ),
        (
            {**STEADY, "stable": True, "held_still": False, "valid": False},
            "| !0.92 |",
            "`!`: clock, temperature or throttling changed",
        ),
        ({}, "| ?0.92 |", "`?`: one block alone"),
    ],
)
def test_a_time_that_is_not_steady_is_marked_and_the_mark_explained(
    rendered: Any, info: dict[str, Any], cell: str, explained: str
) -> None:
    shape = {"alpha": 1.0, "size": 224, "scheme": "int8", "threads": 2, "parameters": 1, "macs": 1e6}
    text = rendered(entry("latency", 0.92, **shape, **info))
    assert cell in text
    assert explained in text
    assert sum(f"`{mark}`:" in text for mark in "~!?") == bool(explained)


def test_accuracy_is_rendered_with_intervals_images_and_parameters(rendered: Any) -> None:
    share = {"value": 0.9, "low": 0.8, "high": 0.95}
    scores = {**share, "data": "the test split", "n": 40, "sensitivity": share, "specificity": None, "auc": share}
    paired = {"agreement": 0.975, "agreement_low": 0.87, "agreement_high": 0.996}
    common = {
        "run": "r", "accuracy": scores, "against_float": paired, "parameters": 3_000, "trainable_parameters": 2_000,
    }  # fmt: skip
    text = rendered(entry("accuracy", 1, scheme="float32", **common), entry("accuracy", 1, scheme="int8-qat", **common))
    assert "`r`, the test split:" in text
    row = "| {} | 90.0 (80 to 95) | 90.0 (80 to 95) | – | 0.900 (0.800 to 0.950) | 40 | {} | 3,000 | 2,000 |"
    assert row.format("float32", "–") in text
    assert row.format("int8-qat", "97.5 (87 to 100)") in text
