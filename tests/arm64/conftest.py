"""Really exported models, drawn images, and the two sysroots that `.ci/arm64.sh` builds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

LSB = 1 / 256
SYSROOTS = {"litert": "MSTL_EDGE_ARM64_LITERT", "tflite-runtime": "MSTL_EDGE_ARM64_TFLITE"}
INT8_SCHEMES = ("int8-ptq", "int8-qat")
IMAGES_PER_CLASS = 8


@dataclass(frozen=True)
class Answers:
    """What `mstl-edge predict --json` printed: labels, and probabilities `(images, classes)`."""

    labels: list[str]
    probabilities: np.ndarray

    def lsb_from(self, other: Answers) -> float:
        """The largest difference in steps of an int8 output."""
        return float(np.abs(self.probabilities - other.probabilities).max() / LSB)


@pytest.fixture(scope="session")
def sysroot() -> Callable[[str], Path]:
    """Return the sysroot that holds a runtime."""
    return lambda runtime: Path(os.environ[SYSROOTS[runtime]])


@pytest.fixture(scope="session")
def tflite_python() -> Path:
    """The Python of an environment of this machine that holds tflite-runtime."""
    return Path(os.environ["MSTL_EDGE_TFLITE_PYTHON"])


@pytest.fixture(scope="session")
def models_of_run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files of a trained run by their scheme, `float32`, `int8-ptq`, `int8-qat`: of `MSTL_EDGE_ARM64_RUN`, or trained here."""
    given = os.environ.get("MSTL_EDGE_ARM64_RUN", "")
    run = Path(given) if given else trained(tmp_path_factory.mktemp("arm64"))
    export = json.loads((run / "exports" / "export.json").read_text(encoding="utf-8"))
    files = {candidate["scheme"]: run / candidate["path"] for candidate in export["candidates"]}
    assert files.keys() >= {"float32", *INT8_SCHEMES}, f"{run}: export it with 'mstl-edge export {run} --int8'"
    return files


def trained(folder: Path) -> Path:
    """Train the phantom recipe briefly and export it; what matters here is weights and ranges that training made."""
    pytest.importorskip("tf_keras", reason="training needs the extra 'train'")
    run = folder / "run"
    environment = os.environ | {"MSTL_EDGE_CACHE": str(folder / "cache")}
    short = ["--data", "bridge=phantom:chest?count=90", "--data", "target=phantom:head-ct?count=240"]
    short += ["--set", "stages.bridge.epochs=1", "--set", "stages.target.epochs=8", "--set", "quantize.epochs=1"]
    command(sys.executable, environment, "train", "phantom", "--out", str(run), *short)
    # The gate judges accuracy, which so short a training has not; here only the numbers' path counts.
    open_gate = ["--max-drop", "100", "--min-agreement", "0"]
    command(sys.executable, environment, "export", str(run), "--int8", *open_gate)
    return run


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of drawn head CT slices that no training has seen, one folder per class."""
    from mstl_edge.data.phantom import draw

    folder = tmp_path_factory.mktemp("scans")
    for number, label in enumerate(("hemorrhage", "normal")):
        (folder / label).mkdir()
        for patient in range(IMAGES_PER_CLASS):
            pixels = draw("head-ct", label, seed=907, patient=10 * patient + number)
            Image.fromarray(pixels).save(folder / label / f"p{10 * patient + number:04d}_0.png")
    return folder


@pytest.fixture(scope="session")
def ask(scans: Path) -> Callable[..., Answers]:
    """Answer the scans by the `mstl-edge` beside a Python; answers of this machine are computed once."""
    known: dict[tuple[str, ...], Answers] = {}

    def answer(python: Path | str, model: Path, runtime: str, core: str = "") -> Answers:
        key = (str(python), str(model), runtime, core)
        if key not in known:
            environment = os.environ | ({"QEMU_CPU": core} if core else {})
            printed = command(python, environment, "predict", str(model), str(scans), "--runtime", runtime, "--json")
            records = [json.loads(line) for line in printed.splitlines()]
            probabilities = np.array([list(record["probabilities"].values()) for record in records])
            known[key] = Answers([record["label"] for record in records], probabilities)
        return known[key]

    return answer


@pytest.fixture
def explain(scans: Path, tmp_path: Path) -> Callable[..., np.ndarray]:
    """Explain two scans by the `mstl-edge` beside a Python; returns `(images, height, width)` evidence, and checks the pictures."""
    images = [str(path) for path in sorted(scans.rglob("*.png"))[::IMAGES_PER_CLASS]]

    def maps(python: Path | str, model: Path, runtime: str, core: str = "") -> np.ndarray:
        folder, environment = tmp_path / (core or "here"), os.environ | ({"QEMU_CPU": core} if core else {})
        asked = ["predict", str(model), *images, "--runtime", runtime, "--explain", str(folder), "--json"]
        records = [json.loads(line) for line in command(python, environment, *asked).splitlines()]
        assert [record["map_method"] for record in records] == ["class map"] * len(images)
        assert len(list(folder.glob("*.png"))) == len(images)
        return np.array([record["map"] for record in records])

    return maps


@pytest.fixture(scope="session")
def bench(scans: Path) -> Callable[..., dict]:
    """Run `mstl-edge bench` on the scans by the `mstl-edge` beside a Python."""

    def measure(python: Path | str, models: Sequence[Path], runtime: str, **variables: str) -> dict:
        arguments = ["--data", str(scans), "--split", "all", "--threads", "1", "--runtime", runtime, "--json"]
        return json.loads(command(python, os.environ | variables, "bench", *map(str, models), *arguments))

    return measure


def command(python: Path | str, environment: dict[str, str], *arguments: str) -> str:
    """What the `mstl-edge` beside a Python prints; a failure shows its last words."""
    done = subprocess.run(
        [str(Path(python).with_name("mstl-edge")), *arguments], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"mstl-edge {arguments[0]}: exit code {done.returncode}\n{done.stderr[-2000:]}"
    return done.stdout
