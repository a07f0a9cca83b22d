"""A run from recipe to metrics: any number of stages and classes, frozen layers kept, one seed one result."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from mstl_edge import storage
from mstl_edge.data.splits import load_manifest
from mstl_edge.errors import DataError, MstlEdgeError
from mstl_edge.progress import Silent
from mstl_edge.recipe import Recipe, load_recipe
from mstl_edge.runs import RunFolder, create_run, read_json
from mstl_edge.schemas.metrics import METRICS
from mstl_edge.training import pipeline
from mstl_edge.training.convert import to_float_flatbuffer
from mstl_edge.training.fitting import features
from mstl_edge.training.network.classifier import LOGITS
from mstl_edge.training.network.graph import Graph
from mstl_edge.training.stages import read_weights

Train = Callable[[Recipe], RunFolder]
RESULTS = ("weights.npz", "history.csv", "predictions.csv")


@pytest.fixture(autouse=True, scope="module")
def one_conversion_per_prefix() -> Iterator[None]:
    """Most runs here share a frozen prefix; converting it takes longer than training on it."""
    converted: dict[bytes, bytes] = {}

    def convert(graph: Graph, **options: Any) -> bytes:
        key = graph.key()
        if key not in converted:
            converted[key] = to_float_flatbuffer(graph, **options)
        return converted[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "to_float_flatbuffer", convert)
        yield


@pytest.fixture
def train(tmp_path: Path) -> Train:
    """Train a recipe in a run folder of its own."""
    made: list[RunFolder] = []

    def run(recipe: Recipe) -> RunFolder:
        folder = create_run(recipe, tmp_path / f"run{len(made)}", versions={})
        made.append(folder)
        pipeline.train(folder, threads=1)
        return folder

    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_recipe: Callable[..., Recipe]) -> RunFolder:
    """A finished run of one stage, to be read only."""
    base = tmp_path_factory.mktemp("finished")
    run = create_run(tiny_recipe("target", seed=3), base / "run", versions={})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(storage.CACHE_VARIABLE, str(base / "cache"))
        pipeline.train(run, threads=1)
    return run


def test_three_stages_hand_on_what_stays_frozen_and_replace_the_head(
    tiny_recipe: Callable[..., Recipe], train: Train
) -> None:
    run = train(tiny_recipe("bridge", "middle", "target"))
    metrics = read_json(run.metrics)
    assert metrics["schema"] == "mstl-edge/metrics/2"
    assert [stage["name"] for stage in metrics["stages"]] == ["bridge", "middle", "target"]
    assert metrics["seconds"] == pytest.approx(sum(stage["seconds"] for stage in metrics["stages"]), abs=0.2)

    weights = {name: read_weights(run.stage(name).weights) for name in ("bridge", "middle", "target")}
    assert [weights[name][LOGITS][1].shape for name in weights] == [(2,), (3,), (2,)]
    for layer, arrays in weights["bridge"].items():
        if layer in ("conv_dw_13", "conv_pw_13", LOGITS):
            continue
        for one, other in zip(arrays, weights["target"][layer], strict=True):
            np.testing.assert_array_equal(one, other, err_msg=layer)
    assert not np.array_equal(weights["bridge"]["conv_pw_13"][0], weights["target"]["conv_pw_13"][0])

    middle = metrics["stages"][1]
    assert middle["labels"] == ["a", "b", "c"]
    assert middle["positive"] is None
    assert middle["threshold"] is None
    assert np.array(middle["test"]["confusion"]).shape == (3, 3)
    assert np.array(middle["test"]["confusion"]).sum() == middle["test"]["n"] == middle["images"]["test"] == 6
    assert [middle["test"][name] for name in ("sensitivity", "specificity", "auc", "threshold")] == [None] * 4
    assert list(middle["test"]["classes"]) == ["a", "b", "c"]
    by_class = [scores[name] for scores in middle["test"]["classes"].values() for name in ("recall", "auc")]
    for interval in (middle["test"]["accuracy"], middle["test"]["macro_f1"], *by_class):
        assert 0 <= interval["low"] <= interval["value"] <= interval["high"] <= 1
    rows = list(csv.DictReader(run.stage("middle").predictions.open()))
    assert {row["split"] for row in rows} == {"validation", "test"}
    for row in rows:
        assert sum(float(row[label]) for label in "abc") == pytest.approx(1.0, abs=1e-5)


def test_a_bridge_that_trains_its_head_alone_hands_on_nothing_and_says_so(
    tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    class Told(Silent):
        def __init__(self) -> None:
            self.lines: list[str] = []

        def say(self, message: str) -> None:
            self.lines.append(message)

    told, recipe = Told(), tiny_recipe("bridge", "target", unfreeze_from="head", epochs=1)
    run = create_run(recipe, tmp_path / "run", versions={})
    pipeline.train(run, threads=1, reporter=told)
    assert [line for line in told.lines if "hands on nothing" in line] == [
        "bridge: trains its head alone, which the next stage replaces: it hands on nothing that it learned"
    ]
    bridge, target = (read_weights(run.stage(name).weights) for name in ("bridge", "target"))
    apart = {name for name in target if not np.array_equal(target[name][0], bridge[name][0])}
    assert apart == {"head_logits"}


def test_a_single_stage_leaves_all_its_files(finished: RunFolder) -> None:
    folder = finished.stage("target")
    written = {str(path.relative_to(finished.path)) for path in finished.path.rglob("*") if path.is_file()}
    stage_files = {f"stages/target/{name}" for name in (*RESULTS, "checkpoint.npz", "metrics.json")}
    assert written == {"recipe.toml", "run.json", "metrics.json", "splits/target.json", *stage_files}
    manifest = load_manifest(finished.manifest("target"))
    assert {row.split for row in manifest.rows} == {"train", "validation", "test"}
    assert len(folder.history.read_text().splitlines()) == 1 + 2
    entry = read_json(folder.metrics)
    assert entry["epochs"] == 2
    assert entry["selected_epoch"] in (1, 2)
    assert 0 < entry["threshold"] < 1
    assert 0 < entry["parameters"]["trained"] < entry["parameters"]["total"]


def test_a_stage_that_averages_leaves_the_mean_weights_and_says_the_last_epoch_of_them(
    train: Train, tiny_recipe: Callable[..., Recipe]
) -> None:
    last, averaged = (train(tiny_recipe("target", select=select)).stage("target") for select in ("last", "average"))
    first = train(tiny_recipe("target", select="last", epochs=1)).stage("target")
    assert read_json(averaged.metrics)["selected_epoch"] == read_json(averaged.metrics)["epochs"] == 2
    assert averaged.history.read_bytes() == last.history.read_bytes()
    one, two, mean = (read_weights(folder.weights) for folder in (first, last, averaged))
    for layer, arrays in mean.items():
        for found, a, b in zip(arrays, one[layer], two[layer], strict=True):
            np.testing.assert_allclose(found, (a.astype(np.float64) + b) / 2, rtol=1e-6, atol=1e-8)
    assert averaged.predictions.read_bytes() != last.predictions.read_bytes()


def test_the_recipe_of_a_run_repeats_it_to_the_bit_and_another_seed_does_not(
    finished: RunFolder, train: Train, tiny_recipe: Callable[..., Recipe]
) -> None:
    folder = finished.stage("target")
    again = train(load_recipe(finished.recipe_file))
    for name in RESULTS:
        assert (again.stage("target").path / name).read_bytes() == (folder.path / name).read_bytes(), name
    assert again.manifest("target").read_bytes() == finished.manifest("target").read_bytes()

    other = train(tiny_recipe("target", seed=4))
    assert digests(other) != digests(finished)


def test_stored_views_are_trained_on_and_change_the_result(
    finished: RunFolder, tiny_recipe: Callable[..., Recipe], train: Train
) -> None:
    viewed = train(tiny_recipe("target", seed=3, augment={"views": 3}))
    assert digests(viewed) != digests(finished)
    manifests = [load_manifest(run.manifest("target")) for run in (viewed, finished)]
    assert manifests[0] == manifests[1]


def digests(run: RunFolder) -> list[str]:
    return [hashlib.sha256(run.stage(s.name).weights.read_bytes()).hexdigest() for s in run.recipe().stages]


def test_a_finished_run_is_left_as_it_is(finished: RunFolder, tmp_path: Path) -> None:
    run = RunFolder(shutil.copytree(finished.path, tmp_path / "copy"))
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    (run.stage("target").path / "weights.npz.123.partial").write_bytes(b"left by a killed process")
    metrics = pipeline.train(run, threads=1)
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before
    assert METRICS.convert(json.loads(before[run.metrics]), origin=run.metrics, hint="") == metrics


def test_no_image_of_the_bridge_may_judge_the_target(
    tiny_recipe: Callable[..., Recipe], train: Train, image_folders: dict[str, Path], tmp_path: Path
) -> None:
    mixed = shutil.copytree(image_folders["target"], tmp_path / "mixed")
    for number in range(10):  # whichever of them falls to validation or test
        shutil.copy(image_folders["bridge"] / "cat" / f"cat{number:02d}.png", mixed / "ill" / f"copy{number}.png")
    recipe = tiny_recipe("bridge", "target", epochs=1)
    stages = (recipe.stages[0], msgspec.structs.replace(recipe.stages[1], data=str(mixed)))
    with pytest.raises(DataError, match=r"has not seen. Received: ill/copy\d.png, which is cat/cat\d\d.png there"):
        train(msgspec.structs.replace(recipe, stages=stages))


def test_a_full_disk_is_said_before_features_are_written_and_the_run_goes_on_later(
    tiny_recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = create_run(tiny_recipe("target", epochs=1), tmp_path / "run", versions={})
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: usage._replace(free=1_000_000))
        with pytest.raises(MstlEdgeError, match=r"Received: 1 MB free. Free some, try 'mstl-edge runs clean'"):
            pipeline.train(run, threads=1)
    assert not list((tmp_path / "cache").rglob("rows.bin"))
    pipeline.train(run, threads=1)
    assert run.metrics.is_file()


@pytest.mark.parametrize("what", ["data", "positive", "weights"])
def test_missing_ingredients_are_found_before_a_run_folder_is_made(
    tiny_recipe: Callable[..., Recipe], what: str
) -> None:
    recipe = {
        "data": lambda: tiny_recipe("target", data="absent-folder"),
        "positive": lambda: tiny_recipe("target", positive="sick"),
        "weights": lambda: tiny_recipe("target", backbone={"weights": "absent.h5"}),
    }[what]()
    expected = {"data": "absent-folder", "positive": "sick", "weights": "absent.h5"}[what]
    with pytest.raises(MstlEdgeError, match=f"Received: {expected}"):
        pipeline.check_ingredients(recipe)


def test_an_unknown_positive_class_names_those_that_exist(tiny_recipe: Callable[..., Recipe]) -> None:
    with pytest.raises(DataError, match=r"\(healthy, ill\).*--set stages.target.positive=ill"):
        pipeline.check_ingredients(tiny_recipe("target", positive="sick"))
    pipeline.check_ingredients(tiny_recipe("target", positive="Healthy"))
