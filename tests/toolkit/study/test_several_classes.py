"""A study of three classes: no positive one, each class by itself."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from mstl_edge.schemas.study import STUDY
from mstl_edge.study.results import statistics
from mstl_edge.study.results.summary import summarize
from mstl_edge.training.study.run import _together, plan_tasks
from mstl_edge_cli.study.tables import print_study

LABELS = ("benign", "malignant", "normal")
COUNTS = dict(zip(LABELS, (30, 18, 12), strict=True))


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    """The bootstrap is tested elsewhere."""
    monkeypatch.setattr(statistics, "DRAWS", 40)


@pytest.fixture
def three_classes(drawn_study):
    return drawn_study({"single": 0.7, "multi": 0.85}, counts=COUNTS, curve=(20,), schemes=("float32", "int8-qat"))


def read_folds(study, arm, scheme="float32"):
    return [
        list(csv.DictReader((study.path / "folds" / f"{arm}-{scheme}-{repeat}-{fold}.csv").open()))
        for repeat in (1, 2)
        for fold in (1, 2, 3)
    ]


def resampled(values):
    spread = np.sqrt((1 / len(values) + 1 / 2) * np.var(values, ddof=1))
    return np.mean(values), stats.t.ppf(0.975, len(values) - 1) * spread


def test_nothing_speaks_of_a_positive_class(three_classes):
    study = summarize(three_classes)
    assert study.positive is None
    assert study.thresholds_left_at_half is None
    assert study.threshold_rule == "none: the most probable class"
    for arm in (*study.arms, *study.learning_curve.arms):
        assert (arm.sensitivity, arm.specificity, arm.auc) == (None, None, None)
        assert list(arm.classes) == list(LABELS)
        assert all((row.sensitivity, row.auc, row.threshold) == (None, None, None) for row in arm.per_fold)
    assert {row["threshold"] for fold in read_folds(three_classes, "multi") for row in fold} == {""}


def test_anyone_can_recompute_every_class_from_the_saved_answers(three_classes):
    arm = next(arm for arm in summarize(three_classes).arms if arm.title == "multi/float32")
    folds = read_folds(three_classes, "multi")
    truths = [[row["label"] for row in fold] for fold in folds]
    answers = [[row["answer"] for row in fold] for fold in folds]
    both = list(zip(truths, answers, strict=True))
    mean, reach = resampled([f1_score(t, a, average="macro") for t, a in both])
    assert arm.macro_f1.value == pytest.approx(mean)
    assert arm.macro_f1.low == pytest.approx(max(0.0, mean - reach))
    for label, scores in arm.classes.items():
        assert scores.n == COUNTS[label]
        measured = {
            "recall": [recall_score(t, a, labels=[label], average=None)[0] for t, a in both],
            "precision": [precision_score(t, a, labels=[label], average=None)[0] for t, a in both if label in a],
            "auc": [
                roc_auc_score([row["label"] == label for row in fold], [float(row[f"p({label})"]) for row in fold])
                for fold in folds
            ],
        }
        for name, values in measured.items():
            mean, reach = resampled(values)
            found = getattr(scores, name)
            assert found.value == pytest.approx(mean), (label, name)
            assert found.high == pytest.approx(min(1.0, mean + reach)), (label, name)
        assert 0 < scores.calibration_error.low <= scores.calibration_error.value <= scores.calibration_error.high


def test_int8_is_held_against_float_class_by_class(three_classes):
    arms = {arm.title: arm for arm in summarize(three_classes).arms}
    assert arms["multi/float32"].float_agreement == ()
    floating, quantized = (
        {row["image"]: row["answer"] for fold in read_folds(three_classes, "multi", scheme)[:3] for row in fold}
        for scheme in ("float32", "int8-qat")
    )
    for label, one in zip(LABELS, arms["multi/int8-qat"].float_agreement, strict=True):
        images = [image for image, answer in floating.items() if answer == label]
        assert one.n == len(images)
        assert one.agreement.value == pytest.approx(np.mean([quantized[image] == label for image in images]))


def test_a_class_that_no_fold_answers_has_no_precision(drawn_study):
    study = drawn_study({"multi": 0.8}, counts=COUNTS)
    for path in (study.path / "folds").iterdir():
        rows = list(csv.DictReader(path.open()))
        with path.open("w", newline="") as handle:
            writer = csv.DictWriter(handle, rows[0].keys())
            writer.writeheader()
            writer.writerows({**row, "answer": row["answer"].replace("malignant", "benign")} for row in rows)
    (arm,) = summarize(study).arms
    assert arm.classes["malignant"].precision is None
    assert arm.classes["malignant"].recall.value == 0.0
    assert arm.classes["malignant"].recall.high > 0.05


def test_answers_with_the_half_of_an_older_version_are_read(three_classes):
    before = summarize(three_classes)
    for path in (three_classes.path / "folds").iterdir():
        path.write_text(path.read_text().replace(",,1.0,", ",0.5,1.0,"))
    assert summarize(three_classes) == before


def test_tables_name_every_class_and_no_sensitivity(three_classes, capsys):
    print_study(summarize(three_classes))
    shown = capsys.readouterr().out
    assert "macro-F1" in shown
    assert "ensitivity" not in shown
    assert "specificity" not in shown
    for label in LABELS:
        assert shown.count(label) >= 4


def test_a_report_of_three_classes_draws_every_class_against_the_rest(three_classes):
    from mstl_edge.report import write_report

    STUDY.write(three_classes.result, summarize(three_classes))
    three_classes.all_answers.write_text(_together(three_classes, plan_tasks(three_classes, 1)))
    text = write_report([three_classes.path]).path.read_text(encoding="utf-8").replace("\u00a0", " ")
    for label in LABELS:
        assert f"ROC of {label} against the rest on images out of fold" in text
        assert f"Reliability of {label} against the rest" in text
        assert f"Probability of {label} by the float32 and by the int8 file" in text
    assert "Each class of every arm by itself" in text
    assert "Least alike by class: of" in text
    assert "no threshold, the most probable class is the answer" in text
    assert "ensitivity, %</th>" not in text
    assert "positive class" not in text


def test_a_study_of_version_1_is_reported_by_its_answers(three_classes):
    from mstl_edge.report import write_report

    tree = json.loads(STUDY.text(summarize(three_classes)))
    some = tree["arms"][0]["accuracy"]
    for arm in tree["arms"]:
        arm |= {"sensitivity": some, "specificity": some, "auc": some}
        del arm["classes"], arm["macro_f1"], arm["float_agreement"]
    three_classes.result.write_text(json.dumps({**tree, "schema": "mstl-edge/study/1", "positive": "normal"}))
    three_classes.all_answers.write_text(_together(three_classes, plan_tasks(three_classes, 1)))
    text = write_report([three_classes.path]).path.read_text(encoding="utf-8").replace("\u00a0", " ")
    assert "ROC of benign against the rest" in text
    assert "ensitivity, %</th>" not in text
