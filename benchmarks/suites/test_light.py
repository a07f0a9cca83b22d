"""How light the device side is: start of `--help`, memory of a prediction, size and import of an install."""

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

HELP_RATIO = 1.3
PEAK_BYTES = 90_000_000
STARTS = 15
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
from mstl_edge_bench.host import resident_bytes
print(json.dumps({'peak': resident_bytes()[1]}))
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


@pytest.mark.benchmark(group="light")
def test_help_starts_almost_as_fast_as_a_bare_typer_app(benchmark: Any, bytecode: dict[str, str]) -> None:
    from mstl_edge_cli.app import app

    bare = BARE.format(count=len(app.registered_commands) + len(app.registered_groups))
    start(bytecode, OURS), start(bytecode, bare)
    pairs = []
    benchmark.pedantic(lambda: pairs.append((start(bytecode, OURS)[0], start(bytecode, bare)[0])), rounds=STARTS)
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    benchmark.extra_info.update(help_seconds=ours, bare_seconds=theirs, ratio=ratio, allowed=HELP_RATIO)
    assert ratio <= HELP_RATIO


@pytest.mark.benchmark(group="light")
def test_a_prediction_stays_below_90_mb(
    benchmark: Any, model_file: Callable[[float, int, str], Path], bytecode: dict[str, str], tmp_path: Path
) -> None:
    image = tmp_path / "drawn.png"
    image.write_bytes(encode_image(draw_golden_images(512, 1)[0]))
    model = str(model_file(1.0, 224, "int8"))
    printed = benchmark.pedantic(lambda: start(bytecode, PREDICT, model, str(image))[1], rounds=3)
    answer, measured = (json.loads(line) for line in printed.splitlines())
    assert "label" in answer
    benchmark.extra_info.update(peak_rss_bytes=measured["peak"], allowed=PEAK_BYTES)
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
def test_the_base_install_is_small_and_imports_at_once(benchmark: Any, base_install: Path) -> None:
    python = str(base_install / "bin" / "python")
    subprocess.run([python, "-c", "import mstl_edge"], check=True)  # leaves bytecode behind
    size = sum(path.lstat().st_size for path in base_install.rglob("*") if path.is_file() and not path.is_symlink())
    code = "import time; t = time.perf_counter(); import mstl_edge; print(time.perf_counter() - t)"
    seconds: list[float] = []

    def import_it() -> None:
        seconds.append(float(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout))

    benchmark.pedantic(import_it, rounds=STARTS)
    benchmark.extra_info.update(install_bytes=size, import_seconds=statistics.median(seconds))
    assert not list(base_install.rglob("tensorflow"))
