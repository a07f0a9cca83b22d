from __future__ import annotations

import json
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mstl_edge.errors import ArtifactError, DataError, MstlEdgeError, RunError
from mstl_edge.progress import Silent
from mstl_edge.schemas import bench as schema
from mstl_edge.schemas.bench import BenchReport, Conditions, encode_report
from mstl_edge.schemas.bench_reading import read_report
from mstl_edge_bench import loaded
from mstl_edge_bench.bench import BenchPlan, run_bench
from mstl_edge_bench.compare.comparison import compare_models
from mstl_edge_bench.lineup import line_up
from mstl_edge_bench.machine.delegate import Coverage
from mstl_edge_bench.machine.host import describe_host
from mstl_edge_bench.output.pytest_benchmark import to_pytest_benchmark
from mstl_edge_bench.timing import subjects
from mstl_edge_bench.timing.measure import Surroundings
from mstl_edge_bench.timing.startup import measure_startup, run_probe

Bench = Callable[..., BenchReport]
NOTHING = {"value": 0.0, "low": 0.0, "high": 1.0}
REFUSED = {
    "verdict": "refused",
    "reasons": ["labels agree on too few images"],
    "drop": NOTHING,
    "mcnemar": {"a_only": 0, "b_only": 0, "p": 1.0},
    "agreement": {"n": 10, "agreement": NOTHING, "largest_difference": 0.0, "mean_difference": 0.0},
}
"""What an export gate says of a candidate."""
World = Callable[..., Surroundings]


def test_every_number_the_schema_promises_is_there(bench: Bench, labelled: Path) -> None:
    report = json.loads(encode_report(bench(data=str(labelled))))
    assert report["schema"] == "mstl-edge/bench/1"
    assert [row["scheme"] for row in report["results"]] == ["float32", "int8"]
    for row in report["results"]:
        assert {"median", "p90", "p99", "mean", "std", "min", "max", "raw"} <= row["latency_ms"].keys()
        assert len(row["latency_ms"]["raw"]) == 100
        assert {"n", "value", "low", "high"} <= row["accuracy"].keys()
        assert row["accuracy"]["n"] == 24
        assert row["parameters"] > 0
        assert row["macs"] > 0
        assert row["peak_rss_bytes"] == 50_000_000
        assert row["startup"]["load_rss_bytes"] == 1_000_000
        assert (row["valid"], row["invalid_because"]) == (True, None)
        assert row["golden_lsb"] is not None
    assert {"speedup", "agreement", "accuracy_drop"} <= report["comparison"].keys()
    assert 0.9 < report["comparison"]["speedup"] < 1.1


def test_a_report_survives_its_file(bench: Bench, labelled: Path, tmp_path: Path) -> None:
    report = bench(data=str(labelled))
    (tmp_path / "a.json").write_bytes(encode_report(report))
    assert read_report(tmp_path / "a.json") == report


def test_every_field_of_the_schema_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "bench-schema.md").read_text(encoding="utf-8")
    structs = [
        value for value in vars(schema).values() if isinstance(value, type) and issubclass(value, msgspec.Struct)
    ]
    fields = {field for struct in structs for field in struct.__struct_fields__}
    assert [field for field in sorted(fields) if f"`{field}`" not in page] == []


def test_each_number_of_threads_gets_its_rows_and_its_reason(bench: Bench) -> None:
    report = bench(threads=(1, 2))
    assert [(row.scheme, row.threads) for row in report.results] == [
        ("float32", 1),
        ("int8", 1),
        ("float32", 2),
        ("int8", 2),
    ]
    assert report.comparison is not None
    assert [at.threads for at in report.comparison.by_threads] == [1, 2]
    assert all("XNNPACK runs 5 of 6 operators" in at.because for at in report.comparison.by_threads)


def test_int8_and_float_are_paired_on_the_same_images(bench: Bench, labelled: Path) -> None:
    report = bench(data=str(labelled))
    compared = report.comparison
    assert compared is not None
    rights = [row.accuracy.correct for row in report.results if row.accuracy]
    float_only = sum(a == "1" and b == "0" for a, b in zip(*rights, strict=True))
    int8_only = sum(a == "0" and b == "1" for a, b in zip(*rights, strict=True))
    assert (compared.float_only_correct, compared.quantized_only_correct) == (float_only, int8_only)
    assert compared.accuracy_drop == pytest.approx((float_only - int8_only) / 24)
    assert compared.agreement == pytest.approx(1 - (float_only + int8_only) / 24)
    assert len({row.accuracy.data_sha256 for row in report.results if row.accuracy}) == 1


def test_an_emulated_cpu_keeps_its_times_to_itself(bench: Bench, around: World, labelled: Path) -> None:
    def never(*arguments: object) -> Any:
        raise AssertionError("nothing is timed on an emulated CPU")

    emulated = msgspec.structs.replace(describe_host(), emulated="the process runs in qemu-aarch64")
    report = bench(around(host=lambda: emulated, clock=never, probe=never), data=str(labelled))
    for row in report.results:
        assert (row.latency_ms, row.end_to_end_ms, row.startup, row.peak_rss_bytes) == (None, None, None, None)
        assert not row.valid
        assert "emulated CPU (the process runs in qemu-aarch64)" in str(row.invalid_because)
        assert row.accuracy is not None
    assert report.comparison is not None
    assert report.comparison.speedup is None
    assert report.comparison.agreement is not None


def test_a_run_that_was_throttled_is_marked_invalid(bench: Bench, around: World) -> None:
    calm = Conditions(throttled=0)
    readings = iter([calm] * 6 + [Conditions(throttled=0x4)])
    report = bench(around(conditions=lambda: next(readings)))
    assert not any(row.valid for row in report.results)
    assert "throttling while measuring" in str(report.results[0].invalid_because)
    assert report.results[0].latency_ms is not None


def test_times_that_never_settle_are_invalid_and_give_no_speedup(
    bench: Bench, around: World, drifting: type[Any], tmp_path: Path
) -> None:
    report = bench(around(clock=drifting()))
    for row in report.results:
        assert not row.valid
        assert row.latency_ms is not None
        assert row.latency_ms.stable is False
        assert "medians of the blocks differ by" in str(row.invalid_because)
        assert len(row.block_medians_ms) > row.latency_ms.blocks == 5
    assert report.comparison is not None
    assert (report.comparison.speedup, report.comparison.by_threads) == (None, ())
    assert report.comparison.not_compared == (
        "1 thread: no speed-up, since the times of tiny_float32.tflite and tiny_int8.tflite are not valid",
    )
    (note,) = [note for note in report.notes if "blocks taken" in note]
    assert note.startswith(
        f"latency, 1 thread: {len(report.results[0].block_medians_ms)} blocks taken, for 30 s beyond the first 5"
    )
    (tmp_path / "bench.json").write_bytes(encode_report(report))
    assert read_report(tmp_path / "bench.json") == report


def test_times_that_settle_late_are_valid_and_it_is_said_how_many_blocks_that_took(
    twins: tuple[Path, Path], around: World, drifting: type[Any]
) -> None:
    told: list[str] = []
    report = run_bench(
        BenchPlan(models=twins, repeats=20, warmup_ms=5.0),
        around=around(clock=drifting(looks=900)),
        reporter=Told(told),
    )
    taken = len(report.results[0].block_medians_ms)
    assert taken > 5
    for row in report.results:
        assert (row.valid, row.invalid_because) == (True, None)
        assert row.latency_ms is not None
        assert (row.latency_ms.stable, row.latency_ms.blocks) == (True, 5)
        assert len(row.between) == 4
    said = f"latency, 1 thread: {taken} blocks taken, until the last 5 agreed; those count"
    assert said in report.notes
    assert [line for line in told if "adding blocks" in line or "blocks taken" in line] == [
        next(line for line in told if "adding blocks until they agree, for at most 30 s" in line),
        said,
    ]
    assert report.comparison is not None
    assert report.comparison.speedup is not None


class Told(Silent):
    """A reporter that keeps what it is told."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def say(self, message: str) -> None:
        self._lines.append(message)


def test_without_patience_no_blocks_are_added(bench: Bench, around: World, drifting: type[Any]) -> None:
    report = bench(around(clock=drifting()), patience_s=0)
    assert {len(row.block_medians_ms) for row in report.results} == {5}
    assert report.protocol.patience_s == 0
    assert "latency, 1 thread: 5 blocks taken, which do not agree" in report.notes


def test_a_speedup_takes_valid_times_of_both_models_and_is_left_out_at_the_other_numbers_of_threads(
    bench: Bench, tmp_path: Path
) -> None:
    report = bench(threads=(1, 2))
    spoiled = msgspec.structs.replace(report.results[1], valid=False, invalid_because="x")
    rows = (report.results[0], spoiled, *report.results[2:])
    (compared,) = compare_models(rows, {row.model: Coverage(6, 5) for row in rows}, {}, report.host)
    assert compared.speedup is None
    assert [at.threads for at in compared.by_threads] == [2]
    assert compared.not_compared == ("1 thread: no speed-up, since the times of tiny_int8.tflite are not valid",)
    whole = msgspec.structs.replace(report, results=rows, comparison=compared, comparisons=(compared,))
    (tmp_path / "bench.json").write_bytes(encode_report(whole))
    assert read_report(tmp_path / "bench.json") == whole


def test_the_machine_is_looked_at_after_every_block(bench: Bench, around: World) -> None:
    steady, slow = Conditions(clock_mhz=1800.0), Conditions(clock_mhz=1500.0)
    readings = iter([steady, steady, steady, slow, steady, steady, steady])
    report = bench(around(conditions=lambda: next(readings)))
    for row in report.results:
        assert (row.before, row.between, row.after) == (steady, (steady, slow, steady, steady), steady)
        assert "clock between 1500 and 1800 MHz" in str(row.invalid_because)


def test_a_model_without_a_card_is_timed_and_says_what_it_cannot_know(
    models: Path, bench: Bench, labelled: Path
) -> None:
    report = bench(models=(models / "tiny_int8.tflite",), data=str(labelled))
    (row,) = report.results
    assert row.latency_ms is not None
    assert (row.accuracy, row.decode_resize_ms, row.end_to_end_ms) == (None, None, None)
    assert (row.scheme, row.unknown) == ("int8", ("labels", "preprocessing", "threshold", "accuracy"))
    assert report.notes == (
        "accuracy: not measured, since a file without a card tells neither labels nor preprocessing",
    )


def test_a_model_that_is_no_classifier_is_one_clear_line(models: Path, bench: Bench) -> None:
    with pytest.raises(ArtifactError, match=r"expected an image classifier.* Received: not_a_classifier\.tflite"):
        bench(models=(models / "not_a_classifier.tflite",))


def test_no_model_is_held_twice_in_memory(
    bench: Bench, around: World, labelled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[weakref.ref[Any]] = []
    genuine = loaded.load_runtime

    def load(*arguments: Any, **options: Any) -> Any:
        runtime = genuine(*arguments, **options)
        made.append(weakref.ref(runtime))
        return runtime

    held: list[int] = []

    def probe(model: Path, kind: str, threads: int) -> dict[str, float]:
        held.append(sum(reference() is not None for reference in made))
        return around().probe(model, kind, threads)  # type: ignore[arg-type]

    monkeypatch.setattr(loaded, "load_runtime", load)
    bench(around(probe=probe), data=str(labelled), threads=(1, 2))
    assert len(made) == 2 * 3
    assert set(held) == {2}


def test_labels_that_the_model_does_not_have_are_one_clear_line(
    bench: Bench, tmp_path: Path, picture: Callable[[Path, int], Path]
) -> None:
    for number, label in enumerate(("cat", "Normal")):
        picture(tmp_path / "data" / label / "a.png", number)
    with pytest.raises(
        DataError, match=r"labels that tiny_float32\.tflite has \(normal, hemorrhage\)\. Received: cat\."
    ):
        bench(data=str(tmp_path / "data"))


def test_unreadable_images_are_counted_and_named(bench: Bench, labelled: Path) -> None:
    (labelled / "normal" / "broken.png").write_bytes(b"no image")
    report = bench(data=str(labelled))
    assert [(row.accuracy.n, row.accuracy.unreadable) for row in report.results if row.accuracy] == [(24, 1), (24, 1)]
    assert any("broken.png" in note for note in report.notes)


def test_only_unreadable_images_are_one_clear_line(bench: Bench, tmp_path: Path) -> None:
    for label in ("normal", "hemorrhage"):
        (tmp_path / "data" / label).mkdir(parents=True)
        (tmp_path / "data" / label / "a.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"images that can be read\. Received: none of 2"):
        bench(data=str(tmp_path / "data"))


def test_a_declared_test_folder_is_preferred(
    bench: Bench, tmp_path: Path, picture: Callable[[Path, int], Path]
) -> None:
    for part, count in (("train", 4), ("test", 3)):
        for seed in range(count):
            for number, label in enumerate(("normal", "hemorrhage")):
                picture(tmp_path / "data" / part / label / f"{seed}.png", 10 * seed + number)
    source = str(tmp_path / "data")
    counted = {split: bench(data=source, split=split).results[0].accuracy for split in ("auto", "test", "all")}
    assert {split: found.n for split, found in counted.items() if found} == {"auto": 6, "test": 6, "all": 14}
    assert counted["auto"] is not None
    assert counted["auto"].data == "test folder of data"


def test_a_source_without_a_test_folder_says_so(bench: Bench, labelled: Path) -> None:
    with pytest.raises(DataError, match=r"a test/ folder in the data.*--split all"):
        bench(data=str(labelled), split="test")
    assert any("trained on flatter it" in note for note in bench(data=str(labelled)).notes)


@pytest.mark.parametrize("threads", [(0,), (-1, 2), ()])
def test_zero_threads_are_one_clear_line(bench: Bench, threads: tuple[int, ...]) -> None:
    with pytest.raises(MstlEdgeError, match="expected --threads from 1 on"):
        bench(threads=threads)


def test_a_model_named_twice_is_one_clear_line(bench: Bench, twins: tuple[Path, Path]) -> None:
    with pytest.raises(MstlEdgeError, match="each model once"):
        bench(models=(twins[0], twins[0]))


def test_no_report_names_a_place_on_this_machine(bench: Bench, labelled: Path) -> None:
    assert str(labelled.parent) not in encode_report(bench(data=str(labelled))).decode()


def plain(**plan: Any) -> BenchPlan:
    return BenchPlan(**{"repeats": 20, "warmup_ms": 5.0, **plan})


def test_without_arguments_the_latest_export_meets_its_float_twin_on_the_runs_test_split(
    finished_run: Path, around: World
) -> None:
    report = run_bench(plain(), around=around())
    assert [row.model for row in report.results] == ["tiny_float32.tflite", "tiny_int8.tflite"]
    accuracy = report.results[0].accuracy
    assert accuracy is not None
    assert (accuracy.n, accuracy.data) == (10, "test split of stage target (data)")


def test_a_model_inside_a_run_is_scored_on_that_runs_test_split(finished_run: Path, around: World) -> None:
    report = run_bench(plain(models=(finished_run / "exports" / "tiny_int8.tflite",)), around=around())
    assert report.results[0].accuracy is not None
    assert report.results[0].accuracy.n == 10
    assert report.comparison is None


def test_a_test_split_that_is_gone_is_a_note_where_nobody_asked_for_it(
    finished_run: Path, around: World, labelled: Path
) -> None:
    labelled.rename(labelled.with_name("elsewhere"))
    report = run_bench(plain(), around=around())
    assert report.results[0].accuracy is None
    assert "test split is not at hand" in report.notes[0]


def test_a_test_image_that_changed_is_one_clear_line(
    finished_run: Path, around: World, labelled: Path, picture: Callable[[Path, int], Path]
) -> None:
    picture(labelled / "normal" / "1.png", 999)
    with pytest.raises(DataError, match=r"test images as they were.*1\.png with other content"):
        run_bench(plain(), around=around())


def test_a_run_without_an_export_says_what_to_type(finished_run: Path) -> None:
    (finished_run / "exports" / "export.json").unlink()
    with pytest.raises(RunError, match=r"a run with exported models.*mstl-edge export"):
        run_bench(plain(models=(finished_run,)))


def test_candidates_are_measured_beside_what_the_export_chose(
    finished_run: Path, with_candidates: Callable[..., None], around: World
) -> None:
    with_candidates(gate=REFUSED)
    report = run_bench(plain(candidates=True), around=around())
    assert [(row.model, row.scheme, row.candidate) for row in report.results] == [
        ("tiny_float32.tflite", "float32", None),
        ("tiny_int8.tflite", "int8", None),
        ("tiny-int8-ptq.tflite", "int8", "int8-ptq"),
    ]
    assert [compared.model for compared in report.comparisons] == ["tiny_int8.tflite", "tiny-int8-ptq.tflite"]
    assert all(row.accuracy is not None and row.accuracy.n == 10 for row in report.results)
    assert "tiny-int8-ptq.tflite: a candidate that the gate refused" in report.notes
    names = [entry["name"] for entry in to_pytest_benchmark(report)["benchmarks"]]
    assert len(set(names)) == len(names)


def test_candidates_stay_out_unless_they_are_asked_for(
    finished_run: Path, with_candidates: Callable[..., None], around: World
) -> None:
    with_candidates()
    assert len(run_bench(plain(), around=around()).results) == 2


def test_candidates_of_files_are_one_clear_line(bench: Bench) -> None:
    with pytest.raises(MstlEdgeError, match=r"a run folder, or nothing, for --candidates\. Received: .*tiny_float32"):
        bench(candidates=True)


def test_a_damaged_summary_of_an_export_says_how_to_make_it_anew(finished_run: Path) -> None:
    (finished_run / "exports" / "export.json").write_text('{"schema": ')
    with pytest.raises(RunError, match=r"a JSON file that is whole.*Export it: mstl-edge export"):
        line_up([finished_run])


def test_an_export_that_the_gate_refused_says_so_and_what_to_type(finished_run: Path) -> None:
    file = finished_run / "exports" / "export.json"
    refused = {
        "model": None,
        "chosen": None,
        "verdict": "refused",
        "candidates": [{"scheme": "int8-ptq", "path": None}],
    }
    file.write_text(json.dumps({**json.loads(file.read_text()), **refused}))
    with pytest.raises(RunError) as told:
        run_bench(plain(models=(finished_run,)))
    assert told.value.exit_code == 1
    assert f"Received: {finished_run}, whose int8 candidates the gate refused." in str(told.value)
    assert f"mstl-edge export {finished_run} --int8 --max-drop 5" in str(told.value)
    assert f"mstl-edge bench {finished_run / 'exports' / 'tiny_float32.tflite'}" in str(told.value)
    file.write_text(json.dumps({"schema": "mstl-edge/export/1", "float_model": None, **refused}))
    with pytest.raises(RunError, match="whose int8 candidates the gate refused"):
        run_bench(plain(models=(finished_run,)))


def test_no_run_at_all_says_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match="mstl-edge train"):
        run_bench(plain())


def test_a_fresh_process_tells_what_loading_costs(twins: tuple[Path, Path]) -> None:
    found = measure_startup(twins[1], "litert", 1, processes=1, probe=run_probe)
    assert found.load_ms > 0
    assert found.first_inference_ms > 0
    assert found.peak_rss_bytes > found.imported_rss_bytes > 10_000_000
    assert [median > 0 for median in found.process_medians_ms] == [True]


def test_a_fresh_process_that_fails_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(MstlEdgeError, match=r"a fresh process that loads gone\.tflite"):
        run_probe(tmp_path / "gone.tflite", "litert", 1)


def test_parameters_that_the_last_stage_trained_are_counted_from_the_card(tiny_card: Callable[..., Any]) -> None:
    from mstl_edge.artifact import Artifact, KernelFacts, inspect_flatbuffer
    from mstl_edge_bench.lineup import trainable_parameters
    from mstl_edge_models.backbones import REGISTRY

    names = REGISTRY["mobilenet_v1"].cut_names("1.0")
    card = tiny_card("tiny_int8")
    first = card.recipe["stages"][-1]["unfreeze_from"]
    flatbuffer = (Path(__file__).parents[1] / "data" / "models" / "tiny_int8.tflite").read_bytes()
    kernels = tuple(KernelFacts(str(n), "CONV_2D", "int8", (2, 1, 1, 3), True, ()) for n in range(len(names)))
    facts = msgspec.structs.replace(inspect_flatbuffer(flatbuffer), kernels=kernels, parameters=8 * len(kernels))
    artifact = Artifact(None, flatbuffer, facts, card, ())
    assert trainable_parameters(artifact) == 8 * (len(kernels) - names.index(first))
    assert trainable_parameters(Artifact(None, flatbuffer, facts, None, ())) is None


def test_the_benchmarks_import_no_tensorflow(twins: tuple[Path, Path]) -> None:
    code = """
import sys
import mstl_edge_bench.bench, mstl_edge_bench.output.tables, mstl_edge_bench.output.pytest_benchmark
import mstl_edge_bench.compare.regression
import mstl_edge_cli.commands.bench
print(sorted(name for name in ("tensorflow", "tf_keras", "keras", "scipy", "sklearn") if name in sys.modules))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
    assert subjects.ENCODED_SIZE == 512
