"""The wheel on an emulated Raspberry Pi: the same answers within stated bounds, and no milliseconds."""

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

from mstl_edge import open_artifact

NEEDED = ("MSTL_EDGE_ARM64_LITERT", "MSTL_EDGE_ARM64_TFLITE", "MSTL_EDGE_TFLITE_PYTHON")
MISSING = [name for name in NEEDED if not os.environ.get(name)]

pytestmark = [
    pytest.mark.arm64,
    pytest.mark.slow,
    # Of the module, so that no fixture trains a model for tests that are skipped.
    pytest.mark.skipif(bool(MISSING), reason=f"not set: {', '.join(MISSING)}; run .ci/arm64.sh"),
]

CORES = {"cortex-a72": "Raspberry Pi 4", "cortex-a76": "Raspberry Pi 5"}
INT8_SCHEMES = ("int8-ptq", "int8-qat")
FLOAT_TOLERANCE = 1e-6
"""Of a probability; measured: 1.2e-7, one step of a float32 just below 1."""
MEAN_LSB = 3.0
"""tflite-runtime's int8 MEAN, the average over the last feature map, rounds some channels one step apart with NEON; the
scale of the logits makes that up to 2 steps of the output (measured)."""
REPOSITORY = Path(__file__).parents[2]

cores = pytest.mark.parametrize("core", CORES)
runtimes = pytest.mark.parametrize("runtime", ["litert", "tflite-runtime"])
int8_schemes = pytest.mark.parametrize("scheme", INT8_SCHEMES)


@pytest.fixture
def here(runtime: str, tflite_python: Path) -> Path:
    """The Python of this machine that holds the runtime."""
    return Path(sys.executable) if runtime == "litert" else tflite_python


def _allowed_lsb(runtime: str, model: Path) -> float:
    """Return how far int8 answers may lie from this machine's: nothing, but for tflite-runtime's MEAN."""
    averages = "MEAN" in open_artifact(model).facts.operators
    return MEAN_LSB if runtime == "tflite-runtime" and averages else 0.0


@cores
@int8_schemes
@runtimes
def test_int8_answers_are_those_of_this_machine(
    runtime: str, scheme: str, core: str, sysroot: Callable, models_of_run: dict, ask: Callable, here: Path
) -> None:
    model = models_of_run[scheme]
    emulated = ask(sysroot(runtime) / "python", model, runtime, core)
    local = ask(here, model, runtime)
    assert len(set(local.labels)) == 2, "images of one label would prove little"
    allowed = _allowed_lsb(runtime, model)
    assert emulated.lsb_from(local) <= allowed
    assert _differing(emulated, local) <= _undecided(local, model, allowed)


def _differing(one: Any, other: Any) -> set[int]:
    """Return the images that got another label."""
    return {number for number, pair in enumerate(zip(one.labels, other.labels, strict=True)) if pair[0] != pair[1]}


def _undecided(answers: Any, model: Path, allowed_lsb: float) -> set[int]:
    """Return the images whose probability lies nearer to the card's threshold than the tolerance, which may turn their label."""
    card = open_artifact(model).card
    assert card is not None
    distance = np.abs(answers.probabilities[:, card.positive_index] - card.threshold)
    near: set[int] = set(np.flatnonzero(256 * distance <= allowed_lsb).tolist())
    return near


@cores
@runtimes
def test_float_agrees_with_this_machine_to_1e_6(
    runtime: str, core: str, sysroot: Callable, models_of_run: dict, ask: Callable, here: Path
) -> None:
    emulated = ask(sysroot(runtime) / "python", models_of_run["float32"], runtime, core)
    local = ask(here, models_of_run["float32"], runtime)
    assert emulated.labels == local.labels
    assert abs(emulated.probabilities - local.probabilities).max() <= FLOAT_TOLERANCE


@cores
@int8_schemes
def test_every_int8_operator_of_tflite_runtime_but_the_average_is_bit_identical(
    scheme: str, core: str, sysroot: Callable, models_of_run: dict, tflite_python: Path
) -> None:
    emulated = _operator_outputs(sysroot("tflite-runtime") / "python", models_of_run[scheme], core)
    here = _operator_outputs(tflite_python, models_of_run[scheme], "")
    assert len(here) == len(emulated) >= 29
    average = next((row["index"] for row in here if row["operator"] == "MEAN"), len(here))
    for ours, theirs in zip(here[:average], emulated[:average], strict=True):
        assert ours == theirs, f"operator {ours['index']} {ours['operator']} differs"
    for ours, theirs in zip(here[average : average + 1], emulated[average : average + 1], strict=True):
        assert max(abs(a - b) for a, b in zip(ours["values"], theirs["values"], strict=True)) <= 1


def _operator_outputs(python: Path, model: Path, core: str) -> list[dict]:
    script = REPOSITORY / "benchmarks" / "arm64" / "operator_outputs.py"
    environment = os.environ | ({"QEMU_CPU": core} if core else {})
    done = subprocess.run(
        [str(python), str(script), str(model), "7"], env=environment, capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@runtimes
def test_bench_scores_as_here_and_withholds_the_times_of_an_emulated_cpu(
    runtime: str, sysroot: Callable, models_of_run: dict, bench: Callable, here: Path
) -> None:
    models = [models_of_run["int8-qat"], models_of_run["float32"]]
    emulated = bench(sysroot(runtime) / "python", models, runtime, QEMU_CPU="cortex-a76")
    # Marked as emulated, this machine skips its own minutes of timing.
    local = bench(here, models, runtime, MSTL_EDGE_EMULATED="1")
    assert emulated["schema"] == local["schema"] == "mstl-edge/bench/1"
    assert emulated["host"]["architecture"] == "aarch64"
    assert emulated["host"]["bits"] == 64
    assert "qemu" in emulated["host"]["emulated"]
    assert emulated["comparison"]["speedup"] is None
    for theirs, ours in zip(emulated["results"], local["results"], strict=True):
        assert theirs["latency_ms"] is None
        assert theirs["peak_rss_bytes"] is None
        assert theirs["valid"] is False
        assert "emulated" in theirs["invalid_because"]
        assert theirs["runtime_kind"] == runtime
        turned = sum(a != b for a, b in zip(theirs["accuracy"]["correct"], ours["accuracy"]["correct"], strict=True))
        # An image that lies on the threshold may be turned; see MEAN_LSB.
        assert turned <= (1 if theirs["scheme"] == "int8" and _allowed_lsb(runtime, models[0]) else 0)
        assert (theirs["parameters"], theirs["macs"]) == (ours["parameters"], ours["macs"])


@runtimes
def test_nothing_of_tensorflow_is_installed_on_the_device(runtime: str, sysroot: Callable) -> None:
    installed = {entry.name.split("-")[0].lower() for entry in (sysroot(runtime) / "site").iterdir()}
    assert "mstl_edge" in installed
    assert not installed & {"tensorflow", "tf_keras", "keras", "tensorflow_model_optimization", "scipy"}


def test_instructions_per_inference_are_those_committed_within_1_percent(sysroot: Callable) -> None:
    pytest.importorskip("tf_keras", reason="making the models needs the extra 'train'")
    named = [part for runtime in ("litert", "tflite-runtime") for part in (f"--{runtime}", str(sysroot(runtime)))]
    script = REPOSITORY / "benchmarks" / "suites" / "instructions.py"
    done = subprocess.run([sys.executable, str(script), *named, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
