"""Whole studies on tiny images, trained for real."""

from __future__ import annotations

import csv
import json
from contextlib import contextmanager
from typing import ClassVar

import msgspec
import numpy as np
import pytest

from mstl_edge.errors import DataError
from mstl_edge.progress import Silent
from mstl_edge.schemas.study_plan import Arm, StudyPlan
from mstl_edge.study.executor import FoldResult
from mstl_edge.study.plan import build_arms


def plan_for(recipe, **keys):
    arms = keys.pop("arms", None) or build_arms(recipe, schemes=["float32"])
    return StudyPlan(recipe=recipe, arms=arms, folds=2, repeats=1, **keys)


def answers_of(study):
    return {path.name: path.read_bytes() for path in sorted((study.path / "folds").iterdir())}


def without_seconds(study):
    tree = json.loads(study.result.read_text())
    for arm in tree["provenance"]["arms"]:
        for key in ("seconds", "training_seconds", "peak_bytes"):
            del arm[key]
    return tree


class KilledError(Exception):
    """Stands for a killed process."""


class StopsAfter:
    """Runs some tasks, then dies as a killed process would."""

    running: ClassVar[dict[str, int]] = {"far": 2, "": 1}

    def __init__(self, count):
        self.count = count
        self.ran = []

    def run(self, tasks):
        from mstl_edge.training.study.one_fold import run_fold

        for task in tasks:
            if len(self.ran) == self.count:
                raise KilledError
            result: FoldResult = run_fold(task)
            self.ran.append(task)
            yield result


class Notes(Silent):
    """Keeps the notes of bars."""

    def __init__(self):
        self.told = []

    @contextmanager
    def bar(self, description, total):
        yield lambda steps, note="": self.told.append(note)


@pytest.mark.slow
def test_a_study_trains_every_arm_in_the_same_folds_and_goes_on_where_it_was_stopped(recipe, tmp_path):
    from mstl_edge.training.study.run import run_study, start_study

    plan = plan_for(recipe("bridge", "target"), learning_curve=(8, 500))
    study = start_study(plan, tmp_path / "study")
    assert study.plan().learning_curve == (8,)
    with pytest.raises(KilledError):
        run_study(study, threads=1, executor=StopsAfter(2))
    assert len(answers_of(study)) == 2
    bridge = next((study.path / "bridges").iterdir()) / "metrics.json"
    trained_at = bridge.stat().st_mtime_ns
    rest, notes = StopsAfter(99), Notes()
    tree = msgspec.to_builtins(run_study(study, threads=1, executor=rest, reporter=notes))
    assert sum("left; 2 running at far; 1 starting" in note for note in notes.told) == len(rest.ran)
    assert len(rest.ran) == 3 * 2 * 2 - 2
    assert bridge.stat().st_mtime_ns == trained_at
    assert not (study.path / "work").exists()
    assert study.result.is_file()
    assert [arm["name"] for arm in tree["arms"]] == ["scratch", "single", "multi"]
    names = {name: content.decode().splitlines() for name, content in answers_of(study).items()}
    for fold in (1, 2):
        for other in ("single-float32-1-{}", "multi-float32-1-{}", "scratch-float32-1-{}-n8"):
            tested = [line.split(",")[0] for line in names[f"scratch-float32-1-{fold}.csv"]]
            assert [line.split(",")[0] for line in names[f"{other.format(fold)}.csv"]] == tested
    together = list(csv.DictReader(study.all_answers.open(encoding="utf-8")))
    assert len(together) == sum(len(lines) - 1 for lines in names.values())
    assert {row["training_images"] for row in together} == {"all", "8"}
    origin = tree["provenance"]
    assert {"mstl-edge", "tensorflow", "ai-edge-litert"} <= origin["versions"].keys()
    records = [json.loads(study.training("multi", 1, fold, 0).read_text()) for fold in (1, 2)]
    assert origin["arms"][2]["seconds"] == pytest.approx(sum(record["seconds"] for record in records))


@pytest.mark.slow
def test_what_several_networks_cost_is_measured_once_on_the_files_of_the_first_fold(recipe, tmp_path):
    from mstl_edge.study.plan import backbone_arms, on_backbone
    from mstl_edge.training.study.run import run_study, start_study
    from mstl_edge_bench.bench import BenchPlan, run_bench

    whole = recipe("target", epochs=1)
    on = [
        (name, on_backbone(whole, name, variant, "none"))
        for name, variant in (("mobilenet_v1", "0.25"), ("squeezenet", ""))
    ]
    study = start_study(plan_for(whole, arms=backbone_arms(on, ["single"], ["float32"])), tmp_path / "study")
    asked = []

    def bench(models):
        asked.append([path.name for path in models])
        return run_bench(BenchPlan(models=tuple(models), accuracy=False, blocks=5, repeats=3, patience_s=0.0))

    result = run_study(study, threads=1, bench=bench)
    assert asked == [[f"{name}-float32.tflite" for name, _ in on]]
    assert [row.title for row in result.costs.rows] == [arm.title for arm in result.arms]
    for row, (name, _), origin in zip(result.costs.rows, on, result.provenance.arms, strict=True):
        assert row.size_bytes == study.model(name, "float32").stat().st_size
        assert row.latency_ms.low <= row.latency_ms.value <= row.latency_ms.high
        assert origin.training_seconds > 0
        assert origin.moved
        assert max(origin.moved.values()) > 0
    assert run_study(study, threads=1, bench=bench) == result
    assert len(asked) == 1


@pytest.mark.long
def test_a_resumed_study_ends_with_the_bytes_of_one_that_was_not_stopped(recipe, tmp_path):
    from mstl_edge.training.study.run import run_study, start_study

    plan = plan_for(recipe("target"))
    straight, stopped = (start_study(plan, tmp_path / name) for name in ("straight", "stopped"))
    run_study(straight, threads=1)
    with pytest.raises(KilledError):
        run_study(stopped, threads=1, executor=StopsAfter(1))
    run_study(stopped, threads=1)
    assert answers_of(stopped) == answers_of(straight)
    assert stopped.all_answers.read_bytes() == straight.all_answers.read_bytes()
    assert without_seconds(stopped) == without_seconds(straight)


def test_a_study_of_many_arms_reads_the_images_of_each_once(drawn_study, monkeypatch):
    from mstl_edge.training import stage_data
    from mstl_edge.training.study import one_fold
    from mstl_edge.training.study.run import plan_tasks

    study = drawn_study({"single": 0.8})
    tree = json.loads(study.plan_file.read_text())
    names = [f"arm{number}" for number in range(12)]
    study.plan_file.write_text(json.dumps({**tree, "arms": [{**tree["arms"][0], "name": name} for name in names]}))
    for path in list((study.path / "folds").iterdir()):
        for name in names:
            path.with_name(path.name.replace("single", name)).write_bytes(path.read_bytes())
    read = []
    data = stage_data.StageData(study.manifest(), None, None)
    monkeypatch.setattr(stage_data, "read_images", lambda *_: read.append(1) or data)
    for task in plan_tasks(study, 1):
        one_fold.run_fold(task)
    assert len(read) == len(names)


@pytest.mark.slow
def test_int8_answers_come_from_the_converted_file(recipe, tmp_path):
    from mstl_edge.study.predictions import read_answers
    from mstl_edge.training.study.run import run_study, start_study

    whole = recipe("target")
    study = start_study(plan_for(whole, arms=build_arms(whole, wanted=["single"])), tmp_path / "study")
    tree = msgspec.to_builtins(run_study(study, threads=1))
    assert [arm["scheme"] for arm in tree["arms"]] == ["float32", "int8-ptq", "int8-qat"]
    for scheme in ("int8-ptq", "int8-qat"):
        found = read_answers(study.answers("single", scheme, 1, 1, 0), ("healthy", "ill"))
        assert np.array_equal(found.probabilities * 256, np.round(found.probabilities * 256))
        float_ones = read_answers(study.answers("single", "float32", 1, 1, 0), ("healthy", "ill"))
        assert found.decision == float_ones.decision
        assert np.abs(found.probabilities - float_ones.probabilities).max() < 0.3


def test_random_kernels_are_scaled_until_the_signal_reaches_the_head(recipe):
    from mstl_edge.training.network.classifier import classifier
    from mstl_edge.training.network.keras import probe
    from mstl_edge.training.network.passes.scratch import normalized_from_data
    from mstl_edge.training.weights import loaded_backbone

    (scratch,) = build_arms(recipe("target"), wanted=["scratch"])
    spec = scratch.recipe.backbone
    batch = np.random.default_rng(0).uniform(-1, 1, (16, 32, 32, 3)).astype(np.float32)
    network = normalized_from_data(classifier(spec, loaded_backbone(spec, 0), 2), batch)
    values = np.asarray(probe(network, ["conv_pw_3_bn"], lambda value: value)(batch)[0])
    assert values.mean(axis=(0, 1, 2)) == pytest.approx(np.zeros(values.shape[-1]), abs=1e-2)
    assert values.std(axis=(0, 1, 2)) == pytest.approx(np.ones(values.shape[-1]), abs=1e-2)


def test_a_channel_that_is_silent_on_the_batch_is_not_made_loud(recipe):
    from dataclasses import replace

    from mstl_edge.training.network.classifier import classifier
    from mstl_edge.training.network.passes.scratch import normalized_from_data
    from mstl_edge.training.weights import loaded_backbone

    (scratch,) = build_arms(recipe("target"), wanted=["scratch"])
    spec = scratch.recipe.backbone
    network = classifier(spec, loaded_backbone(spec, 0), 2)
    kernel, *rest = network.weights["conv_dw_3"]
    silent = kernel.copy()
    silent[:, :, 0] *= 1e-9
    network = replace(network, weights={**network.weights, "conv_dw_3": (silent, *rest)})
    batch = np.random.default_rng(0).uniform(-1, 1, (16, 32, 32, 3)).astype(np.float32)
    scaled, *_ = normalized_from_data(network, batch).weights["conv_dw_3"]
    assert np.abs(scaled[:, :, 0]).max() < 1e-6 * np.abs(scaled).max()


def test_arms_whose_labels_differ_are_one_clear_line(recipe, folders, tmp_path):
    from mstl_edge.training.study.run import start_study

    whole = recipe("target")
    arms = (
        *build_arms(whole, wanted=["single"]),
        Arm("other", recipe("target", data={"target": folders["bridge"]}), ("float32",)),
    )
    with pytest.raises(DataError) as caught:
        start_study(plan_for(whole, arms=arms), tmp_path / "study")
    message = str(caught.value)
    assert "the same labels in every arm (healthy, ill as in tiny). Received: cat, dog in arm other." in message
    assert "\n" not in message
    assert not (tmp_path / "study").exists()


def test_arms_on_other_images_are_one_clear_line(recipe, draw_classes, tmp_path):
    from mstl_edge.training.study.run import start_study

    elsewhere = draw_classes(tmp_path / "elsewhere", ("healthy", "ill"), count=6, seed=9)
    whole = recipe("target")
    arms = (
        *build_arms(whole, wanted=["single"]),
        Arm("other", recipe("target", data={"target": elsewhere}), ("float32",)),
    )
    with pytest.raises(DataError, match=r"the same images in every arm.*Received: 12 of .* in arm other"):
        start_study(plan_for(whole, arms=arms), tmp_path / "study")


def test_arms_that_mean_another_class_by_sensitivity_are_one_clear_line(recipe, tmp_path):
    from mstl_edge.training.study.run import start_study

    whole = recipe("target")
    arms = (*build_arms(whole, wanted=["single"]), Arm("other", recipe("target", positive="healthy"), ("float32",)))
    with pytest.raises(
        DataError, match=r"the same positive class in every arm \(ill\). Received: healthy in arm other"
    ):
        start_study(plan_for(whole, arms=arms), tmp_path / "study")


def test_a_sensitivity_required_of_three_classes_is_one_clear_line(recipe, draw_classes, tmp_path):
    from mstl_edge.training.study.run import start_study

    three = draw_classes(tmp_path / "three", ("a", "b", "c"), count=4, seed=3)
    whole = recipe("target", data={"target": three})
    arms = build_arms(whole, wanted=["single"], schemes=["float32"])
    with pytest.raises(DataError) as caught:
        start_study(plan_for(whole, arms=arms, sensitivity=0.95), tmp_path / "study")
    message = str(caught.value)
    assert "two classes for --sensitivity" in message
    assert "Received: 3 classes (a, b, c). Leave --sensitivity out" in message
    assert "\n" not in message
    assert not (tmp_path / "study").exists()
    start_study(plan_for(whole, arms=arms), tmp_path / "study")


def test_folds_that_cannot_hold_every_class_are_refused_before_a_folder_is_made(recipe, tmp_path):
    from mstl_edge.training.study.run import start_study

    whole = recipe("target")
    plan = StudyPlan(recipe=whole, arms=build_arms(whole, wanted=["single"]), folds=11)
    with pytest.raises(DataError, match="one independent image for each of 11 folds"):
        start_study(plan, tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_a_bridge_that_has_seen_an_image_of_the_target_is_refused(recipe, folders, tmp_path):
    from mstl_edge.training.study.run import start_study

    whole = recipe("bridge", "target", data={"bridge": folders["target"]})
    with pytest.raises(DataError, match="data of stage target that stage bridge has not seen"):
        start_study(plan_for(whole), tmp_path / "study")
    assert not (tmp_path / "study").exists()
