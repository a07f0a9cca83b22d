"""Experiments keep apart: each in its folder, none of them on the command line's code or on another experiment."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
EXPERIMENTS = sorted(path for path in (BENCHMARKS / "experiments").iterdir() if (path / "measure.py").is_file())
each = pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda path: path.name)


def imported(module: Path) -> set[str]:
    tree = ast.walk(ast.parse(module.read_text(encoding="utf-8")))
    found = [name for node in tree for name in _names(node)]
    return set(found)


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def test_every_folder_of_an_experiment_measures_something() -> None:
    folders = {path.parent for path in (BENCHMARKS / "experiments").glob("*/*.py")}
    assert folders == set(EXPERIMENTS)
    assert len(EXPERIMENTS) > 15


@each
def test_it_stands_on_the_library_and_on_no_other_experiment(experiment: Path) -> None:
    others = {f"experiments.{other.name}." for other in EXPERIMENTS if other != experiment}
    for module in experiment.glob("*.py"):
        names = imported(module)
        assert not [name for name in names if name.startswith("mstl_edge_cli")], module
        assert not [name for name in names if any(f"{name}.".startswith(other) for other in others)], module


@pytest.mark.parametrize(
    "experiment", [path for path in EXPERIMENTS if (path / "render.py").is_file()], ids=lambda path: path.name
)
def test_what_it_draws_is_drawn_from_a_committed_result(experiment: Path) -> None:
    drawn = importlib.import_module(f"experiments.{experiment.name}.render").TABLES
    assert drawn
    assert all("|" in draw() or draw().endswith(".") for draw in drawn.values())


def test_the_suites_are_for_pytest_alone() -> None:
    helpers = {"conftest.py", "in_turns.py", "make_models.py"}
    assert all(path.name.startswith("test_") or path.name in helpers for path in (BENCHMARKS / "suites").glob("*.py"))
