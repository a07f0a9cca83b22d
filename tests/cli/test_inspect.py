from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from mstl_edge.artifact import KernelFacts, write_artifact
from mstl_edge.errors import ArtifactError
from mstl_edge_cli.commands import inspect, predict


def _run(*arguments: object) -> Result:
    app = typer.Typer(rich_markup_mode=None)
    predict.register(app)
    inspect.register(app)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_inspect_shows_model_operators_kernels_and_card(exported: Callable[[str], Path]) -> None:
    result = _run("inspect", exported("tiny_int8"))
    assert result.exit_code == 0
    for expected in (
        "106,528", "482", "1×32×32×3 int8, scale 0.0078125, zero point 0", "DEPTHWISE_CONV_2D", "127 in all 8 channels",
        "hemorrhage (positive)", "every tensor is integer", "stretch to 32×32", "golden samples",
    ):  # fmt: skip
        assert expected in result.stdout


def test_inspect_json_holds_facts_and_card(exported: Callable[[str], Path]) -> None:
    tree = json.loads(_run("inspect", exported("tiny_int8"), "--json").stdout)
    assert tree["schema"] == "mstl-edge/inspect/1"
    assert tree["facts"]["full_integer"] is True
    assert tree["facts"]["kernels"][1]["largest"] == [127] * 8
    assert tree["card"]["labels"] == ["normal", "hemorrhage"]


def test_inspect_lists_every_tensor_when_asked(exported: Callable[[str], Path]) -> None:
    model = exported("tiny_int8")
    tensors = json.loads(_run("inspect", model, "--json").stdout)["facts"]["tensors"]
    heading = "number  tensor"
    assert heading not in _run("inspect", model).stdout
    listed = _run("inspect", model, "--tensors").stdout.split(heading)[1].split("\n\n")[0].splitlines()[1:]
    assert [line.split()[0] for line in listed] == [str(number) for number in range(len(tensors))]
    assert listed[0].split()[1:] == ["serving_default_image:0", "int8", "1×32×32×3", "0.0078125", "0", "computed"]
    assert listed[3].split()[1:] == ["model/head/MatMul", "int8", "2×16", "2", "scales", "–", "constant"]


def test_inspect_shows_a_foreign_model_and_says_what_is_unknown(models: Path) -> None:
    result = _run("inspect", models / "three_classes.tflite")
    assert "no card" in result.stdout
    assert "tensors in 6 operators" in result.stdout
    assert json.loads(_run("inspect", models / "three_classes.tflite", "--json").stdout)["card"] is None


@pytest.mark.parametrize(
    "metrics",
    [
        {"int8": {"n": 40, "accuracy": {"value": 0.925, "low": 0.8, "high": 0.97}}},
        {"int8": {"accuracy": {"value": "high", "low": None, "high": 1}}, "float": 3, "more": {"accuracy": [1]}},
    ],
)
def test_inspect_shows_the_scores_it_understands(
    metrics: dict[str, Any], models: Path, tmp_path: Path, tiny_card: Callable[..., Any]
) -> None:
    write_artifact(tmp_path / "m.tflite", (models / "tiny_int8.tflite").read_bytes(), tiny_card(metrics=metrics))
    result = _run("inspect", tmp_path / "m.tflite")
    assert result.exit_code == 0
    assert ("92.5% (80.0% to 97.0%, n = 40)" in result.stdout) == ("n" in metrics["int8"])


def test_inspect_of_a_damaged_file_is_one_clear_line(exported: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(exported("tiny_int8").read_bytes()[:3000])
    result = _run("inspect", tmp_path / "m.tflite")
    assert isinstance(result.exception, ArtifactError)
    assert "m.tflite" in str(result.exception)
    assert "\n" not in str(result.exception)


@pytest.mark.parametrize(
    ("bits", "largest", "told"),
    [
        (8, (127, 127), "127 in all 2 channels"),
        (8, (127, 63), "1 of 2 channels below 127 (lowest 63)"),
        (7, (63, 63), "63 in all 2 channels"),
        (7, (63, 0), "63 in all 2 channels, 1 all zero"),
        (7, (127, 63), "1 of 2 channels beyond 63 (highest 127)"),
    ],
)
def test_a_kernels_range_is_told_by_the_bits_on_the_card(
    bits: int, largest: tuple[int, ...], told: str, tiny_card: Callable[..., Any]
) -> None:
    kernel = KernelFacts("k", "CONV_2D", "int8", (2, 1, 1, 3), per_channel=True, largest=largest)
    card = tiny_card(recipe={"quantize": {"weight_bits": bits}})
    assert inspect._kernel_row(kernel, card)[-1] == told
