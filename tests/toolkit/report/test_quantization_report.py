"""What the export gate saw, candidate by candidate, also where it refused them all."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mstl_edge.report import write_report


def _change(run_folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = run_folder / "exports" / "export.json"
    tree = json.loads(path.read_text())
    change(tree)
    path.write_text(json.dumps(tree))


def test_every_candidate_has_its_verdict_both_accuracies_the_exact_test_and_its_reasons(
    run_folder: Path, report_words: Callable[..., str]
) -> None:
    words = report_words(run_folder)
    for said in (
        "int8-ptq refused 0.30 85.0 70.9 to 92.9 82.5 68.0 to 91.3 −2.5 −10.7 to +5.4 1.00 0 : 1",
        "int8-qat undecided 0.30 85.0 70.9 to 92.9 87.5 73.9 to 94.5 −2.5 −10.7 to +5.4 1.00 0 : 1",
        "int8-ptq, refused: labels agree on 95.0 % of 120 images, below 97 %; 80 images cannot exclude",
        "int8-qat, undecided: 80 images cannot exclude a drop above 3 points (up to 6.2); about 190",
    ):
        assert said in words


def test_four_models_are_compared(run_folder: Path, report_words: Callable[..., str]) -> None:
    words = report_words(run_folder)
    for said in (
        "float32 Keras → float32 file 100.0 96.9 to 100.0 120 < 0.001 < 0.001",
        "int8-ptq float32 file → int8 file 95.0 89.5 to 97.7 120 0.061 0.012",
        "int8-ptq fake quantization → int8 file 99.2 95.4 to 99.9 120 0.031 0.002",
    ):
        assert said in words
    assert words.count("Keras → float32 file") == 1


def test_what_carries_the_verdict_is_told_apart_by_origin_and_the_promise_stands_in_the_headline(
    run_folder: Path, report_words: Callable[..., str]
) -> None:
    words = report_words(run_folder)
    for said in (
        "int8-qat target validation the file 40 8 98.3 94.1 to 99.5 −2.5 −10.7 to +5.4 yes",
        "int8-qat target cross-fitted others made like it 40 8 98.3 94.1 to 99.5 −2.5 −10.7 to +5.4 yes",
        "int8-qat bridge held-out the file 48 1 80.0 72.0 to 86.2 – no",
    ):
        assert said in words
    headline = words[: words.index("Stages")]
    assert (
        "verdict: undecided: int8 costs at most 6.2 points of accuracy and labels at least 93.0 % of images" in headline
    )


def test_an_export_of_schema_1_is_read_and_has_no_table_of_origins(
    run_folder: Path, report_words: Callable[..., str]
) -> None:
    older = Path(__file__).parents[2] / "data" / "schemas" / "export-1.json"
    (run_folder / "exports" / "export.json").write_bytes(older.read_bytes())
    words = report_words(run_folder)
    assert "int8-qat undecided 0.30 85.0 70.9 to 92.9 87.5 73.9 to 94.5 −2.5 −10.7 to +5.4 1.00 0 : 1" in words
    assert "Answered by" not in words


def test_skipped_layers_are_listed_with_their_reason(run_folder: Path, report_words: Callable[..., str]) -> None:
    words = report_words(run_folder)
    reason = "adds zeros, which are exact in every scale of its input"
    assert f"ZeroPadding2D conv_pad_2, conv_pad_4 {reason} int8-ptq, int8-qat" in words
    assert "Softmax head_probabilities its output scale is fixed to 1/256 by TFLite" in words


def test_layers_that_a_mixed_candidate_keeps_in_float_are_named_with_their_error(
    run_folder: Path, report_words: Callable[..., str]
) -> None:
    def mixed(tree: dict[str, Any]) -> None:
        errors = {"conv_dw_1": 0.934, "conv_pw_1": 0.3}
        tree["candidates"][1] |= {
            "scheme": "int8-mixed",
            "notes": {"kept_in_float": ["conv_dw_1"], "layer_errors": errors},
        }

    _change(run_folder, mixed)
    assert "int8-mixed keeps its worst layers in float: conv_dw_1 (0.93)." in report_words(run_folder)


def _refuse(tree: dict[str, Any]) -> None:
    tree |= {"model": None, "chosen": None, "verdict": "refused"}
    tree.pop("test")
    for row in tree["candidates"][1:]:
        row["gate"] |= {"verdict": "refused", "reasons": ["labels agree on 80.0 % of 120 images, below 97 %"]}


@pytest.mark.parametrize("float_model", ["exports/phantom-float32.tflite", None])
def test_a_refused_export_is_said_first_and_shown_whole(
    run_folder: Path, float_model: str | None, report_words: Callable[..., str]
) -> None:
    _change(run_folder, lambda tree: _refuse(tree) or tree.update(float_model=float_model))
    (run_folder / "exports" / "test_predictions.csv").unlink()
    written = write_report([run_folder])
    words = report_words(run_folder)
    headline = words[: words.index("Stages")]
    assert "The float model labels 30 of 40 test images right" in headline
    assert (
        "The export gate refused every int8 candidate, and none was exported. int8-ptq: labels agree on 80.0 %"
        in headline
    )
    assert "Exported candidates; the gate refused all of them." in words
    assert "int8-qat fake quantization → int8 file" in words
    assert written.missing == (
        "float32 against int8: the gate refused every candidate, and the test images are for a chosen file alone",
    )
    assert '<tr class="marked">' not in written.path.read_text()


def test_an_export_of_the_float_file_alone_has_no_gate_to_show(
    run_folder: Path, report_words: Callable[..., str]
) -> None:
    def floating(tree: dict[str, Any]) -> None:
        tree |= {"chosen": "float32", "model": tree["float_model"], "candidates": tree["candidates"][:1]}
        del tree["test"], tree["gate"]

    _change(run_folder, floating)
    words = report_words(run_folder)
    assert "refused" not in words
    assert "Answered by" not in words
    assert "float32 – 0.90 85.0" in words


def test_an_export_of_an_older_version_without_conversions_is_read(
    run_folder: Path, report_words: Callable[..., str]
) -> None:
    def older(tree: dict[str, Any]) -> None:
        for row in tree["candidates"][1:]:
            del row["notes"]
            for key in ("accuracy", "float_conversion", "int8_conversion", "origins", "validation_n"):
                del row["gate"][key]

    _change(run_folder, older)
    words = report_words(run_folder)
    assert "int8-qat undecided 0.30 – 87.5" in words
    assert "Keras → float32 file" not in words


def test_negative_numbers_have_minus_signs_also_in_sentences_of_other_programs(
    run_folder: Path, report_words: Callable[..., str]
) -> None:
    def negative(tree: dict[str, Any]) -> None:
        tree["calibration_warnings"] = ["pixels span -3 to 12 (-1.5 of 2026-01-01, int8-qat)"]

    _change(run_folder, negative)
    words = report_words(run_folder)
    assert "Calibration: pixels span −3 to 12 (−1.5 of 2026-01-01, int8-qat)." in words
    assert "Quantization costs −2.5 (−10.7 to +5.4) points of accuracy" in words
    assert not re.search(r"(?<![\w.])-\d", words[: words.index("The resolved recipe")])
