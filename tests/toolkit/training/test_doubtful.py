from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from mstl_edge.recipe import Recipe
from mstl_edge.runs import create_run
from mstl_edge.training import pipeline
from mstl_edge.training.unseen.doubtful import doubtful_labels
from mstl_edge_cli.app import app


@pytest.mark.slow
def test_wrong_labels_are_among_the_first_and_no_test_image_is_asked(
    tiny_recipe: Callable[..., Recipe],
    draw_classes: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MSTL_EDGE_CACHE", str(tmp_path / "cache"))
    folder = draw_classes(tmp_path / "pets", ("cat", "bird", "dog"), count=60, seed=3)
    shutil.rmtree(folder / "bird")
    wrong = []
    for number in range(0, 60, 20):
        for label, other in (("cat", "dog"), ("dog", "cat")):
            moved = folder / other / f"wrong{number:02d}.png"
            shutil.move(folder / label / f"{label}{number:02d}.png", moved)
            wrong.append(moved.relative_to(folder).as_posix())
    recipe = tiny_recipe("target", epochs=25)
    stage = msgspec.structs.replace(recipe.stages[0], data=str(folder))
    run = create_run(msgspec.structs.replace(recipe, stages=(stage,)), tmp_path / "run", versions={})
    pipeline.train(run, threads=1)
    rows = doubtful_labels(run, parts=3)
    asked = [row.name for row in rows]
    from mstl_edge.data.splits import load_manifest

    manifest = load_manifest(run.manifest("target"))
    assert sorted(asked) == sorted(row.name for row in manifest.rows if row.split != "test")
    assert [row.probability for row in rows] == sorted(row.probability for row in rows)
    learned = [name for name in wrong if name in asked]
    assert len(learned) >= 3
    assert sum(name in asked[: 2 * len(learned)] for name in learned) >= len(learned) - 2
    for row in rows[:3]:
        assert row.label == row.name.split("/")[0]
        assert row.answered != row.label

    sheet = tmp_path / "sheet.html"
    result = CliRunner().invoke(app, ["data", "check", str(folder), "--labels", str(run.path), "--sheet", str(sheet)])
    assert result.exit_code == 0, result.output
    assert "labels that are hardest to believe, of " in result.stdout
    assert rows[0].name in result.stdout
    page = sheet.read_text()
    assert "Labels to look at" in page
    assert page.count("data:image/png;base64,") >= 120
    other = CliRunner().invoke(
        app, ["data", "check", str(draw_classes(tmp_path / "others")), "--labels", str(run.path)]
    )
    assert other.exit_code == 1
    assert "the images that" in str(other.exception or other.output) or "the images that" in other.stderr
