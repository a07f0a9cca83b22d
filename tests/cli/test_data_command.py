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
    result = run(app, str(pets), "--patient", "^([a-z]+[0-9]?)")
    assert result.exit_code == 0
    for phrase in ("cat", "dog/broken.png", "0 bytes", "Patients with several images", "Modes"):
        assert phrase in result.stdout
    assert "reading 25 files" in result.stderr


def test_json_is_one_document_on_stdout(app, pets):
    result = run(app, str(pets), "--json")
    tree = json.loads(result.stdout)
    assert tree["classes"] == {"cat": 12, "dog": 12}
    assert tree["patients_known"] is False


def test_findings_that_training_refuses_exit_with_1(app, pets):
    shutil.copy(pets / "cat" / "cat0_0.png", pets / "dog" / "dog9_9.png")
    result = run(app, str(pets))
    assert result.exit_code == 1
    assert "error: 1 images appear under two labels" in result.stderr
    assert "cat/cat0_0.png, dog/dog9_9.png" in result.stdout


def test_a_missing_path_is_a_clear_error(app, tmp_path):
    result = run(app, str(tmp_path / "nowhere"))
    assert isinstance(result.exception, DataError)
    assert "a data source that exists" in str(result.exception)


def test_help_ends_with_an_example(app):
    result = run(app, "--help")
    assert "Example: mstl-edge data check phantom:head-ct" in result.stdout.strip().splitlines()[-1]
