"""A trained run becomes files: chosen, judged, sealed, or refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mstl_edge import load_classifier, open_artifact
from mstl_edge.errors import GateRefusedError, RunError
from mstl_edge.metrics import Interval
from mstl_edge.recipe import Recipe
from mstl_edge.runs import RunFolder, create_run, open_run
from mstl_edge.training import export, pipeline, pool
from mstl_edge.training.export import Int8Options, Judged, export_float, export_int8

LENIENT = Int8Options(max_drop=100.0, min_agreement=0.0)


@pytest.fixture(scope="module")
def run_folder(
    tmp_path_factory: pytest.TempPathFactory, tiny_recipe: Callable[..., Recipe], module_cache: Path
) -> RunFolder:
    """A finished run of one stage."""
    recipe = tiny_recipe("target")
    quantize = msgspec.structs.replace(recipe.quantize, epochs=2, agreement_images=30)
    recipe = msgspec.structs.replace(recipe, quantize=quantize)
    run = create_run(recipe, tmp_path_factory.mktemp("export") / "run", versions={})
    pipeline.train(run, threads=1)
    return run


@pytest.fixture(scope="module")
def module_cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MSTL_EDGE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(pool, "UNLABELLED", 20)
        yield


@pytest.fixture(scope="module")
def exported(run_folder: RunFolder) -> dict[str, Any]:
    """What `--int8` says of that run under bounds that let everything pass."""
    return export_int8(run_folder, LENIENT)


def test_the_chosen_file_and_its_float_twin_are_sealed_artifacts(
    run_folder: RunFolder, exported: dict[str, Any]
) -> None:
    int8 = open_artifact(run_folder.path / exported["model"])
    twin = open_artifact(run_folder.path / exported["float_model"])
    assert int8.card is not None
    assert twin.card is not None
    assert (int8.card.scheme, twin.card.scheme) == ("int8", "float32")
    assert int8.card.labels == ("healthy", "ill")
    assert int8.card.recipe["stages"][0]["data"] == "local"
    assert int8.card.hashes.weights == twin.card.hashes.weights
    assert len(int8.golden) == 3


def test_the_summary_lists_float_and_both_candidates(run_folder: RunFolder, exported: dict[str, Any]) -> None:
    assert exported["schema"] == "mstl-edge/export/1"
    assert [row["scheme"] for row in exported["candidates"]] == ["float32", "int8-ptq", "int8-qat"]
    assert sum(row.get("chosen", False) for row in exported["candidates"]) == 1
    assert all((run_folder.path / row["path"]).is_file() for row in exported["candidates"])
    assert json.loads((run_folder.exports / "export.json").read_text()) == json.loads(json.dumps(exported))
    assert exported["test"]["int8"]["n"] == exported["test"]["float32"]["n"] > 0


def test_the_file_answers_an_image_and_the_twin_gives_nearly_the_same_probability(
    run_folder: RunFolder, exported: dict[str, Any], image_folders: dict[str, Path]
) -> None:
    image = sorted((image_folders["target"] / "ill").glob("*.png"))[0]
    answers = [load_classifier(run_folder.path / exported[key]).predict(image) for key in ("model", "float_model")]
    assert answers[0].probabilities["ill"] == pytest.approx(answers[1].probabilities["ill"], abs=0.15)


@pytest.mark.slow
def test_exporting_again_gives_the_same_bytes(run_folder: RunFolder, exported: dict[str, Any], tmp_path: Path) -> None:
    again = RunFolder(tmp_path / "again")
    shutil.copytree(run_folder.path, again.path)
    shutil.rmtree(again.exports)
    shutil.rmtree(again.path / "stages" / "quantize")
    repeated = export_int8(again, LENIENT)
    for key in ("model", "float_model"):
        assert (again.path / repeated[key]).read_bytes() == (run_folder.path / exported[key]).read_bytes()


def test_a_refused_candidate_is_kept_under_a_rejected_name_with_its_report(
    run_folder: RunFolder, tmp_path: Path, exported: dict[str, Any]
) -> None:
    again = RunFolder(tmp_path / "refused")
    shutil.copytree(run_folder.path, again.path)
    shutil.rmtree(again.exports)
    with pytest.raises(GateRefusedError) as refused:
        # More agreement than there is: no file can keep that.
        export_int8(again, Int8Options(kinds=("ptq",), max_drop=0.0, min_agreement=1.1))
    assert refused.value.exit_code == 3
    assert "labels agree on" in str(refused.value)
    assert "--min-agreement" in str(refused.value)
    assert not list(again.exports.glob("*int8*.tflite"))
    (report,) = again.exports.glob("*.rejected.json")
    assert json.loads(report.read_text())["verdict"] == "refused"


def test_a_mixed_candidate_keeps_its_worst_layers_in_float_where_float_is_allowed(
    run_folder: RunFolder, tmp_path: Path
) -> None:
    again = RunFolder(tmp_path / "mixed")
    shutil.copytree(run_folder.path, again.path)
    tree = export_int8(again, replace(LENIENT, kinds=("mixed",), allow_float=True))
    row = next(row for row in tree["candidates"] if row["scheme"] == "int8-mixed")
    errors = list(row["notes"]["layer_errors"].values())
    assert errors == sorted(errors, reverse=True)
    assert row["notes"]["kept_in_float"] == list(row["notes"]["layer_errors"])[:3]
    facts = open_artifact(again.path / row["path"]).facts
    assert facts.float_operators
    assert facts.kernels


def test_float_schemes_are_written_beside_the_twin_and_shrink(run_folder: RunFolder, tmp_path: Path) -> None:
    again = RunFolder(tmp_path / "float")
    shutil.copytree(run_folder.path, again.path)
    tree = export_float(again, ["float16", "dynamic"])
    sizes = {row["scheme"]: row["size_bytes"] for row in tree["candidates"]}
    assert sizes["float32"] > sizes["float16"] > sizes["dynamic"]
    for row in tree["candidates"]:
        load_classifier(again.path / row["path"], replay=None)


def test_an_unfinished_run_is_one_clear_line(tmp_path: Path, tiny_recipe: Callable[..., Recipe]) -> None:
    create_run(tiny_recipe("target"), tmp_path / "run", versions={})
    with pytest.raises(RunError, match=r"last stage \(target\) is finished.*Received: .*mstl-edge train --resume"):
        export_int8(open_run(tmp_path / "run"), LENIENT)


@pytest.mark.parametrize(
    ("verdicts", "accuracies", "chosen"),
    [
        ({"ptq": "undecided", "qat": "undecided"}, {"ptq": 0.9, "qat": 0.9}, "qat"),
        ({"ptq": "undecided", "qat": "undecided"}, {"ptq": 0.95, "qat": 0.9}, "ptq"),
        ({"ptq": "proven", "qat": "refused"}, {"ptq": 0.8, "qat": 0.9}, "ptq"),
        ({"ptq": "refused", "qat": "refused"}, {"ptq": 0.8, "qat": 0.9}, None),
    ],
)
def test_quantization_aware_is_kept_unless_post_training_is_better(
    verdicts: dict[str, str], accuracies: dict[str, float], chosen: str | None
) -> None:
    class Report:
        def __init__(self, kind: str) -> None:
            self.verdict = verdicts[kind]
            self.accuracy = {"int8": Interval(accuracies[kind], 0.0, 1.0)}

    class Made:
        def __init__(self, kind: str) -> None:
            self.kind = kind

    picked = export.choose([Judged(Made(kind), Report(kind)) for kind in verdicts])  # type: ignore[arg-type]
    assert (picked.candidate.kind if picked else None) == chosen
