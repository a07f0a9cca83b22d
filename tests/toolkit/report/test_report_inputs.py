"""What a report is made from: complete, partial, damaged, foreign."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mstl_edge.artifact import write_artifact
from mstl_edge.artifact.doubt import Doubt, LabelSets
from mstl_edge.data.splits import Manifest, ManifestRow, save_manifest
from mstl_edge.errors import MstlEdgeError
from mstl_edge.progress import SILENT
from mstl_edge.recipe import load_recipe, to_toml
from mstl_edge.report import write_report
from mstl_edge.report.run.paired import Paired, paired_answers
from mstl_edge.report.run.run_record import read_run
from mstl_edge.runs import RunFolder


def test_the_report_goes_into_the_run_folder_and_takes_its_benchmarks_along(run_folder: Path, bench_file: Path) -> None:
    shutil.move(bench_file, run_folder / "bench.json")
    written = write_report([run_folder])
    assert written.path == run_folder / "report.html"
    assert [source.kind for source in written.sources] == ["run", "bench"]
    assert written.missing == ()


def test_a_benchmark_or_study_alone_gives_a_report_beside_it(bench_file: Path, study_folder: Path) -> None:
    assert write_report([bench_file]).path == bench_file.with_name("pi-report.html")
    assert write_report([study_folder]).path == study_folder / "report.html"
    assert write_report([study_folder / "study.json"]).path == study_folder / "report.html"


def test_the_latest_run_is_taken_where_nothing_is_named(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.move(run_folder, tmp_path / "runs" / "mine")
    assert write_report().path == Path("runs/mine/report.html")


def test_a_run_without_an_export_is_shown_and_what_is_missing_is_said(run_folder: Path) -> None:
    shutil.rmtree(run_folder / "exports")
    written = write_report([run_folder])
    text = written.path.read_text(encoding="utf-8").replace("\u00a0", " ")
    assert "The float model labels" in text
    assert "Quantization</h2>" not in text
    assert [entry.partition(":")[2].strip() for entry in written.missing] == ["mstl-edge export RUN --int8"] * 2
    assert all(entry in text for entry in written.missing)


def test_a_run_whose_model_files_and_answers_are_gone_skips_the_scatter_and_says_so(run_folder: Path) -> None:
    (run_folder / "exports" / "test_predictions.csv").unlink()
    written = write_report([run_folder])
    assert "phantom-float32.tflite, phantom-int8.tflite is gone" in written.missing[0]


@pytest.fixture
def answerable(
    run_folder: Path, exported: Callable[[str], Path], picture: Callable[[Path, int], Path], tmp_path: Path
) -> Path:
    """The run with tiny models, test images and no stored answers."""
    (run_folder / "exports" / "test_predictions.csv").unlink()
    for scheme in ("float32", "int8"):
        shutil.copy(exported(f"tiny_{scheme}"), run_folder / "exports" / f"phantom-{scheme}.tflite")
    metrics = run_folder / "metrics.json"
    tree = json.loads(metrics.read_text())
    tree["stages"][-1]["labels"] = ["normal", "hemorrhage"]
    metrics.write_text(json.dumps(tree))
    predictions = run_folder / "stages" / "target" / "predictions.csv"
    lines = predictions.read_text().splitlines()
    predictions.write_text("\n".join([lines[0].replace("hemorrhage,normal", "normal,hemorrhage"), *lines[1:]]) + "\n")
    data, rows = tmp_path / "data", []
    for number in range(40):
        label = "normal" if number % 2 else "hemorrhage"
        name = f"{label}/patient-test-{number:03}.png"
        picture(data / name, number)
        rows.append(ManifestRow(name, label, name, "test", "0" * 64))
    manifest = Manifest(str(data), ("hemorrhage", "normal"), tuple(rows), False, ())
    save_manifest(run_folder / "splits" / "target.json", manifest)
    recipe = load_recipe("phantom", data={"target": str(data)}, overrides=["stages.target.split.patient="])
    (run_folder / "recipe.toml").write_text(to_toml(recipe))
    return run_folder


def test_the_exported_files_answer_the_test_images_again_where_no_answers_are_stored(answerable: Path) -> None:
    paired = paired_answers(read_run(RunFolder(answerable)), SILENT)
    assert isinstance(paired, Paired)
    assert paired.float32.probabilities.shape == paired.int8.probabilities.shape == (40, 2)
    assert np.abs(paired.float32.probabilities - paired.int8.probabilities).max() < 0.2
    assert write_report([answerable]).missing == ()


def test_test_images_that_are_gone_are_said_without_their_place(answerable: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "data")
    written = write_report([answerable])
    assert written.missing == ("float32 against int8: the test images cannot be answered again here",)
    assert str(tmp_path) not in written.path.read_text(encoding="utf-8")


def test_pictures_and_file_names_are_shown_only_where_asked_for(answerable: Path) -> None:
    plain = write_report([answerable]).path.read_text(encoding="utf-8")
    assert "<img" not in plain
    assert "patient-" not in plain
    shown = write_report([answerable], with_images=True).path.read_text(encoding="utf-8")
    assert 'src="data:image/png;base64,' in shown
    assert "patient-test-" in shown


def test_where_the_model_looked_is_shown_of_patients_only_where_asked_for(answerable: Path) -> None:
    plain = write_report([answerable]).path.read_text(encoding="utf-8")
    assert "Where it looks</h2><p>Test images with their maps: mstl-edge report RUN --with-images.</p>" in plain
    section = _looks(write_report([answerable], with_images=True).path)
    rows = section.count("<tr>") - 1
    assert 2 <= rows <= 10
    assert section.count("<img") == 2 * rows
    assert section.count("patient-test-") == rows
    assert "64 patches" not in section
    assert "8×8 patches were covered one after the other" in section  # the tiny files have one output


def test_drawn_images_are_nobodys_and_shown_without_names(answerable: Path) -> None:
    (answerable / "recipe.toml").write_text(to_toml(load_recipe("phantom")))
    section = _looks(write_report([answerable]).path)
    assert "<img" in section
    assert "The images are drawn." in section
    assert "patient-" not in section


def test_what_a_file_says_of_its_doubt_is_held_against_the_test_images(
    answerable: Path, models: Path, tiny_card: Callable[..., Any]
) -> None:
    assert "When it should say nothing" not in write_report([answerable]).path.read_text(encoding="utf-8")
    sets = LabelSets(level=0.9, kind="marginal", lowest=(0.0, 0.0), images=(20, 20), origin="40 validation images")
    doubt = Doubt(sets=sets, left_out=("familiarity: the file does not put its feature map out",))
    path = answerable / "exports" / "phantom-int8.tflite"
    write_artifact(path, (models / "tiny_int8.tflite").read_bytes(), tiny_card("tiny_int8", doubt=doubt))
    text = write_report([answerable]).path.read_text(encoding="utf-8").replace("\u00a0", " ")
    (section,) = [part for part in text.split("<section>") if "When it should say nothing</h2>" in part]
    assert "in 90 % of images of all classes together" in section
    assert "100.0<br><small>91.2 to 100.0</small>" in section  # every set holds both labels
    assert ">0.0<br><small>0.0 to 8.8</small>" in section
    assert "Left out: familiarity: the file does not put its feature map out." in section
    assert "Accuracy against coverage" in section


def _looks(report: Path) -> str:
    text = report.read_text(encoding="utf-8")
    (section,) = [part for part in text.split("<section>") if "Where it looks</h2>" in part]
    return section


def test_pictures_that_are_asked_for_and_gone_are_one_clear_line(answerable: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "data")
    with pytest.raises(MstlEdgeError, match="expected"):
        write_report([answerable], with_images=True)


def _unfinished(run: Path) -> None:
    (run / "metrics.json").unlink()


def _no_stages(run: Path) -> None:
    (run / "metrics.json").write_text('{"schema": "mstl-edge/metrics/1", "stages": []}')


def _other_schema(run: Path) -> None:
    (run / "metrics.json").write_text('{"schema": "mstl-edge/metrics/9", "stages": []}')


def _cut_off(run: Path) -> None:
    text = (run / "metrics.json").read_text()
    (run / "metrics.json").write_text(text[: len(text) // 2])


def _a_list(run: Path) -> None:
    (run / "metrics.json").write_text("[1]")


def _no_accuracy(run: Path) -> None:
    tree = json.loads((run / "metrics.json").read_text())
    del tree["stages"][0]["test"]["accuracy"]
    (run / "metrics.json").write_text(json.dumps(tree))


def _empty_history(run: Path) -> None:
    (run / "stages" / "target" / "history.csv").write_text("")


def _history_without_numbers(run: Path) -> None:
    (run / "stages" / "target" / "history.csv").write_text(
        "epoch,loss,accuracy,validation_loss,validation_accuracy\n1,a,b,c,d\n"
    )


def _no_history(run: Path) -> None:
    (run / "stages" / "bridge" / "history.csv").unlink()


def _predictions_of_others(run: Path) -> None:
    (run / "stages" / "target" / "predictions.csv").write_text("image,split,label,cat,dog\na,test,cat,0.5,0.5\n")


def _no_test_predictions(run: Path) -> None:
    (run / "stages" / "target" / "predictions.csv").write_text(
        "image,split,label,hemorrhage,normal\na,validation,normal,0.5,0.5\n"
    )


def _torn_answers(run: Path) -> None:
    path = run / "exports" / "test_predictions.csv"
    path.write_text(path.read_text()[:-12])


def _foreign_model(run: Path) -> None:
    (run / "exports" / "phantom-int8.tflite").write_bytes(b"nothing")


DAMAGES = [
    (_unfinished, "training is finished. Received: .* Finish it: mstl-edge train --resume"),
    (_no_stages, "at least one stage"),
    (_other_schema, "mstl-edge/metrics/9"),
    (_cut_off, "JSON file that is whole"),
    (_a_list, "JSON object"),
    (_no_accuracy, "missing required field `accuracy`"),
    (_empty_history, "CSV table with a header"),
    (_history_without_numbers, "numbers in every row"),
    (_no_history, "table that can be read"),
    (_predictions_of_others, "columns image, split, label, hemorrhage, normal"),
    (_no_test_predictions, "rows labelled hemorrhage, normal|which is cut off or empty"),
    (_torn_answers, "expected"),
    (_foreign_model, "expected"),
]


@pytest.mark.parametrize(("damage", "said"), DAMAGES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_damaged_run_is_one_clear_line_and_no_report(
    run_folder: Path, damage: Callable[[Path], None], said: str
) -> None:
    damage(run_folder)
    with pytest.raises(MstlEdgeError, match=said) as raised:
        write_report([run_folder])
    assert "\n" not in str(raised.value)
    assert not (run_folder / "report.html").exists()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"schema": "mstl-edge/predict/1"}', '{"schema": "mstl-edge/bench/1"}']
)
def test_a_foreign_or_empty_file_is_one_clear_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "some.json").write_text(content)
    with pytest.raises(MstlEdgeError) as raised:
        write_report([tmp_path / "some.json"])
    assert "\n" not in str(raised.value)


def test_folders_and_paths_that_hold_nothing_are_one_clear_line(tmp_path: Path, run_folder: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(MstlEdgeError, match="a run folder, a study, or the JSON file"):
            write_report([path])
    with pytest.raises(MstlEdgeError, match="Name its folder: mstl-edge report"):
        write_report([run_folder / "metrics.json"])


def test_a_study_without_arms_or_curve_is_handled(study_folder: Path) -> None:
    path = study_folder / "study.json"
    tree = json.loads(path.read_text())
    del tree["learning_curve"]
    tree["comparisons"] = []
    path.write_text(json.dumps(tree))
    assert "--learning-curve" in write_report([study_folder]).missing[0]
    path.write_text(json.dumps({**tree, "arms": []}))
    with pytest.raises(MstlEdgeError, match="at least one arm"):
        write_report([study_folder])


def test_what_a_study_concludes_from_drawn_answers_can_be_reported(tmp_path: Path) -> None:
    from mstl_edge.schemas.study import STUDY, LearningCurve, Study
    from mstl_edge.schemas.study_plan import StudyPlan
    from mstl_edge.study.decision import Decision
    from mstl_edge.study.plan import build_arms
    from mstl_edge.study.predictions import FoldAnswers
    from mstl_edge.study.results.contenders import Contender
    from mstl_edge.study.results.tables import Table

    recipe = load_recipe("phantom")
    plan = StudyPlan(recipe=recipe, arms=build_arms(recipe, wanted=["single", "multi"]), folds=5, repeats=2)
    table, classes = Table(plan, ("ill", "well"), 0), np.arange(8) % 2

    def contender(name: str, seed: int) -> Contender:
        folds = []
        for number in range(10):
            p = np.random.default_rng((seed, number)).uniform(0, 1, 8)
            images = tuple(f"{number % 5}-{i}.png" for i in range(8))
            answers = np.where(p > 0.5, 0, 1)
            folds.append(FoldAnswers(images, classes, answers, np.stack([p, 1 - p], axis=1), Decision(1.0, 0.5), 1))
        return Contender(name, "float32", tuple(folds))

    a, b = contender("single", 1), contender("multi", 2)
    study = Study(
        arms=(table.entry(a), table.entry(b)),
        comparisons=(table.comparison(a, b),),
        learning_curve=LearningCurve(
            arms=(table.entry(a, images=20), table.entry(b, images=20)),
            comparisons=(table.comparison(a, b, images=20),),
        ),
    )
    STUDY.write(tmp_path / "study.json", study)
    text = write_report([tmp_path]).path.read_text(encoding="utf-8").replace("\u00a0", " ")
    compared = table.comparison(a, b)
    exact = " and ".join(f"{one.p:.2f}" for one in compared.mcnemar)
    assert f"Did the bridge help? Cannot tell with n = {compared.n}" in text
    assert f"exact McNemar p = {exact} in repeats 1 and 2" in text
    assert "single/float32" in text


def test_a_benchmark_without_times_or_accuracy_still_gives_a_table(bench_file: Path) -> None:
    tree = json.loads(bench_file.read_text())
    tree["host"]["emulated"] = "qemu"
    for row in tree["results"]:
        row |= {"latency_ms": None, "accuracy": None}
    bench_file.write_text(json.dumps(tree))
    written = write_report([bench_file])
    assert written.missing[0].startswith("accuracy against latency")
    assert "emulated, qemu" in written.path.read_text(encoding="utf-8")


def test_a_single_class_among_the_test_images_leaves_out_its_roc(run_folder: Path) -> None:
    predictions = run_folder / "stages" / "bridge" / "predictions.csv"
    predictions.write_text(predictions.read_text().replace(",test,pneumonia,", ",test,normal,"))
    assert write_report([run_folder]).path.is_file()


def test_three_classes_are_drawn(run_folder: Path) -> None:
    shutil.rmtree(run_folder / "exports")
    labels = ["a", "b", "c"]
    tree = json.loads((run_folder / "metrics.json").read_text())
    tree["stages"] = tree["stages"][-1:]
    tree["stages"][0] |= {"labels": labels, "positive": "c"}
    (run_folder / "metrics.json").write_text(json.dumps(tree))
    drawn = np.random.default_rng(1).dirichlet((1, 1, 1), 30)
    rows = ["image,split,label,a,b,c"]
    rows += [f"{i}.png,test,{labels[i % 3]},{','.join(f'{p:.6f}' for p in row)}" for i, row in enumerate(drawn)]
    (run_folder / "stages" / "target" / "predictions.csv").write_text("\n".join(rows) + "\n")
    assert 'class="confusion"' in write_report([run_folder]).path.read_text(encoding="utf-8")


def test_a_picture_is_a_whole_png(answerable: Path) -> None:
    import base64
    import io
    import re

    shown = write_report([answerable], with_images=True).path.read_text(encoding="utf-8")
    encoded = re.search(r"base64,([A-Za-z0-9+/=]+)", shown)
    assert encoded is not None
    with Image.open(io.BytesIO(base64.b64decode(encoded[1]))) as image:
        assert image.size == (128, 128)
