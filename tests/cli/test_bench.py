from __future__ import annotations

import csv
import inspect
import io
import json
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from mstl_edge import storage
from mstl_edge.errors import GateRefusedError, MstlEdgeError
from mstl_edge.schemas.bench import Conditions
from mstl_edge.schemas.bench_reading import read_report
from mstl_edge_bench import bench as bench_module
from mstl_edge_bench.timing import latency, subjects
from mstl_edge_bench.timing.measure import Surroundings
from mstl_edge_cli.commands import bench


@pytest.fixture
def models(exported: Callable[[str], Path]) -> tuple[Path, Path]:
    return exported("tiny_float32"), exported("tiny_int8")


@pytest.fixture
def call(models: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Call the command on the twins; each look at the clock takes `ms`, and no process is started.

    `growth` makes each look take that much longer than the one before; `ends` is raised by the second fresh process.
    """

    def probe(model: Path, kind: str, threads: int) -> dict[str, float]:
        steps = ("load", "allocate", "first_inference", "imported", "peak", "median")
        return {f"{step}{unit}": 1.0 for step in steps for unit in ("_ms", "_rss_bytes")}

    genuine = bench_module.run_bench

    def run(*arguments: object, ms: float = 1.0, growth: float = 1.0, ends: BaseException | None = None) -> Result:
        looks, processes = count(), count(1)

        def now_ns() -> int:
            look = next(looks)
            return int(ms * 1e6 * (look if growth == 1.0 else (growth**look - 1) / (growth - 1)))

        def start(model: Path, kind: str, threads: int) -> dict[str, float]:
            if ends is not None and next(processes) == 2:
                raise ends
            return probe(model, kind, threads)

        around = Surroundings(clock=now_ns, conditions=Conditions, probe=start)
        monkeypatch.setattr(bench_module, "run_bench", partial(genuine, around=around))
        monkeypatch.setattr(subjects, "ENCODED_SIZE", 48)
        subjects.encoded_image.cache_clear()
        app = typer.Typer(rich_markup_mode=None)
        app.callback()(lambda: None)
        bench.register(app)
        named = [] if "nothing" in arguments else [str(path) for path in models]
        given = [str(argument) for argument in arguments if argument != "nothing"]
        return CliRunner().invoke(app, ["bench", *named, "--repeats", "20", "--threads", "1", *given])

    return run


Call = Callable[..., Result]


@pytest.fixture
def labelled(tmp_path: Path, picture: Callable[[Path, int], Path]) -> Path:
    for seed in range(4):
        picture(tmp_path / "data" / "normal" / f"{seed}.png", seed)
        picture(tmp_path / "data" / "hemorrhage" / f"{seed}.png", 100 + seed)
    return tmp_path / "data"


def test_the_table_a_person_reads_says_why_and_how_many_images(call: Call, labelled: Path) -> None:
    result = call("--data", labelled)
    assert result.exit_code == 0
    assert "accuracy: all images of data" in result.stdout
    assert "XNNPACK runs 5 of 6 operators" in result.stdout
    assert ", 8" in result.stdout
    assert len(result.stdout.splitlines()) <= 15
    assert "McNemar p =" in result.stdout
    assert "runtime: LiteRT" in result.stderr


def test_all_tables_are_shown_where_they_are_asked_for(call: Call, labelled: Path) -> None:
    short, full = (call("--data", labelled, *more).stdout for more in ((), ("-v",)))
    for column in ("p99", "sensitivity %", "peak MB"):
        assert column in full
        assert column not in short
    assert "of the float model's size" in full


def test_times_that_do_not_settle_are_said_to_be_invalid_on_the_terminal_in_json_and_in_the_report(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mstl_edge.report import write_report

    result = call("--patience", "0", "--out", tmp_path / "bench.json", growth=1.002)
    (first, *others) = json.loads((tmp_path / "bench.json").read_text())["results"]
    assert [row["valid"] for row in (first, *others)] == [False, False]
    spread = f"({100 * first['latency_ms']['spread']:.0f} %)"
    shown = next(line for line in result.stdout.splitlines() if line.startswith("tiny_float32"))
    assert "~" in shown
    assert spread in shown
    assert shown.split()[-1] == "no"
    assert "no speed-up, since the times of tiny_float32.tflite and tiny_int8.tflite are not valid" in result.stdout
    assert "note: invalid (~): medians of the blocks differ by" in result.stderr
    assert "latency, 1 thread: 5 blocks taken, which do not agree" in result.stderr
    text = write_report([tmp_path / "bench.json"]).path.read_text(encoding="utf-8").replace("\u00a0", " ")
    assert spread in text
    assert "no time of an int8 file is valid" in text
    for said in (result.stdout, text):
        assert "times as fast" not in said
        assert "times slower" not in said
        assert "answers in" not in said


def test_how_long_blocks_are_added_is_said_and_bounded_by_the_option(call: Call) -> None:
    result = call("--patience", "2.5", growth=1.002)
    assert "adding blocks until they agree, for at most 2.5 s" in result.stderr
    assert "blocks taken, for 2.5 s beyond the first 5, and no 5 in a row agree" in result.stderr
    default = inspect.signature(bench.bench).parameters["patience"].default
    assert f"for at most {default:g} s" in call(growth=1.002).stderr
    assert default == latency.PATIENCE_S
    wrong = call("--patience", "-1")
    assert "expected --patience from 0 to 86400 seconds" in str(wrong.exception)


@pytest.mark.parametrize("ended", [KeyboardInterrupt(), MstlEdgeError("a fresh process that loads a model")])
def test_what_an_earlier_benchmark_left_outlives_one_that_ends_midway(
    call: Call, tmp_path: Path, ended: BaseException
) -> None:
    files = ("--out", tmp_path / "out.json", "--pytest-benchmark", tmp_path / "p.json")
    assert call(*files).exit_code == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    result = call(*files, ends=ended)
    assert result.exit_code != 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_stdout_that_takes_nothing_does_not_cost_the_report_that_was_measured(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(bench, "print_report", full)
    result = call("--out", tmp_path / "out.json")
    assert isinstance(result.exception, OSError)
    assert len(read_report(tmp_path / "out.json").results) == 2


def test_json_goes_to_stdout_and_to_a_file_alike(call: Call, labelled: Path, tmp_path: Path) -> None:
    result = call("--data", labelled, "--json", "--out", tmp_path / "out.json")
    tree = json.loads(result.stdout)
    assert tree["schema"] == "mstl-edge/bench/1"
    assert tree == json.loads((tmp_path / "out.json").read_text())
    assert read_report(tmp_path / "out.json").results[1].scheme == "int8"


def test_csv_and_markdown_are_offered(call: Call) -> None:
    assert len(list(csv.DictReader(io.StringIO(call("--csv").stdout)))) == 2
    assert "| ---: |" in call("--markdown").stdout


def test_a_pytest_benchmark_file_is_written(call: Call, tmp_path: Path) -> None:
    assert call("--pytest-benchmark", tmp_path / "p.json").exit_code == 0
    names = {entry["name"] for entry in json.loads((tmp_path / "p.json").read_text())["benchmarks"]}
    assert "inference[tiny-int8-litert-1]" in names


def test_a_baseline_that_was_as_fast_passes_and_a_faster_one_exits_with_3(call: Call, tmp_path: Path) -> None:
    baseline = tmp_path / "baseline.json"
    call("--out", baseline)
    gate = ("--compare", baseline, "--fail-on", "latency:10%")
    same = call(*gate)
    assert same.exit_code == 0
    assert "within tolerance" in same.stderr
    slower = call(*gate, ms=2.0)
    assert isinstance(slower.exception, GateRefusedError)
    assert slower.exception.exit_code == 3
    assert "latency +100.0%" in str(slower.exception)


def test_a_comparison_without_a_gate_only_tells(call: Call, tmp_path: Path) -> None:
    baseline = tmp_path / "baseline.json"
    call("--out", baseline)
    result = call("--compare", baseline, ms=2.0)
    assert result.exit_code == 0
    assert "latency +100.0% (+94.1% to +106.1%): worse" in result.stderr


def test_what_cannot_be_decided_is_said_and_exits_with_0(call: Call, tmp_path: Path) -> None:
    baseline = tmp_path / "baseline.json"
    call("--out", baseline)
    result = call("--compare", baseline, "--fail-on", "latency:10%", ms=1.11)
    assert result.exit_code == 0
    assert "undecided: the interval holds the tolerance of 10 %" in result.stderr


def test_the_json_holds_what_was_compared_also_where_a_gate_refuses(call: Call, tmp_path: Path) -> None:
    baseline = tmp_path / "baseline.json"
    call("--out", baseline)
    result = call("--compare", baseline, "--fail-on", "latency:10%", "--json", "--out", tmp_path / "now.json", ms=2.0)
    assert isinstance(result.exception, GateRefusedError)
    changes = json.loads(result.stdout)["changes"]
    assert [(change["what"], change["verdict"]) for change in changes] == [("latency", "regression")] * 2
    assert read_report(tmp_path / "now.json").changes[0].change == pytest.approx(1.0)


def test_a_baseline_of_another_host_is_told_before_anything_is_measured(call: Call, tmp_path: Path) -> None:
    baseline = tmp_path / "baseline.json"
    call("--out", baseline)
    tree = json.loads(baseline.read_text())
    tree["host"]["cpu"] = "another one"
    baseline.write_text(json.dumps(tree))
    result = call("--compare", baseline)
    assert "a baseline of this host" in str(result.exception)
    assert "latency" not in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("option", ["--out", "--pytest-benchmark"])
@pytest.mark.parametrize("kind", ["a folder", "a file in place of the folder"])
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_measured(
    call: Call, tmp_path: Path, option: str, kind: str
) -> None:
    (tmp_path / "file").write_text("")
    result = call(option, tmp_path if kind == "a folder" else tmp_path / "file" / "out.json")
    assert isinstance(result.exception, MstlEdgeError)
    assert option in str(result.exception)
    assert result.stdout == result.stderr == ""


def test_an_earlier_report_outlives_the_check_that_it_can_be_written(call: Call, tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text("earlier")
    call("--out", tmp_path / "out.json", "--threads", "0")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("out.json", "earlier")]


def test_a_disk_that_fills_up_while_measuring_does_not_take_the_table_along(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise MstlEdgeError(f"more space on the disk of {path}")

    monkeypatch.setattr(storage, "write_bytes", full)
    result = call("--out", tmp_path / "out.json")
    assert "more space" in str(result.exception)
    assert "speed on" in result.stdout


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSTL_EDGE_EMULATED", "1")


@pytest.mark.usefixtures("emulated")
def test_an_emulated_cpu_without_times_for_pytest_benchmark_keeps_the_report(
    call: Call, labelled: Path, tmp_path: Path
) -> None:
    files = ("--out", tmp_path / "out.json", "--pytest-benchmark", tmp_path / "p.json")
    result = call("--data", labelled, *files)
    assert "accuracy: all images of data" in result.stdout
    assert read_report(tmp_path / "out.json").results[0].accuracy is not None
    assert not (tmp_path / "p.json").exists()
    assert str(result.exception).startswith("expected times for --pytest-benchmark. Received: emulated CPU")
    assert str(result.exception).endswith("Measure on the device itself.")
    assert ".." not in str(result.exception)


@pytest.mark.usefixtures("emulated")
def test_times_that_are_missing_hide_no_loss_of_accuracy(call: Call, labelled: Path, tmp_path: Path) -> None:
    baseline = tmp_path / "baseline.json"
    call("--data", labelled, "--out", baseline)
    tree = json.loads(baseline.read_text())
    for row in tree["results"]:
        row["accuracy"] |= {"n": 800, "value": 1.0, "correct": "1" * 800, "data_sha256": "other"}
    baseline.write_text(json.dumps(tree))
    gate = ("--compare", baseline, "--fail-on", "accuracy:1pt")
    result = call("--data", labelled, *gate, "--pytest-benchmark", tmp_path / "p.json")
    assert isinstance(result.exception, GateRefusedError)


def test_an_unreadable_baseline_is_told_before_anything_is_measured(call: Call, tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text('{"schema": "mstl-edge/bench/0"}')
    result = call("--compare", tmp_path / "b.json")
    assert "a file of schema mstl-edge/bench/1" in str(result.exception)
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--threads", "0"), "--threads from 1 on"),
        (("--threads", "two"), "--threads as numbers"),
        (("--threads", "1000"), "--threads from 1 to 256"),
        (("--runtime", "onnx"), "a runtime (auto, litert"),
        (("--blocks", "3"), "--blocks of at least 5"),
        (("--data", "nowhere"), "a data source that exists"),
        (("gone.tflite",), "a model file"),
        (("--candidates",), "a run folder, or nothing, for --candidates"),
    ],
)
def test_wrong_input_is_one_clear_line(call: Call, arguments: tuple[str, ...], message: str) -> None:
    result = call(*arguments)
    assert isinstance(result.exception, MstlEdgeError)
    assert f"expected {message}" in str(result.exception)
    assert "\n" not in str(result.exception)


@pytest.mark.parametrize("arguments", [("--json", "--csv"), ("--fail-on", "latency:1%"), ("--split", "half")])
def test_options_that_do_not_go_together_are_a_usage_error(call: Call, arguments: tuple[str, ...]) -> None:
    assert call(*arguments).exit_code == 2


def test_no_run_and_no_model_says_what_to_type(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "mstl-edge train" in str(call("nothing").exception)


def test_no_runtime_says_which_command_installs_one(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from mstl_edge.runtime import choice

    monkeypatch.setattr(choice, "installed", lambda kind: False)
    assert "pip install" in str(call().exception)
