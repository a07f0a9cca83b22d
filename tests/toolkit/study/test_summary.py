from __future__ import annotations

import csv
import json

import msgspec
import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, log_loss, recall_score, roc_auc_score

from mstl_edge.errors import RunError
from mstl_edge.study.results import summary


def summarize(study):
    """Return what is written, as a stranger would read it."""
    return msgspec.json.decode(msgspec.json.encode(summary.summarize(study)))


def read_folds(study, arm, repeat):
    """Read the CSV files as a stranger would."""
    return [
        list(csv.DictReader((study.path / "folds" / f"{arm}-float32-{repeat}-{fold}.csv").open())) for fold in (1, 2, 3)
    ]


def test_anyone_can_recompute_the_tables_from_the_saved_answers(drawn_study):
    study = drawn_study({"single": 0.8, "multi": 0.9})
    tree = summarize(study)
    folds = [fold for repeat in (1, 2) for fold in read_folds(study, "multi", repeat)]
    truths = [[row["label"] for row in fold] for fold in folds]
    answers = [[row["answer"] for row in fold] for fold in folds]
    entry = tree["arms"][1]
    assert (entry["name"], entry["scheme"], entry["n"]) == ("multi", "float32", 60)
    measured = {
        "accuracy": [accuracy_score(t, a) for t, a in zip(truths, answers, strict=True)],
        "sensitivity": [recall_score(t, a, pos_label="ill") for t, a in zip(truths, answers, strict=True)],
        "specificity": [recall_score(t, a, pos_label="healthy") for t, a in zip(truths, answers, strict=True)],
        "auc": [
            roc_auc_score([row["label"] == "ill" for row in fold], [float(row["p(ill)"]) for row in fold])
            for fold in folds
        ],
    }
    for name, values in measured.items():
        spread = np.sqrt((1 / 6 + 1 / 2) * np.var(values, ddof=1))
        reach = stats.t.ppf(0.975, 5) * spread
        assert entry[name]["value"] == pytest.approx(np.mean(values))
        assert entry[name]["low"] == pytest.approx(max(0.0, np.mean(values) - reach))
        assert entry[name]["high"] == pytest.approx(min(1.0, np.mean(values) + reach))


def test_the_calibration_error_is_that_of_a_repeats_images_with_an_interval_around_it(drawn_study):
    study = drawn_study({"multi": 0.9})
    (entry,) = summarize(study)["arms"]
    errors = []
    for repeat in (1, 2):
        rows = [row for fold in read_folds(study, "multi", repeat) for row in fold]
        ill = np.array([float(row["p(ill)"]) for row in rows])
        right = np.array([(p >= 0.5) == (row["label"] == "ill") for p, row in zip(ill, rows, strict=True)])
        confidence = np.maximum(ill, 1 - ill)
        bins = np.floor(confidence * 15)
        errors.append(sum(abs((right - confidence)[bins == b].sum()) for b in np.unique(bins)) / len(rows))
    error = entry["calibration_error"]
    assert error["value"] == pytest.approx(np.mean(errors))
    assert 0 < error["low"] < error["value"] < error["high"] < 1
    assert entry["pooled_calibration_error"] == error
    assert summarize(study)["arms"][0]["calibration_error"] == error


def test_log_loss_is_the_mean_over_folds_with_the_interval_of_folds(drawn_study):
    study = drawn_study({"multi": 0.6})
    (entry,) = summarize(study)["arms"]
    losses = [
        log_loss([row["label"] == "ill" for row in fold], [float(row["p(ill)"]) for row in fold])
        for repeat in (1, 2)
        for fold in read_folds(study, "multi", repeat)
    ]
    reach = stats.t.ppf(0.975, 5) * np.sqrt((1 / 6 + 1 / 2) * np.var(losses, ddof=1))
    assert entry["log_loss"]["value"] == pytest.approx(np.mean(losses))
    assert entry["log_loss"]["low"] == pytest.approx(np.mean(losses) - reach)
    assert entry["log_loss"]["high"] == pytest.approx(np.mean(losses) + reach)
    assert [row["log_loss"] for row in entry["per_fold"]] == pytest.approx(losses)


def test_a_zero_of_an_int8_output_costs_half_a_step_and_not_infinity(drawn_study):
    study = drawn_study({"multi": 0.9})
    for path in (study.path / "folds").iterdir():
        rows = list(csv.DictReader(path.open()))
        for row in rows:
            row |= {"p(healthy)": "0.000000000", "p(ill)": "1.000000000"}
        with path.open("w", newline="") as handle:
            writer = csv.DictWriter(handle, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
    (entry,) = summarize(study)["arms"]
    assert entry["log_loss"]["value"] == pytest.approx(np.log(512) / 2)


def test_intervals_of_the_learning_curve_are_corrected_by_what_is_tested_and_not_by_the_size_of_the_subset(drawn_study):
    study = drawn_study({"single": 0.7, "multi": 0.9}, curve=(10,))
    curve = summarize(study)["learning_curve"]
    assert curve["comparisons"][0]["images"] == 10
    single, multi = (
        np.array(
            [
                np.mean([row["label"] == row["answer"] for row in csv.DictReader(path.open())])
                for path in sorted((study.path / "folds").glob(f"{arm}-float32-*-n10.csv"))
            ]
        )
        for arm in ("single", "multi")
    )
    statistic = np.mean(multi - single) / np.sqrt((1 / 6 + 20 / 40) * np.var(multi - single, ddof=1))
    assert curve["comparisons"][0]["p"] == pytest.approx(2 * stats.t.sf(abs(statistic), 5))


def test_a_study_says_how_many_of_its_thresholds_stayed_at_a_half(drawn_study):
    study = drawn_study({"single": 0.8, "multi": 0.9})
    assert summarize(study)["thresholds_left_at_half"] == {"count": 12, "of": 12}
    moved = study.path / "folds" / "multi-float32-1-2.csv"
    moved.write_text(moved.read_text().replace(",0.5,1.0,", ",0.375,1.0,"))
    tree = summarize(study)
    assert tree["thresholds_left_at_half"] == {"count": 11, "of": 12}
    assert "0.5 in 11 of 12 trainings" in tree["threshold_rule"]


def test_mcnemar_is_scipys_binomial_test_on_the_pooled_images_of_each_repeat(drawn_study):
    study = drawn_study({"single": 0.6, "multi": 0.9})
    (comparison,) = summarize(study)["comparisons"]
    assert (comparison["a"], comparison["b"]) == ("single/float32", "multi/float32")
    for exact in comparison["mcnemar"]:
        right = {
            arm: {
                row["image"]: row["label"] == row["answer"]
                for fold in read_folds(study, arm, exact["repeat"])
                for row in fold
            }
            for arm in ("single", "multi")
        }
        assert len(right["single"]) == 60
        only_b = sum(right["multi"][image] and not right["single"][image] for image in right["single"])
        only_a = sum(right["single"][image] and not right["multi"][image] for image in right["single"])
        assert (exact["a_only"], exact["b_only"]) == (only_a, only_b)
        assert exact["p"] == pytest.approx(stats.binomtest(only_b, only_a + only_b).pvalue)


def test_the_question_comes_first_and_all_else_is_marked_as_exploratory(drawn_study):
    tree = summarize(drawn_study({"scratch": 0.6, "single": 0.8, "multi": 0.9}, curve=(10,)))
    told = [(found["a"].split("/")[0], found["b"].split("/")[0], found["primary"]) for found in tree["comparisons"]]
    assert told == [("single", "multi", True), ("scratch", "single", False), ("scratch", "multi", False)]
    by_size = tree["learning_curve"]["comparisons"]
    assert [(found["images"], found["a"], found["b"]) for found in by_size[::3]] == [
        (10, "single/float32", "multi/float32"),
        (40, "single/float32", "multi/float32"),
    ]
    assert not any(found["primary"] for found in by_size)
    assert (
        tree["multiplicity"] == "the first is the question, all others are exploratory, not corrected for their number"
    )


def test_a_study_without_a_bridge_has_no_primary_comparison(drawn_study):
    tree = summarize(drawn_study({"scratch": 0.6, "single": 0.8}))
    assert [found["primary"] for found in tree["comparisons"]] == [False]
    assert tree["multiplicity"] == "exploratory, not corrected for their number"


def test_a_plan_may_compare_every_arm_with_one_alone(drawn_study):
    study = drawn_study({"scratch": 0.6, "single": 0.8, "multi": 0.9}, curve=(10,))
    tree = json.loads(study.plan_file.read_text())
    study.plan_file.write_text(json.dumps({**tree, "against": "single"}))
    tree = summarize(study)
    wanted = [("single/float32", "multi/float32"), ("single/float32", "scratch/float32")]
    assert [(found["a"], found["b"]) for found in tree["comparisons"]] == wanted
    assert [(found["a"], found["b"]) for found in tree["learning_curve"]["comparisons"]] == 2 * wanted


def test_a_clear_gain_helped(drawn_study):
    (found,) = summarize(drawn_study({"single": 0.5, "multi": 1.0}))["comparisons"]
    assert found["verdict"] == "helped"
    assert found["low"] > 0
    assert found["p"] < 0.05
    assert "multi/float32 helped against single/float32" in found["words"]


def test_chance_cannot_tell_and_says_how_many_images_would(drawn_study):
    (found,) = summarize(drawn_study({"single": 0.85, "multi": 0.87}))["comparisons"]
    assert found["verdict"] == "cannot tell"
    assert found["low"] <= 0 <= found["high"]
    assert "cannot tell with n = 60" in found["words"]
    assert found["images_needed"] is None or found["images_needed"] > 60


def test_a_loss_is_told_as_hurt(drawn_study):
    (found,) = summarize(drawn_study({"single": 1.0, "multi": 0.5}))["comparisons"]
    assert found["verdict"] == "hurt"
    assert "multi/float32 hurt against single/float32" in found["words"]


def test_two_perfect_arms_keep_an_interval_of_the_images(drawn_study):
    tree = summarize(drawn_study({"single": 1.0, "multi": 1.0}))
    for entry in tree["arms"]:
        assert entry["accuracy"]["value"] == entry["accuracy"]["high"] == 1.0
        assert 0.9 < entry["accuracy"]["low"] < 1.0
        assert entry["auc"]["low"] < 1.0
    (found,) = tree["comparisons"]
    assert (found["difference"], found["p"], found["verdict"]) == (0.0, 1.0, "cannot tell")
    assert found["low"] < 0 < found["high"]


def test_the_learning_curve_ends_with_the_whole_training_part(drawn_study):
    tree = summarize(drawn_study({"single": 0.8, "multi": 0.9}, curve=(10, 20)))
    curve = tree["learning_curve"]
    assert [entry["images"] for entry in curve["arms"]] == [10, 10, 20, 20, 40, 40]
    assert [entry["images"] for entry in curve["comparisons"]] == [10, 20, 40]
    assert curve["arms"][-1]["accuracy"] == tree["arms"][-1]["accuracy"]


def test_the_schema_keeps_what_other_programs_rely_on(drawn_study):
    tree = summarize(drawn_study({"single": 0.8, "multi": 0.9}))
    assert tree["schema"] == "mstl-edge/study/2"
    assert {"name", "scheme", "n", "accuracy"} <= tree["arms"][0].keys()
    assert {"a", "b", "difference", "low", "high", "p", "verdict"} <= tree["comparisons"][0].keys()
    assert np.sum(tree["arms"][0]["confusion"]) == 120
    assert len(tree["arms"][0]["per_fold"]) == 6


def test_a_damaged_file_of_answers_is_one_clear_line(drawn_study):
    study = drawn_study({"single": 0.8, "multi": 0.9})
    (study.path / "folds" / "multi-float32-2-3.csv").write_text("image,label\nx,ill\n")
    with pytest.raises(RunError, match=r"the answers of a fold of this study.*multi-float32-2-3.csv.*--resume"):
        summarize(study)
