"""tflite-runtime in an environment of its own: `MSTL_EDGE_TFLITE_PYTHON` names its Python.

python3.11 -m venv tflite && tflite/bin/pip install 'WHEEL[tflite-runtime]'
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mstl_edge.classifier import load_classifier

TFLITE_PYTHON = os.environ.get("MSTL_EDGE_TFLITE_PYTHON", "")
LSB = 1 / 256

pytestmark = pytest.mark.skipif(
    not TFLITE_PYTHON,
    reason="MSTL_EDGE_TFLITE_PYTHON names no Python with the extra tflite-runtime; .ci/arm64.sh makes one",
)


def predict(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = Path(TFLITE_PYTHON).with_name("mstl-edge")
    return subprocess.run([str(program), "predict", *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture
def scans(tmp_path: Path, picture: Callable[[Path, int], Path]) -> list[Path]:
    return [picture(tmp_path / f"{seed:02d}.png", seed) for seed in range(12)]


@pytest.mark.parametrize(
    ("model", "runtime", "tolerance_lsb"),
    [("tiny_int8", "litert", 1.0), ("tiny_int8", "reference", 1.0), ("tiny_float32", "litert", 1e-5 / LSB)],
)
def test_tflite_runtime_gives_the_labels_of_litert(
    model: str, runtime: str, tolerance_lsb: float, exported: Callable[[str], Path], scans: list[Path]
) -> None:
    done = predict(exported(model), *scans, "--runtime", "tflite-runtime", "--json")
    assert done.returncode == 0, done.stderr
    classifier = load_classifier(exported(model), runtime=runtime)  # type: ignore[arg-type]
    for line, scan in zip(done.stdout.splitlines(), scans, strict=True):
        theirs, ours = json.loads(line), classifier.predict(scan)
        assert theirs["label"] == ours.label
        difference = max(abs(theirs["probabilities"][label] - p) for label, p in ours.probabilities.items())
        assert difference <= tolerance_lsb * LSB


def test_it_says_that_it_runs_tflite_runtime_and_that_the_golden_answers_hold(
    exported: Callable[[str], Path], scans: list[Path]
) -> None:
    done = predict(exported("tiny_int8"), scans[0], "--runtime", "tflite-runtime")
    assert "tflite-runtime 2.14.0" in done.stderr
    assert "golden answers reproduced" in done.stderr


def test_its_numpy_is_older_than_2() -> None:
    done = subprocess.run(
        [TFLITE_PYTHON, "-c", "import numpy; print(numpy.__version__)"], capture_output=True, text=True
    )
    assert int(done.stdout.split(".")[0]) < 2
