"""Nothing that runs on a device imports TensorFlow, and this test can tell."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HEAVY = ("tensorflow", "tf_keras", "keras", "tensorflow_model_optimization", "scipy", "sklearn", "torch")

REPORT = """
import sys
loaded = sorted(name for name in {names!r} if name in sys.modules)
print("loaded:", *loaded)
"""


def _heavy_after(statements: str, names: tuple[str, ...] = HEAVY) -> list[str]:
    """Run `statements` in a fresh interpreter and return which of `names` it imported."""
    code = statements + REPORT.format(names=names)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.splitlines()[-1].split()[1:]


@pytest.mark.parametrize(
    "statements",
    [
        "import mstl_edge",
        "import mstl_edge.metrics, mstl_edge.artifact, mstl_edge.runtime, mstl_edge.data",
        "from mstl_edge import load_classifier, load_recipe, load_runtime, open_artifact",
        "import mstl_edge_cli.commands.predict, mstl_edge_cli.commands.inspect",
    ],
)
def test_the_device_side_imports_nothing_heavy(statements: str) -> None:
    assert _heavy_after(statements) == []


def test_a_prediction_imports_nothing_heavy(
    exported: Callable[[str], Path], tmp_path: Path, picture: Callable[[Path, int], Path]
) -> None:
    model, image = exported("tiny_int8"), picture(tmp_path / "a.png", 1)
    statements = f"""
from mstl_edge_cli.commands import inspect, predict
from pathlib import Path
inspect.inspect(Path({str(model)!r}), json=True)
predict.predict(Path({str(model)!r}), [{str(image)!r}], as_json=True)
"""
    assert _heavy_after(statements) == []


def test_importing_the_package_imports_no_third_party_library() -> None:
    assert _heavy_after("import mstl_edge", ("numpy", "msgspec", "PIL", "typer", "rich", "ai_edge_litert")) == []


def test_this_test_can_fail(tmp_path: Path) -> None:
    (tmp_path / "tensorflow.py").write_text("")
    assert _heavy_after(f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import tensorflow") == ["tensorflow"]
