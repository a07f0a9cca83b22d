"""A run of three classes in a report: each class against the rest, full names, no positive class."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from mstl_edge.metrics import classification_metrics, mcnemar_exact, paired_agreement, paired_difference
from mstl_edge.report import write_report
from mstl_edge.report.answers.answer_figures import confusions
from mstl_edge.schemas.metrics import METRICS, RunMetrics

LABELS = ("benign lesion of the breast", "malignant", "normal")
N = 60


def _write_rows(path: Path, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)


def _cells(row: np.ndarray) -> list[str]:
    return [f"{p:.6f}" for p in row]


@pytest.fixture
def three_classes(run_folder: Path) -> Path:
    """The drawn run with a last stage of three classes, its export and the answers of both files."""
    draw = np.random.default_rng(8)
    classes = np.arange(N) % 3
    floats = np.round(draw.dirichlet((1, 1, 1), N) + 0.9 * np.eye(3)[classes], 6)
    floats /= floats.sum(axis=1, keepdims=True)
    quantized = np.clip(floats + draw.normal(0, 0.05, floats.shape), 0.001, None)
    quantized /= quantized.sum(axis=1, keepdims=True)
    scored = {
        name: classification_metrics(classes, rows, names=LABELS)
        for name, rows in (("float32", floats), ("int8", quantized))
    }
    run = METRICS.read(run_folder / "metrics.json", hint="")
    target = msgspec.structs.replace(
        run.stages[1],
        labels=LABELS,
        positive=None,
        threshold=None,
        validation=scored["float32"],
        test=scored["float32"],
    )
    METRICS.write(run_folder / "metrics.json", RunMetrics(recipe="drawn", stages=(run.stages[0], target)))
    _write_rows(
        run_folder / "stages" / "target" / "predictions.csv",
        ("image", "split", "label", *LABELS),
        [(f"{i}.png", "test", LABELS[c], *_cells(row)) for i, (c, row) in enumerate(zip(classes, floats, strict=True))],
    )
    _write_rows(
        run_folder / "exports" / "test_predictions.csv",
        ("image", "label", *(f"{model} {label}" for model in scored for label in LABELS)),
        [
            (f"{i}.png", LABELS[c], *_cells(a), *_cells(b))
            for i, (c, a, b) in enumerate(zip(classes, floats, quantized, strict=True))
        ],
    )
    _export(run_folder / "exports" / "export.json", scored, classes, floats, quantized)
    return run_folder


def _export(path: Path, scored: Any, classes: np.ndarray, floats: np.ndarray, quantized: np.ndarray) -> None:
    right = [rows.argmax(axis=1) == classes for rows in (floats, quantized)]
    agreement = paired_agreement(floats, quantized, thresholds=(None, None))
    tree = json.loads(path.read_text())
    tree["test"] = msgspec.to_builtins(
        {**scored, "drop": paired_difference(*right), "mcnemar": mcnemar_exact(*right), "agreement": agreement}
    )
    for row in tree["candidates"][1:]:
        row["gate"]["agreement"] = msgspec.to_builtins(agreement)
    path.write_text(json.dumps(tree))


def test_every_class_is_drawn_against_the_rest_and_scored_by_itself(
    three_classes: Path, report_words: Callable[..., str]
) -> None:
    text = report_words(three_classes)
    for label in LABELS:
        assert f"ROC of {label} against the rest on the test images" in text
        assert f"Reliability of {label} against the rest on the test images" in text
        assert f"Probability of {label} by the float32 and by the int8 file" in text
    test = METRICS.read(three_classes / "metrics.json", hint="").stages[1].test
    for scores in test.classes.values():
        assert scores.recall is not None
        assert f"{100 * scores.recall.value:.1f} {100 * scores.recall.low:.1f} to" in text
    assert "Macro-F1" in text
    assert "Found of each class: benign lesion of the breast" in text
    assert "Class by float32" in text
    assert "Least alike by class: of" in text
    assert "none: the most probable of 3 classes is the answer" in text


def test_the_bridge_of_two_classes_keeps_its_positive_class_beside_a_target_of_three(
    three_classes: Path, report_words: Callable[..., str]
) -> None:
    text = report_words(three_classes)
    assert "pneumonia (positive)" in text
    assert "malignant (positive)" not in text
    assert "normal (positive)" not in text
    assert "ROC on the test images (n = 48 images)" in text
    assert "Sensitivity for" not in text
    assert "the decision threshold that validation chose" in text


def test_an_export_of_an_older_version_says_nothing_of_its_last_class(
    three_classes: Path, report_words: Callable[..., str]
) -> None:
    path = three_classes / "exports" / "export.json"
    tree = json.loads(path.read_text())
    some = tree["test"]["int8"]["accuracy"]
    for name in ("float32", "int8"):
        scores = tree["test"][name] | {"sensitivity": some, "specificity": some, "auc": some, "threshold": 0.5}
        tree["test"][name] = {key: value for key, value in scores.items() if key not in ("classes", "macro_f1")}
    path.write_text(json.dumps(tree))
    text = report_words(three_classes)
    assert "Sensitivity for" not in text
    assert "ROC of malignant against the rest" in text


def test_a_confusion_matrix_names_its_classes_in_full(three_classes: Path) -> None:
    text = write_report([three_classes]).path.read_text(encoding="utf-8")
    heads = re.findall(r'<th scope="(?:col|row)" title="[^"]*">([^<]*)</th>', text)
    assert heads.count("benign lesion of the breast") == 4  # a row and a column, of float32 and of int8
    assert not any("…" in head for head in heads)
    many = confusions([("model", LABELS, [[1, 0, 0]] * 3)] * 7, asked="images", count="n = 3")
    assert all("benign lesion of the breast</th>" in drawing.text for drawing in many.drawings)


def test_two_classes_are_drawn_as_ever(run_folder: Path, report_words: Callable[..., str]) -> None:
    text = report_words(run_folder)
    assert "against the rest" not in text
    assert "Macro-F1" not in text
    assert "Class by float32" not in text
    assert "Least alike" not in text
    assert "Sensitivity for hemorrhage" in text


def test_four_classes_of_which_one_is_never_answered_are_drawn(
    run_folder: Path, report_words: Callable[..., str]
) -> None:
    labels = ("a", "b", "c", "d")
    classes = np.arange(32) % 4
    rows = np.random.default_rng(2).dirichlet((1, 1, 1, 1), 32)
    rows[:, 3] = 0.0
    rows /= rows.sum(axis=1, keepdims=True)
    scores = classification_metrics(classes, rows, names=labels)
    run = METRICS.read(run_folder / "metrics.json", hint="")
    target = msgspec.structs.replace(
        run.stages[1], labels=labels, positive=None, threshold=None, validation=scores, test=scores
    )
    METRICS.write(run_folder / "metrics.json", RunMetrics(stages=(target,)))
    _write_rows(
        run_folder / "stages" / "target" / "predictions.csv",
        ("image", "split", "label", *labels),
        [(f"{i}.png", "test", labels[c], *_cells(row)) for i, (c, row) in enumerate(zip(classes, rows, strict=True))],
    )
    for path in (run_folder / "exports").iterdir():
        path.unlink()
    assert "d 0.0 % (never answered)" in report_words(run_folder)
