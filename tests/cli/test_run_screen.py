"""`mstl-edge run` ends once for all that it did, and says how to go on where it is interrupted, whatever it was doing."""

from __future__ import annotations

import types
from pathlib import Path

import pytest

from mstl_edge.errors import GateRefusedError
from mstl_edge.recipe import load_recipe
from mstl_edge.runs import RunFolder, create_run
from mstl_edge.schemas.bench_reading import read_report
from mstl_edge.schemas.export import EXPORT
from mstl_edge.schemas.metrics import METRICS
from mstl_edge_cli.commands import run as command

RECORDS = Path(__file__).parents[1] / "data" / "screens"
RUN = Path("runs/a")


@pytest.fixture
def at_work(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A `run` whose work is done already."""
    record = EXPORT.read(RECORDS / "export-proven.json", hint="")
    monkeypatch.setattr(command, "start_run", lambda *_, **__: RunFolder(RUN))
    monkeypatch.setattr(command, "trained", lambda *_, **__: METRICS.read(RECORDS / "metrics.json", hint=""))
    monkeypatch.setattr(command, "_exported", lambda *_: (record, None))
    monkeypatch.setattr(command, "_bench", lambda *_: read_report(RECORDS / "bench.json"))
    monkeypatch.setattr(
        "mstl_edge.report.write_report", lambda *_, **__: types.SimpleNamespace(path=RUN / "report.html")
    )
    return monkeypatch


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_run_ends_with_verdict_scores_size_time_files_and_the_next_command(mstl_edge, at_work) -> None:
    ended = mstl_edge("run")
    assert ended.exit_code == 0
    told = ended.stdout
    for said in (
        "proven: int8 costs",
        "float32  90.6 %",
        "int8     90.6 %",
        "350 kB",
        "8.93 ms on 1 thread",
        "runs/a",
        "report.html",
    ):
        assert said in told
    assert "next: mstl-edge predict runs/a IMAGE" in ended.stderr
    assert "candidates:" not in told
    assert "candidates:" in mstl_edge("run", "-v").stdout


def test_a_refused_run_names_its_report_and_leaves_the_next_word_to_the_error(mstl_edge, at_work) -> None:
    record = EXPORT.read(RECORDS / "export-refused.json", hint="")
    refusal = GateRefusedError("an int8 model", received="none", hint="Set other bounds.")
    at_work.setattr(command, "_exported", lambda *_: (record, refusal))
    create_run(load_recipe("ct-hemorrhage-lite"), RUN, versions={})
    ended = mstl_edge("run")
    assert ended.exit_code == 3
    assert "refused: ptq: labels agree" in ended.stdout
    assert "report.html" in ended.stdout
    assert "next:" not in ended.stderr
    assert "the float32 model is there: runs/a/exports" in ended.stderr
    assert "  mstl-edge run runs/a/recipe.toml --set quantize.epochs=9\n" in ended.stderr
    assert "  mstl-edge run runs/a/recipe.toml --backbone mobilenet_v1:0.5\n" in ended.stderr
    assert ended.stderr.splitlines()[-1].endswith("Set other bounds.")


@pytest.mark.parametrize(
    ("network", "wider"),
    [
        ("mobilenet_v1:0.25", "0.5"),
        ("mobilenet_v1:0.33", "0.5"),
        ("mobilenet_v1:1.0", ""),
        ("mobilenet_v2:1.4", ""),
        ("mobilenet_v3:large", ""),
        ("mobilenet_v3:small", ""),  # large has other cut points
        ("shufflenet_v2:1.5", ""),
    ],
)
def test_what_is_offered_as_wider_has_more_parameters_and_the_same_cut_points(network: str, wider: str) -> None:
    assert command._next_wider(*network.split(":")) == wider


@pytest.mark.parametrize("where", ["_exported", "_bench"])
def test_a_run_that_is_interrupted_after_training_goes_on_by_run(mstl_edge, at_work, where: str) -> None:
    at_work.setattr(command, where, interrupted)
    ended = mstl_edge("run")
    assert ended.exit_code == 130
    assert ended.stderr.splitlines()[-1] == "stopped; go on with: mstl-edge run --resume runs/a"


@pytest.mark.parametrize("name", ["run", "train"])
def test_training_that_is_interrupted_goes_on_by_the_command_that_was_typed(mstl_edge, monkeypatch, name: str) -> None:
    from mstl_edge import training
    from mstl_edge_cli.commands import train

    pipeline = types.SimpleNamespace(train=interrupted)
    monkeypatch.setattr(training, "pipeline", pipeline, raising=False)
    for module in (command, train):
        monkeypatch.setattr(module, "start_run", lambda *_, **__: RunFolder(RUN))
    ended = mstl_edge(name)
    assert ended.exit_code == 130
    assert ended.stderr.splitlines()[-1] == f"stopped; go on with: mstl-edge {name} --resume runs/a"
