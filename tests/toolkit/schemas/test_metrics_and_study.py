"""Metrics and studies of every version so far are read through the types that write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from mstl_edge.errors import RunError
from mstl_edge.metrics import classification_metrics
from mstl_edge.schemas.metrics import (
    METRICS,
    Parameters,
    RunMetrics,
    StageMetrics,
    read_stage_metrics,
    write_stage_metrics,
)
from mstl_edge.schemas.study import STUDY
from mstl_edge.schemas.study_plan import STUDY_PLAN

ROOT = Path(__file__).parents[3]
OLD_METRICS = ROOT / "tests" / "data" / "report" / "run" / "metrics.json"
OLD_STUDIES = [
    ROOT / "tests" / "data" / "report" / "study.json",
    *sorted(
        path
        for path in (ROOT / "benchmarks" / "results" / "studies").glob("*.json")
        if '"schema": "mstl-edge/study/1"' in path.read_text()
    ),
]


def _stage(labels: tuple[str, ...], **fields: Any) -> StageMetrics:
    draw = np.random.default_rng(len(labels))
    classes, probabilities = draw.integers(0, len(labels), 40), draw.dirichlet(np.ones(len(labels)), 40)
    positive = 1 if len(labels) == 2 else None
    scores = classification_metrics(classes, probabilities, positive=positive, names=labels)
    said = {"positive": labels[1], "threshold": 0.5} if positive else {}
    return StageMetrics(
        name="target", labels=labels, temperature=1.5, images={"train": 9, "validation": 40, "test": 40}, epochs=2,
        selected_epoch=1, parameters=Parameters(10, 5), validation=scores, test=scores, seconds=1.0, **{**said, **fields},
    )  # fmt: skip


def _as_version_1(labels: list[str]) -> dict[str, Any]:
    """Return a run of version 1, which named a positive class for any number of classes."""
    tree = json.loads(METRICS.text(RunMetrics(recipe="old", stages=(_stage(tuple(labels)),))))
    stage = tree["stages"][0] | {"positive": labels[-1], "threshold": 0.5}
    for split in ("validation", "test"):
        scores = {key: value for key, value in stage[split].items() if key not in ("classes", "macro_f1")}
        some = {"value": 0.5, "low": 0.4, "high": 0.6}
        stage[split] = {**scores, "sensitivity": some, "specificity": some, "auc": some, "threshold": 0.5}
    return {**tree, "schema": "mstl-edge/metrics/1", "stages": [stage]}


def test_metrics_of_version_1_keep_every_number_and_gain_what_their_confusion_matrix_says() -> None:
    old = json.loads(OLD_METRICS.read_text())
    assert old["schema"] == "mstl-edge/metrics/1"
    new = msgspec.to_builtins(METRICS.read(OLD_METRICS, hint=""), str_keys=True)
    assert new["schema"] == "mstl-edge/metrics/2"
    for before, after in zip(old["stages"], new["stages"], strict=True):
        for key in ("name", "positive", "threshold", "temperature", "images", "epochs", "parameters"):
            assert after[key] == before[key]
        for split in ("validation", "test"):
            assert {key: after[split][key] for key in before[split]} == before[split]
            by_class = after[split]["classes"]
            assert by_class[before["positive"]]["recall"]["value"] == pytest.approx(
                before[split]["sensitivity"]["value"], abs=1e-6
            )
            assert by_class[before["positive"]]["auc"] == before[split]["auc"]


def test_version_1_of_three_classes_loses_its_positive_class() -> None:
    (stage,) = METRICS.convert(_as_version_1(["a", "b", "c"]), origin="old", hint="").stages
    assert (stage.positive, stage.positive_index, stage.threshold) == (None, None, None)
    assert (stage.test.sensitivity, stage.test.specificity, stage.test.auc, stage.test.threshold) == (None,) * 4
    new = _stage(("a", "b", "c")).test
    assert stage.test.macro_f1 == new.macro_f1
    assert [one.recall for one in stage.test.classes.values()] == [one.recall for one in new.classes.values()]
    assert [one.auc is None for one in stage.test.classes.values()] == [True, True, False]


def test_what_is_written_is_read_as_it_was(tmp_path: Path) -> None:
    run = RunMetrics(recipe="both", seed=3, stages=(_stage(("no", "yes")), _stage(("a", "b", "c"))), seconds=2.0)
    METRICS.write(tmp_path / "metrics.json", run)
    assert METRICS.read(tmp_path / "metrics.json", hint="") == run
    write_stage_metrics(tmp_path / "stage.json", run.stages[1])
    assert json.loads((tmp_path / "stage.json").read_text())["schema"] == "mstl-edge/stage-metrics/2"
    assert read_stage_metrics(tmp_path / "stage.json") == run.stages[1]


def test_a_stages_own_file_without_a_schema_is_of_version_1(tmp_path: Path) -> None:
    old = json.loads(OLD_METRICS.read_text())["stages"][1]
    (tmp_path / "metrics.json").write_text(json.dumps(old))
    stage = read_stage_metrics(tmp_path / "metrics.json")
    assert (stage.name, stage.positive, stage.threshold) == ("target", "hemorrhage", 0.45)
    assert stage.test.macro_f1 is not None


@pytest.mark.parametrize(
    "change",
    [
        {"positive": "z"},
        {"labels": ["a"]},
        {"labels": None},
        {"threshold": 2.0},
        {"temperature": 0},
        {"test": {}},
        {"test": {"confusion": [["a", "b"], ["c", "d"]]}},
        {"test": 3},
    ],
)
@pytest.mark.parametrize("version", [1, 2])
def test_a_damaged_stage_is_one_clear_line(change: dict[str, Any], version: int) -> None:
    tree = _as_version_1(["a", "b"])
    tree = {**tree, "schema": f"mstl-edge/metrics/{version}", "stages": [{**tree["stages"][0], **change}]}
    with pytest.raises(RunError, match=rf"a whole mstl-edge/metrics/{version}") as raised:
        METRICS.convert(tree, origin="metrics.json", hint="Train again")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("path", OLD_STUDIES, ids=lambda path: path.stem)
def test_studies_of_version_1_keep_every_number(path: Path) -> None:
    old = json.loads(path.read_text())
    assert old["schema"] == "mstl-edge/study/1"
    study = STUDY.read(path, hint="")
    assert study.schema == "mstl-edge/study/2"
    assert study.positive == old["positive"]
    for before, after in zip(old["arms"], study.arms, strict=True):
        tree = msgspec.json.decode(msgspec.json.encode(after))
        kept = {key: value for key, value in before.items() if key != "per_fold"}
        assert {key: tree[key] for key in kept} == kept
        for fold, now in zip(before.get("per_fold", ()), tree["per_fold"], strict=True):
            assert {key: now[key] for key in fold} == fold


def test_a_study_of_version_1_with_three_classes_loses_its_positive_class() -> None:
    some = {"value": 0.5, "low": 0.4, "high": 0.6}
    fold = {"repeat": 1, "fold": 1, "n": 9, "accuracy": 0.5, "sensitivity": 1.0, "auc": 0.9, "threshold": 0.5}
    arm = {
        "name": "single", "scheme": "float32", "n": 9, "accuracy": some, "sensitivity": some, "auc": some,
        "per_fold": [fold], "confusion": [[1, 1, 1]] * 3,
    }  # fmt: skip
    tree = {
        "schema": "mstl-edge/study/1", "labels": ["a", "b", "c"], "positive": "c", "arms": [arm],
        "learning_curve": {"arms": [{**arm, "images": 8}], "comparisons": []},
    }  # fmt: skip
    study = STUDY.convert(tree, origin="study.json", hint="")
    assert study.positive is None
    for one in (*study.arms, *study.learning_curve.arms):
        assert (one.sensitivity, one.specificity, one.auc, one.macro_f1, one.classes) == (None, None, None, None, {})
        assert (one.per_fold[0].sensitivity, one.per_fold[0].auc, one.per_fold[0].threshold) == (None, None, None)


def test_newer_versions_and_other_schemas_are_one_clear_line() -> None:
    for schema in (METRICS, STUDY, STUDY_PLAN):
        newer = f"mstl-edge/{schema.name}/{schema.version + 1}"
        with pytest.raises(RunError, match="A newer version of mstl-edge wrote it"):
            schema.convert({"schema": newer}, origin="file", hint="")
        with pytest.raises(RunError, match=r"a file of schema mstl-edge"):
            schema.convert({"schema": "mstl-edge/other/1"}, origin="file", hint="")


def test_every_schema_of_the_table_in_the_docs_is_the_one_that_is_written() -> None:
    table = (ROOT / "docs" / "schemas.md").read_text(encoding="utf-8")
    for schema in (METRICS, STUDY, STUDY_PLAN):
        assert f"| `{schema.name}/{schema.version}` |" in table
        assert msgspec.structs.fields(schema.kind)
        assert schema.identifier in [field.default for field in msgspec.structs.fields(schema.kind)]
