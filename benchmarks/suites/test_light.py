"""How light the device side is: start of `--help`, memory of predictions, size and first answer of an install."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mstl_edge.artifact import draw_golden_images
from mstl_edge.artifact.golden import encode_image
from mstl_edge_cli.app import COMMANDS

HELP_RATIO = 1.3
PEAK_BYTES = 90_000_000
STARTS = 15
IMAGES, PIXELS = 100, 512
"""A folder of images as large as published head CTs: enough for every decoder to be busy and the queue to be full."""
ROOT = Path(__file__).parents[2]

OURS = "import sys; sys.argv = ['mstl-edge', '--help']; from mstl_edge_cli.app import main; main()"
BARE = """
import sys, typer
app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
for number in range({count}):
    app.command(f'command{{number}}')(lambda: None)
sys.argv = ['bare', '--help']
app()
"""
PREDICT = """
import json, sys
sys.argv = ['mstl-edge', 'predict', sys.argv[1], sys.argv[2], '--json']
from mstl_edge_cli.app import main
try:
    main()
except SystemExit:
    pass
from mstl_edge_bench.machine.host import resident_bytes
print(json.dumps({'peak': resident_bytes()[1]}))
"""
FIRST_ANSWER = """
import json, sys, time
started = time.perf_counter()
import mstl_edge
imported = time.perf_counter()
mstl_edge.load_classifier(sys.argv[1]).predict(sys.argv[2])
answered = time.perf_counter()
print(json.dumps({'import_seconds': imported - started, 'first_answer_seconds': answered - started}))
"""


@pytest.fixture(scope="module")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which bytecode is kept, as an installed wheel has it, wherever the sources lie."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("bytecode"))}


def start(environment: dict[str, str], code: str, *arguments: str) -> tuple[float, str]:
    """Run code in a fresh interpreter; return seconds and what it printed."""
    command = [sys.executable, "-c", code, *arguments]
    started = time.perf_counter()
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return time.perf_counter() - started, ran.stdout


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of drawn images."""
    folder = tmp_path_factory.mktemp("scans")
    drawn = [encode_image(pixels) for pixels in draw_golden_images(PIXELS, 4)]
    for number in range(IMAGES):
        (folder / f"{number:03d}.png").write_bytes(drawn[number % len(drawn)])
    return folder


@pytest.mark.benchmark(group="light")
def test_help_starts_almost_as_fast_as_a_bare_typer_app(benchmark: Any, bytecode: dict[str, str]) -> None:
    bare = BARE.format(count=len(COMMANDS))
    start(bytecode, OURS), start(bytecode, bare)
    pairs = []
    benchmark.pedantic(lambda: pairs.append((start(bytecode, OURS)[0], start(bytecode, bare)[0])), rounds=STARTS)
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    benchmark.extra_info.update(help_seconds=ours, bare_seconds=theirs, ratio=ratio, allowed=HELP_RATIO)
    assert ratio <= HELP_RATIO


@pytest.mark.benchmark(group="light")
def test_predictions_of_a_folder_stay_below_90_mb(
    benchmark: Any, model_file: Callable[[float, int, str], Path], bytecode: dict[str, str], scans: Path
) -> None:
    model = str(model_file(1.0, 224, "int8"))
    printed = benchmark.pedantic(lambda: start(bytecode, PREDICT, model, str(scans))[1], rounds=3)
    *answers, measured = (json.loads(line) for line in printed.splitlines())
    assert sum("label" in answer for answer in answers) == IMAGES
    benchmark.extra_info.update(peak_rss_bytes=measured["peak"], images=IMAGES, allowed=PEAK_BYTES)
    assert measured["peak"] <= PEAK_BYTES


@pytest.fixture(scope="module")
def base_install(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment with the base wheel and nothing else, as a device has it."""
    folder = tmp_path_factory.mktemp("install")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)], check=True)
    (wheel,) = folder.glob("mstl_edge-*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    subprocess.run([*pip, "--python", str(folder / "venv" / "bin" / "python"), "install", str(wheel)], check=True)
    return folder / "venv"


@pytest.mark.benchmark(group="light")
def test_the_base_install_is_small_and_answers_soon(
    benchmark: Any, base_install: Path, model_file: Callable[[float, int, str], Path], scans: Path
) -> None:
    python = str(base_install / "bin" / "python")
    command = [python, "-c", FIRST_ANSWER, str(model_file(1.0, 224, "int8")), str(next(scans.iterdir()))]
    # Without PYTHONPATH, by which it would import this checkout.
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run(command, check=True, env=bare, capture_output=True)  # leaves bytecode behind
    size = sum(path.lstat().st_size for path in base_install.rglob("*") if path.is_file() and not path.is_symlink())
    starts: list[dict[str, float]] = []

    def answer_once() -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=bare)
        starts.append(json.loads(done.stdout))

    benchmark.pedantic(answer_once, rounds=STARTS)
    medians = {name: statistics.median(each[name] for each in starts) for name in starts[0]}
    benchmark.extra_info.update(install_bytes=size, **medians)
    assert not list(base_install.rglob("tensorflow"))
