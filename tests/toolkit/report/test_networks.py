"""The section of a study on several networks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mstl_edge.report.study.networks import unbeaten


def test_the_front_holds_what_nothing_beats_in_both() -> None:
    points = [(3.0, 0.9), (1.0, 0.8), (2.0, 0.7), (3.0, 0.95), (9.0, 0.95), (0.5, 0.5)]
    assert unbeaten(points) == [(0.5, 0.5), (1.0, 0.8), (3.0, 0.95)]
    assert unbeaten([]) == []


@pytest.fixture
def networks_study(study_folder: Path) -> Path:
    """A study whose two arms cost something: `single` is the smaller one."""
    path = study_folder / "study.json"
    tree = json.loads(path.read_text())
    rows = []
    for number, arm in enumerate(tree["arms"]):
        milliseconds = 2.0 + number
        rows.append(
            {
                "arm": arm["name"], "scheme": arm["scheme"], "parameters": 218_544, "macs": 41_000_000,
                "size_bytes": 900_000 + 1000 * number, "valid": arm["name"] == "single", "operators": 31,
                "elsewhere": {"SOFTMAX": 1, "PAD": 1},
                "latency_ms": {"value": milliseconds, "low": milliseconds - 0.5, "high": milliseconds + 0.5},
            }
        )  # fmt: skip
    tree["costs"] = {"host": "desk", "runtime": "LiteRT 2.3.0", "threads": 1, "rows": rows}
    moved = {"conv_dw_4": 0.01, "conv_pw_13": 0.25}
    origin = {"training_seconds": 38.2, "peak_bytes": 1_200_000_000, "moved": moved}
    tree["provenance"] = {"arms": [{"name": name, **origin} for name in dict.fromkeys(row["arm"] for row in rows)]}
    path.write_text(json.dumps(tree))
    return study_folder


def test_what_each_network_costs_stands_beside_its_accuracy(
    networks_study: Path, report_words: Callable[..., str]
) -> None:
    words = report_words(networks_study)
    assert "Which network?" in words
    assert "the data can't tell" in words
    assert "latencies in turns on desk (LiteRT 2.3.0, 1 thread, batch 1)" in words
    assert "0.22 41 900 2.00 (1.50 to 2.50) 2 of 31 softmax, pad 38 1,200" in words
    assert "~" in words
    for heading in (
        "Accuracy over latency of one image",
        "Accuracy over size of the file",
        "Accuracy over training a fold",
    ):
        assert heading in words
    assert "2 0.130 0.250 conv_pw_13" in words
    assert "Did the bridge help?" not in words


def test_other_studies_have_no_such_section(study_folder: Path, report_words: Callable[..., str]) -> None:
    assert "Which network?" not in report_words(study_folder)
