"""A trained run becomes files: chosen, judged, sealed, or refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from mstl_edge import load_classifier, open_artifact
from mstl_edge.errors import GateRefusedError, RunError
from mstl_edge.metrics import Interval
from mstl_edge.recipe import Recipe
from mstl_edge.runs import RunFolder, create_run, open_run
from mstl_edge.training import export, gate, pipeline, pool
from mstl_edge.training.candidates import Candidate
from mstl_edge.training.export import Int8Options, export_float, export_int8
from mstl_edge.training.seal import Judged
from mstl_edge.training.stages import StageData

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


@pytest.fixture(scope="module")
def refused(
    run_folder: RunFolder, exported: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunFolder, GateRefusedError]:
    """A run whose export passed once and was then refused, and the refusal."""
    again = _copied(run_folder, tmp_path_factory.mktemp("refused"))
    with pytest.raises(GateRefusedError) as caught, _ready_made(run_folder, exported, "ptq"):
        # More agreement than there is: no file can keep that.
        export_int8(again, Int8Options(max_drop=0.0, min_agreement=1.1))
    return again, caught.value


def _copied(run: RunFolder, folder: Path) -> RunFolder:
    shutil.copytree(run.path, folder / "run")
    return RunFolder(folder / "run")


@contextmanager
def _ready_made(run: RunFolder, exported: dict[str, Any], *kinds: str) -> Iterator[None]:
    """Offer the files of an earlier export as candidates, which takes no time."""
    files = {row["scheme"]: open_artifact(run.path / row["path"]).flatbuffer for row in exported["candidates"]}
    made = [Candidate(kind, files[f"int8-{kind}"], None, {}) for kind in kinds]  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "_candidates", lambda *_: iter(made))
        yield


def test_a_refused_candidate_is_kept_under_a_rejected_name_with_its_report(
    refused: tuple[RunFolder, GateRefusedError],
) -> None:
    run, error = refused
    assert error.exit_code == 3
    assert "labels agree on" in str(error)
    assert "--min-agreement" in str(error)
    (report,) = run.exports.glob("*.rejected.json")
    assert json.loads(report.read_text())["verdict"] == "refused"
    assert str(report) in str(error)


def test_a_refused_export_leaves_no_int8_file_of_an_earlier_one_to_be_taken_for_its_own(
    refused: tuple[RunFolder, GateRefusedError],
) -> None:
    run, _ = refused
    assert not list(run.exports.rglob("*int8*.tflite"))
    assert not run.test_predictions.exists()
    assert (run.exports / "tiny-float32.tflite").is_file()


def test_a_refused_export_is_summed_up_like_any_other(refused: tuple[RunFolder, GateRefusedError]) -> None:
    run, error = refused
    tree = json.loads((run.exports / "export.json").read_text())
    assert tree == json.loads(json.dumps(error.tree))
    assert (tree["model"], tree["chosen"], tree["verdict"]) == (None, None, "refused")
    assert [row["scheme"] for row in tree["candidates"]] == ["float32", "int8-ptq"]
    assert tree["candidates"][1]["gate"]["verdict"] == "refused"
    assert (run.path / tree["candidates"][1]["path"]).is_file()
    assert "test" not in tree


def test_a_later_export_that_passes_clears_the_refusal_away(
    run_folder: RunFolder, exported: dict[str, Any], refused: tuple[RunFolder, GateRefusedError], tmp_path: Path
) -> None:
    run = _copied(refused[0], tmp_path)
    with _ready_made(run_folder, exported, "ptq"):
        export_int8(run, LENIENT)
    assert not list(run.exports.glob("*.rejected*"))
    assert (run.exports / "tiny-int8.tflite").is_file()


def test_a_candidate_that_is_refused_beside_one_that_passes_gets_no_loadable_name(
    run_folder: RunFolder, exported: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = _copied(run_folder, tmp_path)
    verdicts = iter(["refused", "undecided"])
    whole = gate.judge
    monkeypatch.setattr(gate, "judge", lambda *a, **k: msgspec.structs.replace(whole(*a, **k), verdict=next(verdicts)))
    with _ready_made(run_folder, exported, "ptq", "qat"):
        tree = export_int8(again, LENIENT)
    assert tree["chosen"] == "int8-qat"
    paths = {row["scheme"]: row["path"] for row in tree["candidates"]}
    assert paths["int8-ptq"] == "exports/tiny-int8-ptq.tflite.rejected"
    assert not list((again.exports / "candidates").glob("*.tflite"))


def test_the_test_split_counts_the_files_it_has_judged(
    run_folder: RunFolder, exported: dict[str, Any], tmp_path: Path
) -> None:
    again = _copied(run_folder, tmp_path)
    same = exported["chosen"].removeprefix("int8-")
    other = {"ptq": "qat", "qat": "ptq"}[same]
    scored = [exported["test"]["scored"]]
    for kind in (same, other, same):
        with _ready_made(run_folder, exported, kind):
            scored.append(export_int8(again, LENIENT)["test"]["scored"])
    assert scored == [1, 1, 2, 2]


def test_a_mixed_candidate_keeps_its_worst_layers_in_float_where_float_is_allowed(
    run_folder: RunFolder, tmp_path: Path
) -> None:
    again = _copied(run_folder, tmp_path)
    tree = export_int8(again, replace(LENIENT, kinds=("mixed",), allow_float=True))
    row = next(row for row in tree["candidates"] if row["scheme"] == "int8-mixed")
    errors = list(row["notes"]["layer_errors"].values())
    assert errors == sorted(errors, reverse=True)
    assert row["notes"]["kept_in_float"] == list(row["notes"]["layer_errors"])[:3]
    artifact = open_artifact(again.path / row["path"])
    assert artifact.facts.float_operators
    assert artifact.facts.kernels
    assert (artifact.facts.input.dtype, artifact.facts.output.dtype) == ("int8", "int8")
    assert artifact.card is not None
    assert artifact.card.scheme == "mixed"


def test_float_schemes_are_written_beside_the_twin_and_shrink(run_folder: RunFolder, tmp_path: Path) -> None:
    again = _copied(run_folder, tmp_path)
    tree = export_float(again, ["float16", "dynamic"])
    sizes = {row["scheme"]: row["size_bytes"] for row in tree["candidates"]}
    assert sizes["float32"] > sizes["float16"] > sizes["dynamic"]
    for row in tree["candidates"]:
        load_classifier(again.path / row["path"], replay=None)
    assert [row["chosen"] for row in tree["candidates"]] == [False, True, False]
    assert tree["candidates"][1]["agreement"]["agreement"]["value"] > 0.9
    assert 0.0 <= tree["candidates"][1]["accuracy"]["low"] <= tree["candidates"][1]["accuracy"]["value"]


def test_float_schemes_never_see_the_test_split(
    run_folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = _copied(run_folder, tmp_path)
    asked: list[str] = []
    part = StageData.part
    monkeypatch.setattr(StageData, "part", lambda data, split: asked.append(split) or part(data, split))
    export_float(again, ["float16"])
    assert "validation" in asked
    assert "test" not in asked


def test_a_float_scheme_may_be_written_beside_int8(
    run_folder: RunFolder, exported: dict[str, Any], tmp_path: Path
) -> None:
    again = _copied(run_folder, tmp_path)
    with _ready_made(run_folder, exported, "ptq"):
        tree = export_int8(again, LENIENT, beside=["float16"])
    assert [row["scheme"] for row in tree["candidates"]] == ["float32", "float16", "int8-ptq"]


def test_an_unfinished_run_is_one_clear_line(tmp_path: Path, tiny_recipe: Callable[..., Recipe]) -> None:
    create_run(tiny_recipe("target"), tmp_path / "run", versions={})
    with pytest.raises(RunError, match=r"last stage \(target\) is finished.*Received: .*mstl-edge train --resume"):
        export_int8(open_run(tmp_path / "run"), LENIENT)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda stage: (stage / "metrics.json").write_text('{"labels": ['), "a JSON file that is whole"),
        (lambda stage: (stage / "metrics.json").write_text("{}"), "a whole mstl-edge/stage-metrics/1"),
        (lambda stage: (stage / "weights.npz").unlink(), "a stage's weights (FileNotFoundError)"),
        (lambda stage: (stage / "weights.npz").write_bytes(b"PK\3\4 cut off"), "a stage's weights (BadZipFile)"),
        (lambda stage: (stage / "weights.npz").write_bytes(b""), "a stage's weights (EOFError)"),
        (
            lambda stage: _replace(stage.parents[1] / "recipe.toml", "alpha = 0.25", "alpha = 0.5"),
            "weights of mobilenet_v1 with alpha=0.5",
        ),
    ],
)
def test_a_damaged_run_is_one_clear_line(
    run_folder: RunFolder, tmp_path: Path, damage: Callable[[Path], object], said: str
) -> None:
    run = _copied(run_folder, tmp_path)
    damage(run.path / "stages" / "target")
    with pytest.raises(RunError, match=r"Received: .*\.") as caught:
        export_float(run, ["float32"])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


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
    def judged(kind: str) -> Judged:
        report = SimpleNamespace(verdict=verdicts[kind], accuracy={"int8": Interval(accuracies[kind], 0.0, 1.0)})
        return Judged(SimpleNamespace(kind=kind), report)  # type: ignore[arg-type]

    picked = export.choose([judged(kind) for kind in verdicts])
    assert (picked.candidate.kind if picked else None) == chosen
