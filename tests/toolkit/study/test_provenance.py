from __future__ import annotations

import dataclasses
import json
import re

import msgspec
import pytest

from mstl_edge.errors import RunError
from mstl_edge.recipe import resolve, to_tree
from mstl_edge.study.plan import build_arms
from mstl_edge.study.provenance import TrainingRecord, manifest_hash, write_record
from mstl_edge.study.results import summary


def summarize(study):
    return msgspec.json.decode(msgspec.json.encode(summary.summarize(study)))


def record_all(study, arm, *, seconds=1.5, versions=None):
    for place in study.plan().places:
        write_record(study.training(arm, *place, 0), TrainingRecord(seconds, versions or {"tensorflow": "2.21.0"}))


def with_arms(study, change):
    """Rewrite the plan with other recipes for its arms."""
    plan = study.plan()
    arms = [msgspec.structs.replace(arm, recipe=change(arm.recipe)) for arm in plan.arms]
    tree = json.loads(study.plan_file.read_text())
    study.plan_file.write_text(json.dumps({**tree, "arms": msgspec.to_builtins(arms)}))


def test_a_study_says_what_each_arm_was_trained_by(drawn_study, recipe):
    origin = summarize(drawn_study({"scratch": 0.6, "single": 0.8, "multi": 0.9}))["provenance"]
    assert [arm["name"] for arm in origin["arms"]] == ["scratch", "single", "multi"]
    assert [arm["schemes"] for arm in origin["arms"]] == [["float32"]] * 3
    told = [resolve(arm["recipe"]) for arm in origin["arms"]]
    planned = [arm.recipe for arm in build_arms(recipe("bridge", "target"))]
    for ours, theirs in zip(told, planned, strict=True):
        assert [stage.unfreeze_from for stage in ours.stages] == [stage.unfreeze_from for stage in theirs.stages]
        assert ours.backbone == theirs.backbone


def test_no_path_of_a_machine_gets_into_the_result_and_names_that_mean_something_stay(drawn_study, folders):
    study = drawn_study({"single": 0.8, "multi": 0.9})

    def elsewhere(recipe):
        tree = to_tree(recipe)
        tree["backbone"]["weights"] = "/home/someone/weights/mobilenet_2_5_224_tf_no_top.h5"
        tree["stages"][-1]["data"] = "/home/someone/head-ct/"
        tree["stages"][0]["data"] = "phantom:head-ct?count=80" if len(tree["stages"]) > 1 else "C:\\scans\\ct.csv"
        return resolve(tree)

    with_arms(study, elsewhere)
    tree = summarize(study)
    single, multi = (arm["recipe"] for arm in tree["provenance"]["arms"])
    assert [stage["data"] for stage in multi["stages"]] == ["phantom:head-ct?count=80", "head-ct"]
    assert single["stages"][0]["data"] == "ct.csv"
    assert single["backbone"]["weights"] == "mobilenet_2_5_224_tf_no_top.h5"
    assert not re.search(r"someone|scans|/tmp|" + re.escape(str(folders["target"].parent)), json.dumps(tree))


def test_seconds_of_an_arm_are_those_of_its_folds_and_unknown_where_one_is_missing(drawn_study):
    study = drawn_study({"single": 0.8, "multi": 0.9})
    record_all(study, "single")
    record_all(study, "multi")
    study.training("multi", 2, 3, 0).unlink()
    single, multi = summarize(study)["provenance"]["arms"]
    assert single["seconds"] == pytest.approx(6 * 1.5)
    assert multi["seconds"] is None


def test_every_version_that_a_fold_was_trained_in_is_named(drawn_study):
    study = drawn_study({"single": 0.8, "multi": 0.9})
    record_all(study, "single", versions={"numpy": "2.0", "python": "3.11"})
    record_all(study, "multi", versions={"numpy": "1.26", "python": "3.11"})
    assert summarize(study)["provenance"]["versions"] == {"numpy": "1.26, 2.0", "python": "3.11"}


def test_the_hash_of_the_images_knows_their_content_and_not_where_they_lie(manifest):
    drawn = manifest({"healthy": 3, "ill": 3})
    moved = dataclasses.replace(drawn, source="/elsewhere")
    dealt = dataclasses.replace(drawn, rows=tuple(dataclasses.replace(row, split="train") for row in drawn.rows))
    changed = dataclasses.replace(drawn, rows=(dataclasses.replace(drawn.rows[0], sha256="0" * 64), *drawn.rows[1:]))
    assert manifest_hash(moved) == manifest_hash(dealt) == manifest_hash(drawn)
    assert manifest_hash(changed) != manifest_hash(drawn)


def test_a_damaged_record_is_one_clear_line(drawn_study):
    study = drawn_study({"single": 0.8})
    record_all(study, "single")
    study.training("single", 1, 1, 0).write_text("{")
    with pytest.raises(RunError, match=r"the record of a training.*single-1-1.json.*Delete the file"):
        summarize(study)
