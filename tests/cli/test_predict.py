from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from mstl_edge.errors import ArtifactError, DataError, MstlEdgeError, RunError
from mstl_edge.recipe import load_recipe
from mstl_edge.runs import create_run
from mstl_edge_cli.commands import inspect, predict

Picture = Callable[[Path, int], Path]


def _run(*arguments: object) -> Result:
    app = typer.Typer(rich_markup_mode=None)
    predict.register(app)
    inspect.register(app)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path: Path, picture: Picture) -> Path:
    for seed, name in enumerate(("b.png", "a.jpg", "deeper/c.PNG")):
        picture(tmp_path / "scans" / name, seed)
    (tmp_path / "scans" / "notes.txt").write_text("no image")
    return tmp_path / "scans"


@pytest.fixture
def model(exported: Callable[[str], Path]) -> Path:
    return exported("tiny_int8")


def test_json_lines_are_the_documented_ones(model: Path, folder: Path) -> None:
    result = _run("predict", model, folder, "--json")
    assert result.exit_code == 0
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [Path(record["image"]).name for record in records] == ["a.jpg", "b.png", "c.PNG"]
    for record in records:
        assert record.keys() == {"image", "label", "probability", "probabilities"}
        assert record["probabilities"].keys() == {"normal", "hemorrhage"}


def test_the_table_and_the_csv_say_the_same_as_the_json(model: Path, folder: Path) -> None:
    records = [json.loads(line) for line in _run("predict", model, folder, "--json").stdout.splitlines()]
    rows = list(csv.DictReader(io.StringIO(_run("predict", model, folder, "--csv").stdout)))
    assert [(row["image"], row["label"]) for row in rows] == [(record["image"], record["label"]) for record in records]
    assert [float(row["p_normal"]) for row in rows] == pytest.approx([r["probabilities"]["normal"] for r in records])
    table = _run("predict", model, folder).stdout.splitlines()
    assert table[0].split() == ["label", "probability", "image"]
    assert [line.split()[0] for line in table[1:]] == [record["label"] for record in records]


@pytest.fixture
def run_folder(tmp_path: Path, model: Path) -> Path:
    """A run whose export chose the tiny int8 file."""
    run = create_run(load_recipe("phantom"), tmp_path / "my run", versions={})
    run.exports.mkdir()
    shutil.copy(model, run.exports / "tiny-int8.tflite")
    shutil.copy(model, run.exports / "tiny-float32.tflite")
    names = {"model": "exports/tiny-int8.tflite", "float_model": "exports/tiny-float32.tflite"}
    (run.exports / "export.json").write_text(
        json.dumps({"schema": "mstl-edge/export/2", "chosen": "int8-qat", **names})
    )
    return run.path


def test_a_run_folder_stands_for_the_file_that_its_export_chose(run_folder: Path, model: Path, folder: Path) -> None:
    result = _run("predict", run_folder, folder, "--json")
    assert result.exit_code == 0
    assert f"run: {run_folder}; its export chose tiny-int8.tflite\n" in result.stderr
    assert result.stdout == _run("predict", model, folder, "--json").stdout


def test_a_run_without_an_export_says_what_to_type(run_folder: Path, folder: Path) -> None:
    (run_folder / "exports" / "export.json").unlink()
    result = _run("predict", run_folder, folder)
    assert isinstance(result.exception, RunError)
    assert str(result.exception) == (
        f"expected a run with exported models. Received: {run_folder}, without export.json. "
        f"Export it: mstl-edge export '{run_folder}'"
    )


def test_a_run_whose_chosen_file_is_gone_is_one_line(run_folder: Path, folder: Path) -> None:
    (run_folder / "exports" / "tiny-int8.tflite").unlink()
    result = _run("predict", run_folder, folder)
    assert isinstance(result.exception, MstlEdgeError)
    assert "tiny-int8.tflite" in str(result.exception)


def test_results_go_to_stdout_and_the_runtime_is_said_on_stderr(model: Path, folder: Path) -> None:
    result = _run("predict", model, folder, "--runtime", "reference", "--threads", 2)
    assert "LiteRT reference kernels" in result.stderr
    assert "as asked" in result.stderr
    assert "LiteRT" not in result.stdout


def test_an_unreadable_image_does_not_stop_the_others_and_sets_the_exit_code(model: Path, folder: Path) -> None:
    (folder / "a.jpg").write_bytes(b"\xff\xd8 cut off")
    missing = folder / "missing.png"
    result = _run("predict", model, folder, missing, "--json")
    assert result.exit_code == 1
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [("error" in record) for record in records] == [True, False, False, True]
    assert "2 of 4 images could not be read" in result.stderr
    for style in ((), ("--csv",)):
        shown = _run("predict", model, folder, *style)
        assert shown.exit_code == 1
        assert len(shown.stdout.splitlines()) == 4


def test_a_remark_about_a_file_stands_in_its_row_and_nowhere_else(model: Path, folder: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 4096, (64, 64)).astype(np.uint16)
    levels[3, 3] = 65_535
    Image.fromarray(levels).save(folder / "b.png")
    shown = {style: _run("predict", model, folder, *style) for style in ((), ("--csv",), ("--json",))}
    for result in shown.values():
        assert result.exit_code == 0
        assert "far above all others" not in result.stderr
    table = [line for line in shown[()].stdout.splitlines() if "warning: 1 pixel far above all others" in line]
    assert len(table) == 1
    assert "b.png" in table[0]
    rows = list(csv.DictReader(io.StringIO(shown[("--csv",)].stdout)))
    assert [bool(row["warning"]) for row in rows] == [False, True, False]
    records = [json.loads(line) for line in shown[("--json",)].stdout.splitlines()]
    assert ["warnings" in record for record in records] == [False, True, False]


def test_every_file_of_a_folder_has_a_row_or_is_counted(model: Path, folder: Path) -> None:
    for name in ("deeper/d.jfif", "e.jpe", "noextension"):
        (folder / name).write_bytes((folder / "b.png").read_bytes())
    (folder / "scan.dcm").write_bytes(b"\0" * 128 + b"DICM")
    (folder / "deeper" / "up").symlink_to("..")
    (folder / "dead.png").symlink_to("nowhere.png")
    result = _run("predict", model, folder, "--json")
    assert result.exit_code == 1
    records = {Path(record["image"]).name: record for record in map(json.loads, result.stdout.splitlines())}
    assert len(records) == 8
    assert {name for name, record in records.items() if "error" in record} == {"scan.dcm", "dead.png"}
    assert "passed over: 1 entry, no image by its name: notes.txt" in result.stderr
    assert "passed over: 1 entry, leads to the folder itself, which was read already: deeper/up/" in result.stderr


def test_a_name_that_breaks_lines_or_is_not_utf8_stays_in_its_row(model: Path, folder: Path) -> None:
    (folder / "b.png").rename(folder / "b\nb.png")
    (folder / "a.jpg").rename(folder / os.fsdecode(b"a\xe4.jpg"))
    rows = _run("predict", model, folder).stdout.splitlines()
    assert [row.rpartition("/")[2] for row in rows[1:]] == [r"a\xe4.jpg", r"b\nb.png", "c.PNG"]
    records = [json.loads(line) for line in _run("predict", model, folder, "--json").stdout.splitlines()]
    assert Path(records[1]["image"]) == folder / "b\nb.png"


def test_a_name_that_is_too_long_does_not_stop_the_others(model: Path, folder: Path) -> None:
    result = _run("predict", model, folder / "b.png", "a" * 300 + ".png", "--json")
    assert result.exit_code == 1
    assert [("error" in json.loads(line)) for line in result.stdout.splitlines()] == [False, True]


def test_a_quoted_glob_is_expanded(model: Path, folder: Path) -> None:
    result = _run("predict", model, folder / "**/*.[pP][nN][gG]", "--json")
    assert len(result.stdout.splitlines()) == 2


def test_a_glob_that_matches_folders_answers_the_files_alone(model: Path, folder: Path) -> None:
    (folder / "notes.txt").unlink()
    result = _run("predict", model, folder / "**", "--json")
    assert result.exit_code == 0, result.stderr
    names = [Path(json.loads(line)["image"]).name for line in result.stdout.splitlines()]
    assert names == ["a.jpg", "b.png", "c.PNG"]


@pytest.mark.parametrize("name", ["empty", "*.bmp", "em*"])
def test_a_folder_or_glob_without_images_is_one_clear_line(model: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    result = _run("predict", model, tmp_path / name)
    assert isinstance(result.exception, DataError)
    assert "Received: " in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (["--threads", "0"], MstlEdgeError, "--threads from 1"),
        (["--runtime", "onnx"], MstlEdgeError, "a runtime"),
    ],
)
def test_wrong_options_are_one_clear_line(
    model: Path, folder: Path, arguments: list[str], kind: type[MstlEdgeError], message: str
) -> None:
    result = _run("predict", model, folder, *arguments)
    assert isinstance(result.exception, kind)
    assert message in str(result.exception)


def test_json_and_csv_exclude_each_other(model: Path, folder: Path) -> None:
    assert _run("predict", model, folder, "--json", "--csv").exit_code == 2


def test_wrong_models_are_one_clear_line(models: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.tflite").write_bytes(b"")
    for model in (tmp_path / "none.tflite", tmp_path / "empty.tflite", models / "three_classes.tflite", folder):
        result = _run("predict", model, folder)
        assert isinstance(result.exception, ArtifactError)
        assert "\n" not in str(result.exception)


def test_the_help_ends_with_an_example_and_speaks_of_no_patient() -> None:
    for command in ("predict", "inspect"):
        text = _run(command, "--help").stdout
        assert text.strip().splitlines()[-1].strip().startswith(f"Example: mstl-edge {command}")
        assert "diagnos" not in text.lower()
    assert "Research software" in _run("predict", "--help").stdout


def test_explain_writes_a_picture_for_each_image_with_numbers_where_stems_repeat(
    model: Path, folder: Path, picture: Picture, tmp_path: Path
) -> None:
    picture(folder / "deeper" / "a.png", 9)
    (folder / "broken.png").write_bytes(b"no image")
    maps = tmp_path / "maps"
    result = _run("predict", model, folder, "--explain", maps, "--json")
    assert result.exit_code == 1  # one image could not be read
    assert sorted(path.name for path in maps.iterdir()) == ["a-2.png", "a.png", "b.png", "c.png"]
    with Image.open(maps / "a-2.png") as shown:
        assert shown.format == "PNG"
    records = {Path(record["image"]).name: record for record in map(json.loads, result.stdout.splitlines())}
    assert records["broken.png"].keys() == {"image", "error"}
    assert len(records["b.png"]["map"]) == len(records["b.png"]["map"][0]) == 8
    assert records["b.png"]["map_method"] == "occlusion"


def test_explanations_leave_answers_as_they_are(model: Path, folder: Path, tmp_path: Path) -> None:
    for form in ((), ("--csv",)):
        plain = _run("predict", model, folder, *form).stdout
        assert _run("predict", model, folder, *form, "--explain", tmp_path / "maps").stdout == plain


@pytest.mark.parametrize("where", [".", "maps", "deeper/maps"])
def test_maps_never_lie_among_the_images(model: Path, folder: Path, where: str) -> None:
    before = sorted(folder.rglob("*"))
    result = _run("predict", model, folder, "--explain", folder / where)
    assert isinstance(result.exception, DataError)
    assert "a folder of its own for the maps" in str(result.exception)
    named = _run("predict", model, folder / "b.png", "--explain", folder)
    assert "holds" in str(named.exception)
    assert sorted(folder.rglob("*")) == before
