"""The wheel on an emulated Raspberry Pi: the same answers within stated bounds, and no milliseconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import SYNTAXES, dicom_bytes

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
SOFTMAX_LSB = {"tflite-runtime": 0.0, "litert": 1.0}
"""What a runtime's softmax may differ by: LiteRT fills its table by `exp` in float32, whose last bit is the C library's."""
FLOAT_TOLERANCE = 1e-6
"""Of a probability; measured: 1.2e-7, one step of a float32 just below 1."""
REPOSITORY = Path(__file__).parents[2]

cores = pytest.mark.parametrize("core", CORES)
runtimes = pytest.mark.parametrize("runtime", ["litert", "tflite-runtime"])
int8_schemes = pytest.mark.parametrize("scheme", INT8_SCHEMES)


@pytest.fixture
def here(runtime: str, tflite_python: Path) -> Path:
    """The Python of this machine that holds the runtime."""
    return Path(sys.executable) if runtime == "litert" else tflite_python


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
    assert emulated.lsb_from(local) <= SOFTMAX_LSB[runtime]
    assert emulated.labels == local.labels


@cores
@int8_schemes
def test_up_to_the_softmax_litert_is_bit_identical(
    scheme: str, core: str, sysroot: Callable, models_of_run: dict, tmp_path: Path
) -> None:
    logits = tmp_path / "logits.tflite"
    logits.write_bytes(_without_softmax(models_of_run[scheme]))
    emulated = _answers(sysroot("litert") / "python", logits, core)
    here = _answers(Path(sys.executable), logits, "")
    assert len({tuple(answer) for answer in here}) > 4, "slices of one answer would prove little"
    assert emulated == here


def _without_softmax(model: Path) -> bytes:
    """Return the flatbuffer of a file, ending in its logits."""
    flatbuffer_utils = pytest.importorskip("tensorflow.lite.tools.flatbuffer_utils")
    from mstl_edge.artifact import open_artifact

    whole = flatbuffer_utils.convert_bytearray_to_object(bytearray(open_artifact(model).flatbuffer))
    (graph,) = whole.subgraphs
    *graph.operators, softmax = graph.operators
    graph.outputs = softmax.inputs
    whole.signatureDefs = []
    return bytes(flatbuffer_utils.convert_object_to_bytearray(whole))


def _answers(python: Path, model: Path, core: str) -> list[list[int]]:
    script = REPOSITORY / "benchmarks" / "arm64" / "answers.py"
    environment = os.environ | ({"QEMU_CPU": core} if core else {})
    asked = [str(python), str(script), str(model), "litert"]
    done = subprocess.run(asked, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@cores
@runtimes
def test_float_agrees_with_this_machine_to_1e_6(
    runtime: str, core: str, sysroot: Callable, models_of_run: dict, ask: Callable, here: Path
) -> None:
    emulated = ask(sysroot(runtime) / "python", models_of_run["float32"], runtime, core)
    local = ask(here, models_of_run["float32"], runtime)
    assert emulated.labels == local.labels
    assert abs(emulated.probabilities - local.probabilities).max() <= FLOAT_TOLERANCE


@runtimes
@pytest.mark.parametrize(("scheme", "tolerance"), [("int8-qat", 2e-4), ("float32", 1e-3)])
def test_maps_are_those_of_this_machine(
    scheme: str, tolerance: float, runtime: str, sysroot: Callable, models_of_run: dict, explain: Callable, here: Path
) -> None:
    emulated = explain(sysroot(runtime) / "python", models_of_run[scheme], runtime, "cortex-a76")
    local = explain(here, models_of_run[scheme], runtime)
    assert abs(local).max() > 0.1
    assert abs(emulated - local).max() <= tolerance


def test_dicom_gives_the_pixels_of_this_machine(sysroot: Callable, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    levels = draw.integers(0, 4096, (120, 90)).astype(np.uint16)
    windowed = {"bits": 12, "RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": 40, "WindowWidth": 400}
    for syntax in SYNTAXES:
        (tmp_path / f"{syntax}.dcm").write_bytes(dicom_bytes(levels, syntax, **windowed))
    own = Path(pydicom.__file__).parent / "data" / "test_files"
    # Lossless JPEG and JPEG-LS, which cannot be written here.
    names = ("MR_small_jpeg_ls_lossless.dcm", "SC_rgb_jpeg_gdcm.dcm")
    files = [*sorted(tmp_path.glob("*.dcm")), *(own / name for name in names)]
    script = REPOSITORY / "benchmarks" / "arm64" / "pixels.py"
    told = [
        subprocess.run([str(python), str(script), *map(str, files)], capture_output=True, text=True, check=True).stdout
        for python in (sys.executable, sysroot("litert") / "python")
    ]
    assert told[0] == told[1]
    assert len({line.split()[0] for line in told[0].splitlines()}) == 3  # one picture in every syntax, and two others


@cores
@int8_schemes
def test_every_int8_operator_of_tflite_runtime_is_bit_identical(
    scheme: str, core: str, sysroot: Callable, models_of_run: dict, tflite_python: Path
) -> None:
    emulated = _operator_outputs(sysroot("tflite-runtime") / "python", models_of_run[scheme], core)
    here = _operator_outputs(tflite_python, models_of_run[scheme], "")
    assert len(here) == len(emulated) >= 29
    for ours, theirs in zip(here, emulated, strict=True):
        assert ours == theirs, f"operator {ours['index']} {ours['operator']} differs"


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
        assert theirs["accuracy"]["correct"] == ours["accuracy"]["correct"]
        assert (theirs["parameters"], theirs["macs"]) == (ours["parameters"], ours["macs"])


@runtimes
def test_nothing_of_tensorflow_is_installed_on_the_device(runtime: str, sysroot: Callable) -> None:
    installed = {entry.name.split("-")[0].lower() for entry in (sysroot(runtime) / "site").iterdir()}
    assert "mstl_edge" in installed
    assert not installed & {"tensorflow", "tf_keras", "keras", "tensorflow_model_optimization", "scipy"}


def test_instructions_per_inference_are_those_committed_within_1_percent(sysroot: Callable) -> None:
    pytest.importorskip("tf_keras", reason="making the models needs the extra 'train'")
    named = [part for runtime in ("litert", "tflite-runtime") for part in (f"--{runtime}", str(sysroot(runtime)))]
    script = REPOSITORY / "benchmarks" / "experiments" / "instructions" / "measure.py"
    done = subprocess.run([sys.executable, str(script), *named, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
