"""A world for the benchmarks: a clock that ticks as told, a machine of plain files, labelled images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mstl_edge.artifact import draw_golden_images
from mstl_edge.artifact.golden import encode_image
from mstl_edge.schemas.bench import BenchReport, Conditions
from mstl_edge_bench.bench import BenchPlan, run_bench
from mstl_edge_bench.compare.baseline import Baseline
from mstl_edge_bench.machine.host import describe_host
from mstl_edge_bench.timing import subjects
from mstl_edge_bench.timing.measure import Surroundings


class TickingClock:
    """Each look at it moves it on by about a millisecond, seeded."""

    def __init__(self, seed: int = 0, factor: float = 1.0) -> None:
        self._draw = np.random.default_rng(seed)
        self._factor = factor
        self.now_ns = 0

    def __call__(self) -> int:
        self.now_ns += int(self._factor * self._draw.integers(950_000, 1_050_000))
        return self.now_ns


class DriftingClock:
    """Each look at it moves it on by a millisecond that grows by 0.2 %, for so many looks; then it is steady."""

    def __init__(self, looks: float = float("inf")) -> None:
        self._left, self._tick_ns, self.now_ns = looks, 1e6, 0

    def __call__(self) -> int:
        if self._left > 0:
            self._left, self._tick_ns = self._left - 1, self._tick_ns * 1.002
        self.now_ns += int(self._tick_ns)
        return self.now_ns


def a_probe(model: Path, kind: str, threads: int) -> dict[str, float]:
    steps = ("load", "allocate", "first_inference")
    times = {f"{step}_ms": 2.0 + number for number, step in enumerate(steps)}
    memory = {f"{step}_rss_bytes": 1_000_000.0 for step in ("imported", *steps)}
    return {**times, **memory, "peak_rss_bytes": 50_000_000.0, "median_ms": 1.0}


@pytest.fixture(autouse=True)
def small_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding is timed on a small image, since no test looks at how long it takes."""
    small = encode_image(draw_golden_images(48, 1)[0])
    monkeypatch.setattr(subjects, "encoded_image", lambda: small)


@pytest.fixture
def around() -> Callable[..., Surroundings]:
    """Make surroundings; keywords replace fields, `factor` makes every call that much slower."""

    def make(seed: int = 0, factor: float = 1.0, **fields: Any) -> Surroundings:
        calm = Conditions(clock_mhz=1800.0, temperature_c=50.0, throttled=0, load_1min=0.1)
        given = {
            "clock": TickingClock(seed, factor),
            "host": describe_host,
            "conditions": lambda: calm,
            "probe": a_probe,
        }
        return Surroundings(**{**given, **fields})

    return make


@pytest.fixture
def labelled(tmp_path: Path, picture: Callable[[Path, int], Path]) -> Path:
    """A folder of two classes with twelve images each."""
    for seed in range(12):
        picture(tmp_path / "data" / "normal" / f"{seed}.png", seed)
        picture(tmp_path / "data" / "hemorrhage" / f"{seed}.png", 100 + seed)
    return tmp_path / "data"


@pytest.fixture
def twins(exported: Callable[[str], Path]) -> tuple[Path, Path]:
    return exported("tiny_float32"), exported("tiny_int8")


@pytest.fixture
def bench(around: Callable[..., Surroundings], twins: tuple[Path, Path]) -> Callable[..., BenchReport]:
    """Run the benchmark on the twins in a made-up world, perhaps against a baseline; other keywords go to the plan."""

    def run(world: Surroundings | None = None, against: Baseline | None = None, **plan: Any) -> BenchReport:
        given = {"models": twins, "repeats": 20, "warmup_ms": 5.0}
        return run_bench(BenchPlan(**{**given, **plan}), against=against, around=world or around())

    return run


@pytest.fixture
def drifting() -> type[DriftingClock]:
    """A clock by which no two blocks agree, for as many looks as it is told."""
    return DriftingClock


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    """Write files below a root that stands for `/`."""

    def write(files: dict[str, str]) -> Path:
        for name, content in files.items():
            path = tmp_path / "root" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        (tmp_path / "root").mkdir(exist_ok=True)
        return tmp_path / "root"

    return write


@pytest.fixture
def finished_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, twins: tuple[Path, Path], labelled: Path) -> Path:
    """A run folder as training and export leave it, the latest below the current folder."""
    from mstl_edge.data.splits import Manifest, ManifestRow, save_manifest
    from mstl_edge.recipe import load_recipe
    from mstl_edge.runs import create_run

    monkeypatch.chdir(tmp_path)
    recipe = load_recipe("phantom")
    run = create_run(recipe, tmp_path / "runs" / "phantom-1", versions={})
    rows = tuple(
        ManifestRow(
            name=file.relative_to(labelled).as_posix(), label=file.parent.name, group=file.stem,
            split="test" if int(file.stem) < 5 else "train", sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        )
        for file in sorted(labelled.rglob("*.png"))
    )  # fmt: skip
    manifest = Manifest(str(labelled), ("hemorrhage", "normal"), rows, patients_known=False, unreadable=())
    save_manifest(run.manifest(recipe.stages[-1].name), manifest)
    run.exports.mkdir()
    for path in twins:
        (run.exports / path.name).write_bytes(path.read_bytes())
    names = {"model": "exports/tiny_int8.tflite", "float_model": "exports/tiny_float32.tflite"}
    (run.exports / "export.json").write_text(json.dumps({"schema": "mstl-edge/export/1", **names}))
    return run.path


@pytest.fixture
def with_candidates(finished_run: Path) -> Callable[..., None]:
    """Let the export of the run hold a candidate beside what it chose; keywords go to the candidate's row."""

    def write(**fields: Any) -> None:
        rows: list[dict[str, Any]] = [
            {"scheme": "float32", "path": "exports/tiny_float32.tflite"},
            {"scheme": "int8-ptq", "path": "exports/candidates/tiny-int8-ptq.tflite", **fields},
            {"scheme": "int8-qat", "path": "exports/tiny_int8.tflite"},
        ]
        (finished_run / "exports" / "candidates").mkdir()
        candidate = finished_run / "exports" / "candidates" / "tiny-int8-ptq.tflite"
        candidate.write_bytes((finished_run / "exports" / "tiny_int8.tflite").read_bytes())
        file = finished_run / "exports" / "export.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "candidates": rows}))

    return write
