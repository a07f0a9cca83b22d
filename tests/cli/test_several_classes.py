"""Three classes on the command line: every class by its name, and no sensitivity of the last one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from mstl_edge.artifact import write_artifact
from mstl_edge.metrics import Agreement, Interval, McNemar, classification_metrics
from mstl_edge.runtime import record_golden
from mstl_edge.schemas.export import Export, PairedTest
from mstl_edge.schemas.metrics import Parameters, RunMetrics, StageMetrics
from mstl_edge_cli.commands.export import print_candidates
from mstl_edge_cli.commands.train import print_metrics

LABELS = ("benign lesion of the breast", "malignant", "normal")


def _scores(labels: tuple[str, ...], seed: int = 1) -> Any:
    draw = np.random.default_rng(seed)
    classes = draw.integers(0, len(labels), 50)
    rows = draw.dirichlet(np.ones(len(labels)), 50) + 0.3 * np.eye(len(labels))[classes]
    positive = 1 if len(labels) == 2 else None
    return classification_metrics(classes, rows / rows.sum(axis=1, keepdims=True), positive=positive, names=labels)


def _stage(name: str, labels: tuple[str, ...]) -> StageMetrics:
    scores, positive = _scores(labels), labels[1] if len(labels) == 2 else None
    return StageMetrics(
        name=name, labels=labels, positive=positive, threshold=0.5 if positive else None, temperature=1.0, images={},
        epochs=1, selected_epoch=1, parameters=Parameters(2, 1), validation=scores, test=scores,
    )  # fmt: skip


def test_metrics_of_three_classes_are_told_by_class(capsys: pytest.CaptureFixture[str]) -> None:
    print_metrics(RunMetrics(recipe="mine", stages=(_stage("target", LABELS),)), verbose=True)
    shown = capsys.readouterr().out
    assert "macro-F1" in shown
    assert "recall %" in shown
    assert "AUC against the rest" in shown
    for word in ("sensitivity", "specificity", "threshold"):
        assert word not in shown
    test = _stage("target", LABELS).test
    for label, row in zip(LABELS, test.confusion, strict=True):
        line, answered = (line for line in shown.splitlines() if line.startswith(label))
        assert answered.split()[-3:] == [str(count) for count in row]
        recall = test.classes[label].recall
        assert recall is not None
        assert f"{100 * recall.value:.1f} (" in line


def test_a_bridge_of_two_classes_keeps_its_columns_beside_a_target_of_three(capsys: pytest.CaptureFixture[str]) -> None:
    bridge, target = _stage("bridge", ("no", "yes")), _stage("target", LABELS)
    print_metrics(RunMetrics(recipe="mine", stages=(bridge, target)), verbose=True)
    shown = capsys.readouterr().out.splitlines()
    assert "sensitivity %" in shown[1]
    assert "(no / yes)" in next(line for line in shown if line.startswith("bridge"))
    assert next(line for line in shown if line.startswith("target ")).split()[-4:] == ["–", "–", "–", "below"]


def test_two_classes_keep_the_table_they_had(capsys: pytest.CaptureFixture[str]) -> None:
    print_metrics(RunMetrics(recipe="mine", stages=(_stage("target", ("no", "yes")),)), verbose=True)
    head = capsys.readouterr().out.splitlines()[1].split("  ")
    assert [name.strip() for name in head if name.strip()] == [
        "stage", "accuracy % (95 %), n", "sensitivity %", "specificity %", "AUC", "confusion (rows: truth)",
    ]  # fmt: skip


def test_an_export_of_three_classes_is_told_by_class(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = Interval(0.0, -0.1, 0.1)
    agreement = Agreement(50, Interval(1.0, 0.9, 1.0), 0.1, 0.01)
    test = PairedTest(
        float32=_scores(LABELS),
        int8=_scores(LABELS, seed=2),
        drop=nothing,
        mcnemar=McNemar(0, 0, 1.0),
        agreement=agreement,
    )
    print_candidates(Export(test=test))
    short = capsys.readouterr().out
    assert all(label in short for label in LABELS)
    assert "what the images of each class were answered" not in short
    print_candidates(Export(test=test), verbose=True)
    shown = capsys.readouterr().out
    assert "macro-F1" in shown
    assert "sensitivity" not in shown
    assert all(label in shown for label in LABELS)


def test_inspect_shows_what_each_class_scored_and_no_threshold(
    mstl_edge: Callable[..., Any], models: Path, tiny_card: Callable[..., Any], tmp_path: Path
) -> None:
    flatbuffer = (models / "three_classes.tflite").read_bytes()
    metrics = {"int8": msgspec.to_builtins(_scores(LABELS)), "validation": {"accuracy": None}}
    card = tiny_card("three_classes", labels=LABELS, positive=None, metrics=metrics)
    write_artifact(tmp_path / "three.tflite", flatbuffer, card, record_golden(flatbuffer))
    shown = mstl_edge("inspect", tmp_path / "three.tflite").stdout
    assert "none: the most probable of 3 classes" in shown
    assert "(positive)" not in shown
    assert "macro-F1, int8" in shown
    assert "malignant, int8" in shown
    tree = json.loads(mstl_edge("inspect", tmp_path / "three.tflite", "--json").stdout)
    assert (tree["card"]["positive"], tree["card"]["threshold"]) == (None, None)
    assert tree["card"]["metrics"]["int8"]["classes"].keys() == set(LABELS)


def test_predict_answers_the_most_probable_of_three(
    mstl_edge: Callable[..., Any], exported: Callable[[str], Path], picture: Callable[[Path, int], Path], tmp_path: Path
) -> None:
    ended = mstl_edge("predict", exported("three_classes"), picture(tmp_path / "one.png", 1), "--json")
    answer = json.loads(ended.stdout)
    assert answer["probabilities"].keys() == {"a", "b", "c"}
    assert answer["label"] == max(answer["probabilities"], key=answer["probabilities"].get)


THREE = """
name = "tiny"
seed = 5

[backbone]
alpha = 0.25
input_size = 32
weights = "bundled"

[[stages]]
name = "target"
data = "{data}"
positive = "hemorrhage"
unfreeze_from = "conv_dw_12"
epochs = 3
batch_size = 4
learning_rate = 1e-3

[quantize]
epochs = 1
calibration_images = 8
agreement_images = 60
min_agreement = 0.0
max_drop = 100.0
"""


@pytest.mark.long
def test_three_classes_go_from_images_to_report(
    mstl_edge: Callable[..., Any], draw_classes: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So small a network, trained for three epochs, is unsure of most images, and rounding moves its answers.
    monkeypatch.setattr("mstl_edge.training.judging.gate.BROKEN_CONVERSION", 0.0)
    data = draw_classes(tmp_path / "scans", LABELS, count=20, seed=4)
    (tmp_path / "mine.toml").write_text(THREE.format(data=data))
    ended = mstl_edge("run", "mine.toml", "--out", "run", "--threads", 1, "--json")
    assert ended.exit_code == 0, ended.stderr
    assert "3 classes have no positive one, so positive=hemorrhage is ignored" in ended.stderr
    tree = json.loads(ended.stdout)
    (stage,) = tree["metrics"]["stages"]
    scored = [stage["test"], tree["export"]["test"]["int8"], *(row["accuracy"] for row in tree["bench"]["results"])]
    for scores in scored:
        assert list(scores["classes"]) == list(LABELS)
        assert scores["macro_f1"]["low"] <= scores["macro_f1"]["value"] <= scores["macro_f1"]["high"]
        assert [scores[key] for key in ("sensitivity", "specificity", "auc", "threshold")] == [None] * 4
    assert (stage["positive"], stage["threshold"]) == (None, None)
    assert len(tree["export"]["test"]["agreement"]["by_class"]) == 3
    assert len(tree["bench"]["comparisons"][0]["agreement_by_class"]) == 3
    page = Path(tree["report"]).read_text(encoding="utf-8").replace("\u00a0", " ")
    assert all(f"ROC of {label} against the rest" in page for label in LABELS)
    assert "ensitivity, %</th>" not in page
    shown = mstl_edge("bench", "run", "-v", "--blocks", 5, "--repeats", 5, "--threads", 1).stdout
    assert "each class by itself" in shown
    assert "malignant" in shown
