from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from mstl_edge.errors import DataError
from mstl_edge_cli.commands import data


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    data.register(app)
    return app


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(0, 256, (32, 32), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / label / f"{label}{number // 2}_{number}.png")
    return tmp_path / "pets"


def run(app: typer.Typer, *arguments: str):
    return CliRunner().invoke(app, ["data", "check", *arguments])


def test_the_audit_is_printed_as_tables(app, pets):
    (pets / "dog" / "broken.png").write_bytes(b"")
    patients = ("--patient", "^([a-z]+[0-9]?)")
    result = run(app, str(pets), *patients, "-v")
    assert result.exit_code == 0
    for phrase in (
        "cat",
        "dog/broken.png",
        "0 bytes",
        "patients with several images",
        "modes",
        "labels without an image",
    ):
        assert phrase in result.stdout
    assert "reading 25 files" in result.stderr
    short = run(app, str(pets), *patients).stdout
    assert "dog/broken.png" in short
    for phrase in ("\nmodes", "sizes in pixels", "labels without an image"):
        assert phrase not in short


def test_the_audit_ends_with_a_verdict_and_what_to_type(app, pets):
    few = run(app, str(pets), "--patient", "^([a-z]+[0-9]?)", "--resplit")
    assert "ready, but class cat has 12 images, " in few.stdout
    assert "next: mstl-edge run " in few.stderr
    assert "--patient '^([a-z]+[0-9]?)' --resplit" in few.stderr
    (warning, _) = json.loads(run(app, str(pets), "--json").stdout)["warnings"]
    assert (warning["label"], warning["images"], warning["part"]) == ("cat", 12, "validation")
    assert warning["words"].endswith("its accuracy will say little")
    for number in range(4):
        shutil.copy(pets / "cat" / f"cat{number // 2}_{number}.png", pets / "dog" / f"copy{number}.png")
    refused = run(app, str(pets))
    assert "not ready: 1 error above has to be mended first" in refused.stdout
    assert "next:" not in refused.stderr


def test_enough_images_of_every_class_are_ready(app, draw_classes, tmp_path):
    alike = draw_classes(tmp_path / "many", ("cat", "bird"), count=70)
    shutil.rmtree(alike / "bird")
    draw_classes(tmp_path / "more", ("dog",), count=70, seed=1).joinpath("dog").rename(alike / "dog")
    result = run(app, str(alike))
    assert "ready: nothing was found" in result.stdout


def test_a_frame_that_tells_the_class_is_a_doubt(app, draw_classes, tmp_path):
    # The classes of these drawn images differ in brightness, at the border too.
    brighter = str(draw_classes(tmp_path / "many", count=70))
    result = run(app, brighter)
    assert "ready, but the outermost tenth of the pictures alone tells the class (9" in result.stdout
    assert "what tells the class beside what is shown, cross-validated on 140 images" in result.stdout
    ways = json.loads(run(app, brighter, "--json").stdout)["shortcuts"]
    assert {way["kind"]: way["tells"] for way in ways} == {"size": False, "frame": True, "thumbnail": False}
    assert f"next: mstl-edge run {tmp_path / 'many'}" in result.stderr


def test_json_is_one_document_on_stdout(app, pets):
    result = run(app, str(pets), "--json")
    tree = json.loads(result.stdout)
    assert tree["classes"] == {"cat": 12, "dog": 12}
    assert tree["patients_known"] is False


def test_a_picture_under_two_labels_is_left_out_as_run_would_and_many_of_them_exit_with_1(app, pets):
    shutil.copy(pets / "cat" / "cat0_0.png", pets / "dog" / "dog9_9.png")
    result = run(app, str(pets))
    assert result.exit_code == 0
    assert "note: left out: 2 entries (the same picture under another label too): cat/cat0_0.png, " in result.stderr
    assert "cat/cat0_0.png, dog/dog9_9.png" in result.stdout
    for number in range(1, 4):
        shutil.copy(pets / "cat" / f"cat{number // 2}_{number}.png", pets / "dog" / f"copy{number}.png")
    result = run(app, str(pets))
    assert result.exit_code == 1
    assert "error: expected at most 10% copies of a picture under another label. Received: 8 of 28" in result.stderr


def test_what_training_refuses_is_refused_here_too_with_what_to_type_here(app, tmp_path):
    rng = np.random.default_rng(0)
    for part, count in (("Training", 8), ("Testing", 4)):
        for label in ("a", "b"):
            (tmp_path / "set" / part / label).mkdir(parents=True)
            for number in range(count):
                Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).save(
                    tmp_path / "set" / part / label / f"{number}.png"
                )
    result = run(app, str(tmp_path / "set"))
    assert result.exit_code == 1
    assert "error: expected at least 50 validation images" in result.stderr
    assert "Deal anew with --resplit." in result.stderr
    assert run(app, str(tmp_path / "set"), "--resplit").exit_code == 0


def test_too_many_unreadable_files_and_too_few_images_of_a_class_are_findings(app, pets):
    for number in range(4):
        (pets / "dog" / f"broken{number}.png").write_bytes(b"")
    (pets / "bird").mkdir()
    (pets / "cat" / "cat0_0.png").rename(pets / "bird" / "0.png")
    result = run(app, str(pets))
    assert result.exit_code == 1
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert "at most 10% unreadable files. Received: 4 of 28 (dog/broken0.png: 0 bytes" in errors[0]
    assert "at least 3 images of every class" in errors[1]
    assert "mstl-edge data check" not in result.stderr


def test_what_is_left_out_and_chosen_is_said(app, pets):
    for number in range(12):
        Image.open(pets / "cat" / f"cat{number // 2}_{number}.png").save(
            pets / "cat" / f"cat{number // 2}_{number}_mask.png"
        )
    (pets / "notes.csv").write_text("image,age\nx,1\n")
    result = run(app, str(pets))
    assert result.exit_code == 0
    assert "note: notes.csv is not used: the folders are the classes" in result.stderr
    assert "note: left out: 12 entries (a mask beside its picture): cat/cat0_0_mask.png" in result.stderr
    assert "cat/cat5_11_mask.png" not in result.stdout
    assert "left out (the first 5 of 12)" in result.stdout
    assert "cat/cat5_11_mask.png" in run(app, str(pets), "-v").stdout
    assert len(json.loads(run(app, str(pets), "--json").stdout)["left_out"]) == 12


def test_columns_that_only_the_user_can_choose_are_options(app, pets):
    rows = ["scan,previous,pathology,sex"]
    rows += [f"cat{n // 2}_{n}.png,dog{n // 2}_{n}.png,{n % 2},{'mf'[n % 3 // 2]}" for n in range(12)]
    (pets / "labels.csv").write_text("\n".join(rows))
    assert "--image-column scan" in str(run(app, str(pets)).exception)
    assert "--label-column" in str(run(app, str(pets), "--image-column", "scan").exception)
    result = run(app, str(pets), "--image-column", "scan", "--label-column", "pathology", "--json")
    assert json.loads(result.stdout)["classes"] == {"normal": 6, "pathology": 6}


def test_a_missing_path_is_a_clear_error(app, tmp_path):
    result = run(app, str(tmp_path / "nowhere"))
    assert isinstance(result.exception, DataError)
    assert "a data source that exists" in str(result.exception)


def test_help_ends_with_an_example(app):
    result = run(app, "--help")
    assert "Example: mstl-edge data check phantom:head-ct" in result.stdout.strip().splitlines()[-1]
