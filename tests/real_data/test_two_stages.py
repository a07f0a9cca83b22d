"""The whole transfer on real images: chest X-ray, then head CT, on Keras' own ImageNet weights of alpha 0.25."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mstl_edge.recipe import load_recipe
from mstl_edge.runs import create_run
from mstl_edge.training import pipeline

REAL_DATA = os.environ.get("MSTL_EDGE_REAL_DATA", "")
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.slow,
    pytest.mark.skipif(not REAL_DATA, reason="MSTL_EDGE_REAL_DATA does not point at the real images"),
]


def test_two_stages_on_real_images_end_above_chance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSTL_EDGE_CACHE", str(tmp_path / "cache"))
    base = Path(REAL_DATA)
    recipe = load_recipe(
        "ct-hemorrhage",
        data={
            "bridge": str(base / "data" / "chest-xray14-sample"),
            "target": str(base / "data" / "head-ct-hemorrhage"),
        },
        weights=str(base / "weights" / "mobilenet_2_5_224_tf_no_top.h5"),
        overrides=[
            "backbone.alpha=0.25",
            "backbone.input_size=128",
            "stages.bridge.split.patient=^([0-9]+)_",
            "stages.bridge.epochs=4",
            "stages.target.epochs=10",
            "stages.target.learning_rate=5e-4",
        ],
        seed=0,
    )
    run = create_run(recipe, tmp_path / "run", versions={})
    bridge, target = pipeline.train(run).stages
    assert bridge.patients_known
    assert not target.patients_known
    assert sum(bridge.images.values()) == 816
    assert sum(target.images.values()) == 160
    assert target.labels == ("hemorrhage", "normal")
    assert target.positive == "hemorrhage"
    for stage in (bridge, target):
        assert stage.test.accuracy.value > 0.5
        assert stage.test.auc is not None
        assert stage.test.auc.value > 0.6
        folder = run.stage(stage.name)
        for file in (folder.weights, folder.checkpoint, folder.history, folder.predictions, folder.metrics):
            assert file.stat().st_size > 0
