"""What tests of the command line share: an own cache, an own working folder, small image folders, `main` with its exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSTL_EDGE_CACHE", str(tmp_path_factory.mktemp("cache")))


@dataclass(frozen=True)
class Ended:
    """How the program ended."""

    exit_code: int
    stdout: str
    stderr: str


@pytest.fixture
def mstl_edge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Run the program as the shell would, in `tmp_path`, inside this process."""
    from mstl_edge_cli.app import main

    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Ended:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["mstl-edge", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        written = capsys.readouterr()
        code = ended.value.code
        return Ended(code if isinstance(code, int) else 0, written.out, written.err)

    return run


TINY = """
name = "tiny"
seed = 5

[backbone]
alpha = 0.25
input_size = 32
weights = "bundled"

[[stages]]
name = "bridge"
data = "{bridge}"
unfreeze_from = "conv_dw_12"
epochs = 2
batch_size = 4
learning_rate = 1e-3

[[stages]]
name = "target"
data = "{target}"
unfreeze_from = "conv_dw_13"
epochs = 2
batch_size = 4
learning_rate = 1e-3
augment = {{views = 2}}
"""


@pytest.fixture(scope="session")
def tiny_recipe_file(tmp_path_factory: pytest.TempPathFactory, draw_classes: Callable[..., Path]) -> Path:
    """A recipe of two stages on ten images per class, as a TOML file."""
    base = tmp_path_factory.mktemp("tiny")
    bridge = draw_classes(base / "bridge", seed=1)
    target = draw_classes(base / "target", ("healthy", "ill"), seed=2)
    path = base / "tiny.toml"
    path.write_text(TINY.format(bridge=bridge, target=target), encoding="utf-8")
    return path
