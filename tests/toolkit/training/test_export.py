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
from mstl_edge.metrics import Agreement, Interval
from mstl_edge.progress import SILENT
from mstl_edge.recipe import QuantizeSpec, Recipe
from mstl_edge.runs import RunFolder, create_run, open_run
from mstl_edge.schemas.export import EXPORT, Export
from mstl_edge.training import pipeline
from mstl_edge.training.exporting import export, outcome
from mstl_edge.training.exporting.export import Int8Options, export_float, export_int8
from mstl_edge.training.exporting.seal import Judged
from mstl_edge.training.judging import gate
from mstl_edge.training.judging.evidence import other_panels, validation_panel
from mstl_edge.training.quantize import lessons
from mstl_edge.training.quantize.candidates import Candidate
from mstl_edge.training.stage_data import StageData
from mstl_edge.training.trained import Trained, open_trained
from mstl_edge.training.unseen import cross_fit

LENIENT = Int8Options(max_drop=100.0, min_agreement=0.0)
UNREACHABLE = Int8Options(max_drop=0.0, min_agreement=1.1)
"""More agreement than there is: no file can keep that."""


@pytest.fixture(scope="module")
def run_folder(
    tmp_path_factory: pytest.TempPathFactory, tiny_recipe: Callable[..., Recipe], module_cache: Path
) -> RunFolder:
    """A finished run of one stage."""
    recipe = tiny_recipe("target")
    quantize = msgspec.structs.replace(recipe.quantize, epochs=2, cross_fit=0)
    recipe = msgspec.structs.replace(recipe, quantize=quantize)
    run = create_run(recipe, tmp_path_factory.mktemp("export") / "run", versions={})
    pipeline.train(run, threads=1)
    return run


@pytest.fixture(scope="module")
def module_cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MSTL_EDGE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(lessons, "LEARNED", 30)
        yield


@pytest.fixture(scope="module")
def exported(run_folder: RunFolder) -> Export:
    """What `--int8` says of that run under bounds that let everything pass."""
    return export_int8(run_folder, LENIENT)


def test_every_file_carries_its_feature_map_unless_one_output_is_asked_for(
    run_folder: RunFolder, exported: Export, tmp_path: Path
) -> None:
    for path in run_folder.exports.rglob("*.tflite"):
        facts = open_artifact(path).facts
        assert facts.feature_map is not None, path
        assert facts.feature_map.shape[0] == 1
    copy = open_run(shutil.copytree(run_folder.path, tmp_path / "run"))
    export_int8(copy, replace(LENIENT, single_output=True), beside=("float16",), threads=1)
    single = [open_artifact(path) for path in copy.exports.rglob("*.tflite")]
    assert len(single) >= 3
    for artifact in single:
        assert artifact.facts.feature_map is None
        assert artifact.card is not None
        assert artifact.card.schema == "mstl-edge/card/1"
    before, after = (load_classifier(run.exports / "tiny-int8.tflite") for run in (run_folder, copy))
    assert before.artifact.facts.kernels == after.artifact.facts.kernels
    assert after.artifact.facts.size_bytes < before.artifact.facts.size_bytes < after.artifact.facts.size_bytes + 1000


def test_the_chosen_file_and_its_float_twin_are_sealed_artifacts(run_folder: RunFolder, exported: Export) -> None:
    int8 = open_artifact(run_folder.path / str(exported.model))
    twin = open_artifact(run_folder.path / str(exported.float_model))
    assert int8.card is not None
    assert twin.card is not None
    assert (int8.card.scheme, twin.card.scheme) == ("int8", "float32")
    assert int8.card.labels == ("healthy", "ill")
    assert int8.card.recipe["stages"][0]["data"] == "local"
    assert int8.card.hashes.weights == twin.card.hashes.weights
    assert len(int8.golden) == 3


def test_the_summary_lists_float_and_both_candidates(run_folder: RunFolder, exported: Export) -> None:
    assert exported.schema == "mstl-edge/export/2"
    assert [row.scheme for row in exported.candidates] == ["float32", "int8-ptq", "int8-qat"]
    assert sum(row.chosen for row in exported.candidates) == 1
    assert all((run_folder.path / row.path).is_file() for row in exported.candidates)
    assert EXPORT.read(run_folder.exports / "export.json", hint="") == exported
    assert exported.test is not None
    assert exported.test.int8.n == exported.test.float32.n > 0


def test_the_file_answers_an_image_and_the_twin_gives_nearly_the_same_probability(
    run_folder: RunFolder, exported: Export, image_folders: dict[str, Path]
) -> None:
    image = sorted((image_folders["target"] / "ill").glob("*.png"))[0]
    answers = [
        load_classifier(run_folder.path / str(file)).predict(image) for file in (exported.model, exported.float_model)
    ]
    assert answers[0].probabilities["ill"] == pytest.approx(answers[1].probabilities["ill"], abs=0.15)


@pytest.mark.slow
def test_exporting_again_gives_the_same_bytes(run_folder: RunFolder, exported: Export, tmp_path: Path) -> None:
    again = RunFolder(tmp_path / "again")
    shutil.copytree(run_folder.path, again.path)
    shutil.rmtree(again.exports)
    shutil.rmtree(again.path / "stages" / "quantize")
    repeated = export_int8(again, LENIENT)
    for name in map(str, (exported.model, exported.float_model)):
        assert (again.path / name).read_bytes() == (run_folder.path / name).read_bytes()
    assert (repeated.model, repeated.float_model) == (exported.model, exported.float_model)


@pytest.fixture(scope="module")
def refused(
    run_folder: RunFolder, exported: Export, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunFolder, GateRefusedError]:
    """A run whose only export was refused, and the refusal."""
    again = _copied(run_folder, tmp_path_factory.mktemp("refused"))
    shutil.rmtree(again.exports)
    with pytest.raises(GateRefusedError) as caught, _ready_made(run_folder, exported, "ptq"):
        export_int8(again, UNREACHABLE)
    return again, caught.value


def _copied(run: RunFolder, folder: Path) -> RunFolder:
    shutil.copytree(run.path, folder / "run")
    return RunFolder(folder / "run")


@contextmanager
def _ready_made(run: RunFolder, exported: Export, *kinds: str) -> Iterator[None]:
    """Offer the files of an earlier export as candidates, which takes no time."""
    files = {row.scheme: open_artifact(run.path / row.path).flatbuffer for row in exported.candidates}
    made = [Candidate(kind, files[f"int8-{kind}"], None, {}) for kind in kinds]  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "build_candidates", lambda *_, **__: iter(made))
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


def test_a_refused_export_leaves_no_int8_file_that_anything_loads(refused: tuple[RunFolder, GateRefusedError]) -> None:
    run, _ = refused
    assert not list(run.exports.rglob("*int8*.tflite"))
    assert not run.test_predictions.exists()
    assert (run.exports / "tiny-float32.tflite").is_file()


def test_a_refused_export_is_summed_up_like_any_other(refused: tuple[RunFolder, GateRefusedError]) -> None:
    run, error = refused
    summary = EXPORT.read(run.exports / "export.json", hint="")
    assert msgspec.to_builtins(summary) == error.tree
    assert (summary.model, summary.chosen, summary.verdict) == (None, None, "refused")
    assert [row.scheme for row in summary.candidates] == ["float32", "int8-ptq"]
    assert summary.candidates[1].gate is not None
    assert summary.candidates[1].gate.verdict == "refused"
    assert (run.path / summary.candidates[1].path).is_file()
    assert summary.test is None


def test_a_refused_export_leaves_the_accepted_one_as_it_is_and_says_so(
    run_folder: RunFolder, exported: Export, tmp_path: Path
) -> None:
    run = _copied(run_folder, tmp_path)
    before = {path: path.read_bytes() for path in run.exports.rglob("*") if path.is_file()}
    with pytest.raises(GateRefusedError) as caught, _ready_made(run_folder, exported, "ptq"):
        export_int8(run, UNREACHABLE)
    assert "The earlier exports/tiny-int8.tflite stays" in str(caught.value)
    assert {path: path.read_bytes() for path in before} == before
    added = {path.name for path in run.exports.rglob("*") if path.is_file()} - {path.name for path in before}
    rejected = "tiny-int8-ptq.tflite.rejected"
    assert added == {rejected, f"{rejected}.json", "export.rejected.json"}
    assert str(run.exports / f"{rejected}.json") in str(caught.value)
    assert EXPORT.read(run.exports / "export.rejected.json", hint="").verdict == "refused"
    assert EXPORT.read(run.exports / "export.json", hint="") == exported


def test_an_export_that_fails_midway_leaves_the_accepted_one_as_it_is(
    run_folder: RunFolder, exported: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _copied(run_folder, tmp_path)
    before = {path: path.read_bytes() for path in run.exports.rglob("*") if path.is_file()}

    def full(*_: object, **__: object) -> None:
        raise RunError("space on the disk")

    monkeypatch.setattr(export, "keep_candidate", full)
    with pytest.raises(RunError, match="space on the disk"), _ready_made(run_folder, exported, "ptq"):
        export_int8(run, LENIENT)
    assert {path: path.read_bytes() for path in run.exports.rglob("*") if path.is_file()} == before


def test_a_damaged_summary_of_an_earlier_export_is_one_clear_line_before_any_work(
    run_folder: RunFolder, exported: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _copied(run_folder, tmp_path)
    (run.exports / "export.json").write_text('{"schema": ')
    monkeypatch.setattr(export, "open_trained", lambda *_: pytest.fail("work was begun"))
    with pytest.raises(RunError, match=r"a JSON file that is whole.*Delete it to export anew"):
        export_int8(run, LENIENT)


def test_a_later_export_that_passes_clears_the_refusal_away(
    run_folder: RunFolder, exported: Export, refused: tuple[RunFolder, GateRefusedError], tmp_path: Path
) -> None:
    run = _copied(refused[0], tmp_path)
    with _ready_made(run_folder, exported, "ptq"):
        export_int8(run, LENIENT)
    assert not list(run.exports.glob("*.rejected*"))
    assert (run.exports / "tiny-int8.tflite").is_file()


def test_a_candidate_that_is_refused_beside_one_that_passes_gets_no_loadable_name(
    run_folder: RunFolder, exported: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = _copied(run_folder, tmp_path)
    verdicts = iter(["refused", "undecided"])
    whole = gate.judge
    monkeypatch.setattr(gate, "judge", lambda *a, **k: msgspec.structs.replace(whole(*a, **k), verdict=next(verdicts)))
    with _ready_made(run_folder, exported, "ptq", "qat"):
        record = export_int8(again, LENIENT)
    assert record.chosen == "int8-qat"
    paths = {row.scheme: row.path for row in record.candidates}
    assert paths["int8-ptq"] == "exports/tiny-int8-ptq.tflite.rejected"
    assert not list((again.exports / "candidates").glob("*.tflite"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "training"), [("head", {"epochs": 8, "learning_rate": 0.01}), ("conv1", {"epochs": 1})]
)
def test_the_head_alone_and_every_layer_are_trained_and_fine_tuned_under_quantization_as_well(
    first: str, training: dict[str, Any], tmp_path: Path, module_cache: Any, tiny_recipe: Callable[..., Recipe]
) -> None:
    recipe = tiny_recipe("target", unfreeze_from=first, **training)
    recipe = msgspec.structs.replace(recipe, quantize=QuantizeSpec(epochs=1, cross_fit=0))
    run = create_run(recipe, tmp_path / "run", versions={})
    parameters = pipeline.train(run, threads=1).stages[-1].parameters
    told = export_int8(run, LENIENT, threads=1)
    assert {candidate.scheme for candidate in told.candidates} == {"float32", "int8-ptq", "int8-qat"}
    assert parameters is not None
    assert (parameters.trained == 2 * (256 + 1)) == (first == "head")


def test_the_test_split_counts_the_files_it_has_judged(run_folder: RunFolder, exported: Export, tmp_path: Path) -> None:
    again = _copied(run_folder, tmp_path)
    same = str(exported.chosen).removeprefix("int8-")
    other = {"ptq": "qat", "qat": "ptq"}[same]
    assert exported.test is not None
    scored = [exported.test.scored]
    for kind in (same, other, same):
        with _ready_made(run_folder, exported, kind):
            test = export_int8(again, LENIENT).test
            assert test is not None
            scored.append(test.scored)
    assert scored == [1, 1, 2, 2]


def test_a_mixed_candidate_keeps_its_worst_layers_in_float_where_float_is_allowed(
    run_folder: RunFolder, tmp_path: Path
) -> None:
    again = _copied(run_folder, tmp_path)
    record = export_int8(again, replace(LENIENT, kinds=("mixed",), allow_float=True))
    row = next(row for row in record.candidates if row.scheme == "int8-mixed")
    errors = list(row.notes.layer_errors.values())
    assert errors == sorted(errors, reverse=True)
    assert list(row.notes.kept_in_float) == list(row.notes.layer_errors)[:3]
    artifact = open_artifact(again.path / row.path)
    assert artifact.facts.float_operators
    assert artifact.facts.kernels
    assert (artifact.facts.input.dtype, artifact.facts.output.dtype) == ("int8", "int8")
    assert artifact.card is not None
    assert artifact.card.scheme == "mixed"


def test_float_schemes_are_written_beside_the_twin_and_shrink(run_folder: RunFolder, tmp_path: Path) -> None:
    again = _copied(run_folder, tmp_path)
    shutil.rmtree(again.exports, ignore_errors=True)
    record = export_float(again, ["float16", "dynamic"])
    sizes = {row.scheme: row.size_bytes for row in record.candidates}
    assert sizes["float32"] > sizes["float16"] > sizes["dynamic"]
    for row in record.candidates:
        load_classifier(again.path / row.path, replay=None)
    assert [row.chosen for row in record.candidates] == [False, True, False]
    half = record.candidates[1]
    assert half.agreement is not None
    assert half.accuracy is not None
    assert half.agreement.agreement.value > 0.9
    assert 0.0 <= half.accuracy.low <= half.accuracy.value


def test_a_float_scheme_written_later_leaves_the_int8_model_chosen(
    run_folder: RunFolder, exported: Export, tmp_path: Path
) -> None:
    again = _copied(run_folder, tmp_path)
    record = export_float(again, ["float16"])
    assert [row.scheme for row in record.candidates] == ["float32", "float16", "int8-ptq", "int8-qat"]
    assert (record.model, record.chosen, record.test) == (exported.model, exported.chosen, exported.test)


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


def test_a_float_scheme_may_be_written_beside_int8(run_folder: RunFolder, exported: Export, tmp_path: Path) -> None:
    again = _copied(run_folder, tmp_path)
    with _ready_made(run_folder, exported, "ptq"):
        record = export_int8(again, LENIENT, beside=["float16"])
    assert [row.scheme for row in record.candidates] == ["float32", "float16", "int8-ptq"]


def test_what_quantization_learns_from_and_what_judges_it_share_no_image(
    run_folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = open_trained(run_folder, SILENT)
    learned = set(trained.data.part("train")[0].keys)
    drawn = lessons.learned_images(trained)
    originals = drawn.keys[: len(learned)]
    assert set(originals) == learned
    assert len(drawn) > len(learned)
    panels = [validation_panel(trained), *other_panels(trained)]
    judged = {key for panel in panels for key in panel.keys}
    assert judged
    assert not judged & {*drawn.keys, *trained.calibration(200)[2]}
    assert not judged & set(trained.data.part("test")[0].keys)


@pytest.mark.slow
def test_each_training_image_is_answered_by_a_file_that_was_made_without_it(
    run_folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _copied(run_folder, tmp_path)
    parts: list[Trained] = []
    whole = cross_fit.build_candidates

    def seen(part: Trained, *given: Any, **told: Any) -> Any:
        parts.append(part)
        return whole(part, *given, **told)

    monkeypatch.setattr(cross_fit, "build_candidates", seen)
    record = export_int8(run, replace(LENIENT, kinds=("ptq",), cross_fit=3))
    assert record.gate is not None
    by_name = {origin.origin: origin for origin in record.gate.origins}
    training = open_trained(run, SILENT).data.manifest.part("train")
    crossed = by_name["target cross-fitted"]
    assert (crossed.images, crossed.judged, crossed.carries) == (len(training), "procedure", True)
    assert record.gate.images == len(training) + by_name["target validation"].images
    answered = [row.sha256 for part in parts for row in part.data.manifest.part("test")]
    assert sorted(answered) == sorted(row.sha256 for row in training)
    for part in parts:
        fitted = {row.sha256 for row in part.data.manifest.part("train")}
        assert not fitted & {row.sha256 for row in part.data.manifest.part("test")}
        groups = {row.group for row in part.data.manifest.part("train")}
        assert not groups & {row.group for row in part.data.manifest.part("test")}
    assert len({part.network.key() for part in parts}) == 3
    unseen = len(training) + by_name["target validation"].images
    for scheme in ("float32", "int8"):
        card = open_artifact(run.exports / f"tiny-{scheme}.tflite").card
        assert card is not None
        assert card.doubt is not None
        assert card.doubt.sets is not None
        assert sum(card.doubt.sets.images) == unseen
        assert f"{len(training)} cross-fitted images" in card.doubt.sets.origin


def test_too_few_images_for_doubt_are_said_in_the_card(run_folder: RunFolder, exported: Export) -> None:
    for scheme in ("float32", "int8"):
        card = open_artifact(run_folder.exports / f"tiny-{scheme}.tflite").card
        assert card is not None
        assert card.doubt is not None
        assert (card.doubt.sets, card.doubt.familiarity) == (None, None)
        kept = len(open_trained(run_folder, SILENT).data.manifest.part("validation"))
        assert card.doubt.left_out[0] == f"label sets: 90% needs 9 images kept from training, there are {kept}"
        assert card.doubt.left_out[1].startswith("familiarity: 95% needs 19 images")


def test_cross_fitting_is_left_to_runs_with_few_images_of_their_own() -> None:
    few, many = (SimpleNamespace(carrying=count) for count in (122, 200))
    trained = SimpleNamespace(recipe=SimpleNamespace(quantize=QuantizeSpec()))
    assert export.parts_wanted(trained, few, Int8Options()) == 2  # type: ignore[arg-type]
    assert export.parts_wanted(trained, many, Int8Options()) == 0  # type: ignore[arg-type]
    assert export.parts_wanted(trained, many, Int8Options(cross_fit=4)) == 4  # type: ignore[arg-type]
    assert export.parts_wanted(trained, few, Int8Options(cross_fit=0)) == 0  # type: ignore[arg-type]


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
            lambda stage: _replace(stage.parents[1] / "recipe.toml", 'variant = "0.25"', 'variant = "0.5"'),
            "weights of mobilenet_v1:0.5",
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
    ("verdicts", "agreements", "chosen"),
    [
        ({"ptq": "undecided", "qat": "undecided"}, {"ptq": 0.98, "qat": 0.98}, "qat"),
        ({"ptq": "undecided", "qat": "undecided"}, {"ptq": 0.99, "qat": 0.98}, "ptq"),
        ({"ptq": "proven", "qat": "refused"}, {"ptq": 0.97, "qat": 0.99}, "ptq"),
        ({"ptq": "refused", "qat": "refused"}, {"ptq": 0.8, "qat": 0.9}, None),
    ],
)
def test_the_candidate_that_agrees_most_is_kept_and_quantization_aware_where_they_are_equal(
    verdicts: dict[str, str], agreements: dict[str, float], chosen: str | None
) -> None:
    def judged(kind: str) -> Judged:
        agreement = Agreement(100, Interval(agreements[kind], 0.0, 1.0), 0.1, 0.01)
        report = SimpleNamespace(verdict=verdicts[kind], agreement=agreement)
        return Judged(SimpleNamespace(kind=kind), report)  # type: ignore[arg-type]

    picked = outcome.choose([judged(kind) for kind in verdicts])
    assert (picked.candidate.kind if picked else None) == chosen
