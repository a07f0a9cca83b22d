from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mstl_edge.errors import GateRefusedError
from mstl_edge.metrics import Interval
from mstl_edge.recipe import load_recipe
from mstl_edge.runs import RunFolder, create_run
from mstl_edge.schemas.export import EXPORT, Export, ExportedFile


@pytest.fixture
def run(exported: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run with both files of an export."""
    folder = create_run(load_recipe("phantom"), tmp_path / "run", versions={})
    folder.exports.mkdir(parents=True)
    for scheme in ("float32", "int8"):
        (folder.exports / f"tiny-{scheme}.tflite").write_bytes(exported(f"tiny_{scheme}").read_bytes())
    monkeypatch.setattr("mstl_edge.runs.open_run", lambda _: folder)
    return folder


def _summed_up(run: RunFolder, *schemes: str, chosen: str | None) -> Export:
    """Write the summary of an export, and return it."""
    rows = tuple(
        ExportedFile(
            scheme=scheme,
            accuracy=Interval(0.9, 0.8, 0.95),
            path=f"exports/tiny-{scheme}.tflite",
            chosen=scheme == chosen,
        )
        for scheme in schemes
    )
    model = f"exports/tiny-{chosen}.tflite" if chosen else None
    record = Export(schema=EXPORT.identifier, model=model, chosen=chosen, candidates=rows)
    EXPORT.write(run.exports / "export.json", record)
    return record


def test_metadata_adds_a_copy_of_each_file_and_says_where_it_is(
    mstl_edge: Callable[..., Any], run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mstl_edge.training.exporting import export

    monkeypatch.setattr(export, "export_int8", lambda *_, **__: _summed_up(run, "float32", "int8", chosen="int8"))
    assert json.loads(mstl_edge("export", "run", "--json").stdout)["mediapipe"] == []
    assert list(run.exports.glob("*-mediapipe.tflite")) == []
    ended = mstl_edge("export", "run", "--metadata")
    assert ended.exit_code == 0
    assert (ended.stdout + ended.stderr).count("-mediapipe.tflite") == 4
    told = json.loads(mstl_edge("export", "run", "--metadata", "--json").stdout)
    assert [Path(entry["path"]).name for entry in told["mediapipe"]] == [
        "tiny-float32-mediapipe.tflite",
        "tiny-int8-mediapipe.tflite",
    ]
    answers = [
        mstl_edge("predict", run.exports / f"tiny-int8{kind}.tflite", _picture(run.path), "--json").stdout
        for kind in ("", "-mediapipe")
    ]
    assert answers[0] == answers[1] != ""


def _picture(folder: Path) -> Path:
    from PIL import Image

    Image.radial_gradient("L").save(folder / "a.png")
    return folder / "a.png"


def test_a_refused_export_still_gives_the_copy_of_the_float_file(
    mstl_edge: Callable[..., Any], run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mstl_edge.training.exporting import export

    def refuse(*_: Any, **__: Any) -> None:
        raise GateRefusedError(
            "an int8 model", received="none", tree=msgspec.to_builtins(_summed_up(run, "float32", chosen=None))
        )

    monkeypatch.setattr(export, "export_int8", refuse)
    ended = mstl_edge("export", "run", "--metadata")
    assert ended.exit_code == 3
    assert [path.name for path in run.exports.glob("*-mediapipe.tflite")] == ["tiny-float32-mediapipe.tflite"]


def test_a_later_export_leaves_no_copy_of_an_earlier_one(run: RunFolder) -> None:
    from mstl_edge.training.exporting.seal import drop_earlier

    (run.exports / "tiny-int8-mediapipe.tflite").write_bytes(b"of an earlier export")
    drop_earlier(run.exports)
    assert sorted(path.name for path in run.exports.iterdir()) == ["tiny-float32.tflite"]


def test_out_takes_a_copy_of_what_has_passed_and_is_untouched_by_a_refusal(
    mstl_edge: Callable[..., Any], run: RunFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from mstl_edge.training.exporting import export

    monkeypatch.setattr(export, "export_int8", lambda *_, **__: _summed_up(run, "float32", "int8", chosen="int8"))
    ended = mstl_edge("export", "run", "--out", "models/mine.tflite")
    assert ended.exit_code == 0
    assert "copy: models/mine.tflite" in ended.stderr
    copied = (tmp_path / "models" / "mine.tflite").read_bytes()
    assert copied == (run.exports / "tiny-int8.tflite").read_bytes()

    def refuse(*_: Any, **__: Any) -> None:
        raise GateRefusedError("an int8 model", received="none", tree=msgspec.to_builtins(_summed_up(run, chosen=None)))

    monkeypatch.setattr(export, "export_int8", refuse)
    assert mstl_edge("export", "run", "--out", "models/mine.tflite").exit_code == 3
    assert (tmp_path / "models" / "mine.tflite").read_bytes() == copied
    folder = mstl_edge("export", "run", "--out", "models")
    assert folder.exit_code == 1
    assert "expected a file to write the model to. Received: models, a folder." in folder.stderr
