"""A study's report: its question in words, and what the arms answered out of fold."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from mstl_edge.data.splits import Manifest, ManifestRow, save_manifest
from mstl_edge.errors import MstlEdgeError
from mstl_edge.metrics import roc_auc
from mstl_edge.recipe import load_recipe
from mstl_edge.report import write_report
from mstl_edge.report.study.study_answers import read_arm_answers
from mstl_edge.report.study.study_record import read_study

COMMITTED = Path(__file__).parents[3] / "benchmarks" / "results" / "studies"
ARMS = ("single/float32", "single/int8-qat", "multi/float32", "multi/int8-qat")


def _change(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    tree = json.loads((folder / "study.json").read_text())
    change(tree)
    (folder / "study.json").write_text(json.dumps(tree))


def test_both_questions_are_answered_at_the_top_with_the_exact_test(
    study_folder: Path, report_words: Callable[..., str]
) -> None:
    words = report_words(study_folder)
    headline = words[: words.index("Cross-validated study")]
    assert "exact McNemar p = 0.62 and 1.00 in repeats 1 and 2; to show a difference of this size takes" in headline
    assert "Did int8 hurt? Cannot tell with n = 24: −4.2 (−10.2 to +0.8) points (multi, float32 → int8-qat)" in headline
    assert "Of all 2 comparisons of float32 with int8, 0 are a loss, 0 a gain, 2 cannot be told." in headline
    assert "Highest cross-validated accuracy" in headline


def test_every_arm_has_its_curve_its_matrix_its_reliability_and_int8_its_scatter(study_folder: Path) -> None:
    text = write_report([study_folder]).path.read_text(encoding="utf-8")
    headings = re.findall(r'<text [^>]*class="heading">([^<]+)</text>', text)
    assert [headings.count(arm) for arm in ARMS] == [2, 3, 2, 3]  # ROC and reliability; with int8 the scatter
    assert re.findall(r"<caption>([^<]+)</caption>", text) == list(ARMS)
    study = read_study(study_folder / "study.json")
    answers = read_arm_answers(study_folder / "study.json", study)
    assert answers is not None
    for arm in study.arms:
        one = answers[arm.title]
        assert one.confusion == [list(row) for row in arm.confusion]
        assert f"AUC {roc_auc(one.is_positive, one.scores):.3f} (" in text


def test_pooled_answers_hold_every_image_once_per_repeat_and_no_point_of_the_learning_curve(study_folder: Path) -> None:
    answers = read_arm_answers(study_folder / "study.json", read_study(study_folder / "study.json"))
    assert answers is not None
    one = answers["multi/float32"]
    assert (one.n, one.repeats, one.probabilities.shape) == (24, 2, (48, 2))
    assert list(one.images) == sorted(set(one.images))
    with (study_folder / "answers.csv").open(newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if (row["arm"], row["scheme"]) == ("multi", "float32")]
    given = {
        (row["repeat"], row["image"]): float(row["p(hemorrhage)"]) for row in rows if row["training_images"] == "all"
    }
    assert one.scores[24 + 5] == given["2", one.images[5]]
    assert one.place(24 + 5) == "image\u00a06,\u00a0repeat\u00a02"


def test_a_bare_study_takes_the_answers_of_its_name(study_folder: Path, tmp_path: Path) -> None:
    shutil.move(study_folder / "study.json", tmp_path / "mine.json")
    written = write_report([tmp_path / "mine.json"])
    assert "answers.csv lies beside the study" in written.missing[0]
    assert len(written.missing) == 1
    shutil.move(study_folder / "answers.csv", tmp_path / "mine-answers.csv")
    assert write_report([tmp_path / "mine.json"]).missing == ()


def test_without_answers_the_confusion_matrices_come_from_the_tables_and_one_line_says_what_is_missing(
    study_folder: Path,
) -> None:
    (study_folder / "answers.csv").unlink()
    written = write_report([study_folder])
    text = written.path.read_text(encoding="utf-8")
    assert written.missing == (
        "ROC, reliability, float32 against int8, worst mistakes: no answers.csv lies beside the study; "
        "mstl-edge study --resume STUDY writes it",
    )
    assert re.findall(r"<caption>([^<]+)</caption>", text) == list(ARMS)
    assert "Worst mistakes" not in text


def test_names_are_shown_only_where_asked_for_and_pictures_where_the_images_are(
    study_folder: Path, picture: Callable[[Path, int], Path], tmp_path: Path, report_words: Callable[..., str]
) -> None:
    plain = report_words(study_folder)
    assert "patient-" not in plain
    assert re.search(r"image \d+, repeat [12]", plain)
    assert "patient-0" in report_words(study_folder, with_images=True)
    assert "<img" not in (study_folder / "report.html").read_text()
    rows = []
    for number in range(24):
        label = "normal" if number % 2 else "hemorrhage"
        picture(tmp_path / "data" / label / f"{number}.png", number)
        picture(tmp_path / "data" / f"patient-{number:03}.png", number)
        rows.append(ManifestRow(f"patient-{number:03}.png", label, str(number), "test", "0" * 64))
    save_manifest(
        study_folder / "images.json", Manifest(str(tmp_path / "data"), ("hemorrhage", "normal"), tuple(rows), False, ())
    )
    recipe = load_recipe("phantom", overrides=["stages.target.split.patient="])
    plan = {"schema": "mstl-edge/study-plan/1", "recipe": recipe, "arms": []}
    (study_folder / "plan.json").write_bytes(msgspec.json.encode(plan))
    write_report([study_folder], with_images=True)
    shown = (study_folder / "report.html").read_text()
    assert 'src="data:image/png;base64,' in shown
    assert "patient-0" in shown


def _another_arm(folder: Path) -> None:
    _change(folder, lambda tree: tree["arms"][0].update(name="other"))


def _other_counts(folder: Path) -> None:
    _change(folder, lambda tree: tree["arms"][0]["confusion"][0].reverse())


def _other_classes(folder: Path) -> None:
    _change(folder, lambda tree: tree.update(positive="pneumonia"))


def _edit(folder: Path, old: str, new: str) -> None:
    path = folder / "answers.csv"
    path.write_text(path.read_text().replace(old, new))


def _other_columns(folder: Path) -> None:
    _edit(folder, "training_images", "images")


def _no_probabilities(folder: Path) -> None:
    _edit(folder, "p(normal)", "normal")


def _image_gone(folder: Path) -> None:
    lines = (folder / "answers.csv").read_text().splitlines()
    (folder / "answers.csv").write_text("\n".join([lines[0], *lines[2:]]) + "\n")


def _foreign_label(folder: Path) -> None:
    _edit(folder, ",normal,", ",pneumonia,")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_another_arm, "the answers of study.json. Received: .*no answers of other/float32"),
        (_other_counts, "other answers of single/float32"),
        (_other_classes, "classes hemorrhage, normal"),
        (_other_columns, "columns arm, scheme"),
        (_no_probabilities, r"p\(CLASS\)"),
        (_image_gone, "every image once in every repeat"),
        (_foreign_label, "rows labelled hemorrhage, normal"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_answers_that_are_damaged_or_another_studys_are_one_clear_line(
    study_folder: Path, damage: Callable[[Path], None], said: str
) -> None:
    damage(study_folder)
    with pytest.raises(MstlEdgeError, match=said) as raised:
        write_report([study_folder])
    assert "\n" not in str(raised.value)
    assert not (study_folder / "report.html").exists()


def test_fields_that_newer_studies_have_are_shown(study_folder: Path, report_words: Callable[..., str]) -> None:
    def newer(tree: dict[str, Any]) -> None:
        for arm in tree["arms"]:
            arm["log_loss"] = {"value": 0.3211, "low": 0.2, "high": 0.4}
            arm["pooled_calibration_error"] = {"value": 0.0715, "low": 0.05, "high": 0.09}
        tree["thresholds_left_at_half"] = {"count": 5, "of": 12}
        tree["comparisons"][1]["primary"] = True
        tree["comparisons"][3]["primary"] = True

    _change(study_folder, newer)
    words = report_words(study_folder)
    assert "0.321 0.200 to 0.400" in words
    assert "0.071 0.050 to 0.090" in words
    assert "by the rule: Youden (0.5 in 5 of 12 trainings)" in words
    assert "Calibration error, pooled" in words
    assert "Bold: what the study was planned for" in words
    assert "(single → multi in int8-qat)" in words[: words.index("Cross-validated study")]
    marked = re.findall(r'<tr class="marked">(.*?)</tr>', (study_folder / "report.html").read_text())
    assert ["single → multi" in row for row in marked] == [True, False]


def test_what_a_study_says_twice_is_shown_once(study_folder: Path, report_words: Callable[..., str]) -> None:
    def newest(tree: dict[str, Any]) -> None:
        tree["threshold_rule"] = "Youden (0.5 in 5 of 12 trainings)"
        tree["thresholds_left_at_half"] = {"count": 5, "of": 12}
        for arm in tree["arms"]:
            arm["pooled_calibration_error"] = arm["calibration_error"]

    _change(study_folder, newest)
    words = report_words(study_folder)
    assert words.count("5 of 12") == 1
    assert "Calibration error" in words
    assert "Calibration error, pooled" not in words


def test_fields_that_older_studies_lack_are_not_missed(study_folder: Path, report_words: Callable[..., str]) -> None:
    def older(tree: dict[str, Any]) -> None:
        for key in ("labels", "positive"):
            del tree[key]
        for arm in tree["arms"]:
            for key in ("confusion", "pooled_calibration_error", "calibration_error"):
                del arm[key]
        for entry in [*tree["comparisons"], *tree["learning_curve"]["comparisons"]]:
            for key in ("mcnemar", "images_needed", "n"):
                del entry[key]

    _change(study_folder, older)
    (study_folder / "answers.csv").unlink()
    words = report_words(study_folder)
    assert "Did the bridge help? Cannot tell: −2.1 (−8.1 to +2.9) points (single → multi in float32)." in words
    assert "McNemar" not in words


@pytest.mark.parametrize(("low", "high", "verdict"), [(0.01, 0.05, "helped"), (-0.05, -0.01, "hurt")])
def test_a_verdict_that_can_be_told_is_told_without_asking_for_more_images(
    study_folder: Path, low: float, high: float, verdict: str, report_words: Callable[..., str]
) -> None:
    def told(tree: dict[str, Any]) -> None:
        tree["comparisons"][0] |= {"difference": (low + high) / 2, "low": low, "high": high, "verdict": verdict}

    _change(study_folder, told)
    words = report_words(study_folder)
    said = words[: words.index("Did int8 hurt?")]
    assert f"Did the bridge help? {verdict.capitalize()} with n = 24:" in said
    assert "images" not in said[said.index("Did the bridge help?") :]


def test_arms_that_no_bridge_tells_apart_are_asked_by_their_names(
    study_folder: Path, report_words: Callable[..., str]
) -> None:
    path = study_folder / "study.json"
    path.write_text(path.read_text().replace("multi", "best"))
    (study_folder / "answers.csv").unlink()
    assert "Did best help against single? Cannot tell" in report_words(study_folder)


@pytest.mark.parametrize("result", sorted(COMMITTED.glob("*.json")), ids=lambda path: path.stem)
def test_committed_studies_lie_beside_their_own_answers(result: Path) -> None:
    study = read_study(result)
    answers = read_arm_answers(result, study)
    assert answers is not None
    assert list(answers) == [arm.title for arm in study.arms]
    for one in answers.values():
        rounded = one.probabilities.shape[1] / 2 / 256  # half a step of an int8 output for each class
        assert np.abs(one.probabilities.sum(axis=1) - 1).max() <= rounded + 1e-9
