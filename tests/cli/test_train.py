"""`mstl-edge train`: what it prints, when it first speaks, and one line for each way it cannot."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mstl_edge.installing import install_extra

INTERVALS = ("accuracy", "sensitivity", "specificity", "auc")
WITHOUT_TENSORFLOW = """
import os, sys

shown = os.dup(2)  # the import itself is kept quiet

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "tf_keras"):
            os.write(shown, f"import of {name}\\n".encode())
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from mstl_edge_cli.app import main
sys.argv = ["mstl-edge", *sys.argv[1:]]
main()
"""


@pytest.fixture
def one_stage(mstl_edge, tiny_recipe_file: Path, draw_classes: Callable[..., Path], tmp_path: Path) -> list[object]:
    """Return arguments of a recipe whose only stage trains one epoch."""
    text = tiny_recipe_file.read_text().replace("epochs = 2", "epochs = 1")
    head, bridge, _ = text.split("[[stages]]")
    path = tmp_path / "one.toml"
    path.write_text(f"{head}[[stages]]{bridge}")
    return ["train", path, "--threads", "1"]


def test_json_has_the_promised_shape_and_narration_stays_on_stderr(mstl_edge, one_stage, tmp_path):
    ended = mstl_edge(*one_stage, "--seed", "2", "--out", "run", "--json")
    assert ended.exit_code == 0
    tree = json.loads(ended.stdout)
    assert tree["schema"] == "mstl-edge/metrics/2"
    assert tree["seconds"] > 0
    assert tree["run"] == "run"
    (stage,) = tree["stages"]
    assert stage["name"] == "bridge"
    assert stage["test"]["n"] == sum(map(sum, stage["test"]["confusion"]))
    for name in INTERVALS:
        assert set(stage["test"][name]) == {"value", "low", "high"}
    on_disk = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert {**on_disk, "run": "run"} == tree
    told = ended.stderr.splitlines()
    assert told[0].endswith("one.toml; 1 stage")
    assert told[1] == "starting TensorFlow"
    assert "run: run" in told
    assert any(line.startswith("bridge: epoch 1/1 loss ") for line in told)

    resumed = mstl_edge("train", "--resume", "run")
    assert resumed.exit_code == 0
    assert "bridge: finished earlier, kept" in resumed.stderr
    assert "next: mstl-edge export run" in resumed.stderr
    assert "tiny, seed 2" in resumed.stdout
    assert json.loads((tmp_path / "run" / "metrics.json").read_text()) == on_disk

    again = mstl_edge(*one_stage, "--out", "run")
    assert again.exit_code == 1
    assert "Received: run. Go on with it by 'mstl-edge train --resume run', or choose another --out." in again.stderr


def test_it_speaks_before_tensorflow_is_imported_and_says_how_to_install_it(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, "train", "--out", "run"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert ended.returncode == 1
    lines = ended.stderr.splitlines()
    assert lines[:3] == ["recipe: phantom (default); 2 stages", "starting TensorFlow", "import of tensorflow"]
    assert lines[-1].startswith("mstl-edge: expected TensorFlow and tf-keras to train and export (tensorflow).")
    assert f"Install them with: {install_extra('train')}" in lines[-1]
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["phantm"], "Received: phantm. Did you mean phantom?"),
        (["absent.toml"], "expected a recipe file that exists. Received: absent.toml."),
        (["--set", "backbone.vriant=1"], "Received: backbone.vriant. Did you mean backbone.variant?"),
        (["--set", "backbone.name=resnet50"], "inception_v3). Received: backbone.name=resnet50. Did you mean resnet?"),
        (["--set", "stages.target.unfreeze_from=conv_dw_99"], "Received: conv_dw_99. Did you mean conv_dw_9?"),
        (["--set", "stages.tagret.epochs=1"], "Received: stages.tagret.epochs. Did you mean stages.target.epochs?"),
        (["--data", "target"], "expected --data STAGE=PATH. Received: target. For example --data target=./head-ct"),
        (["--data", "targt=x"], "Received: targt. Did you mean target?"),
        (["--resume", "nowhere"], "expected a run folder. Received: nowhere. See 'mstl-edge runs list'."),
    ],
)
def test_what_the_command_line_gets_wrong_is_one_line_before_anything_starts(mstl_edge, tmp_path, arguments, message):
    ended = mstl_edge("train", *arguments)
    assert ended.exit_code == 1
    assert message in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--data", "bridge=absent"), "Received: absent"),
        (("--data", "bridge=empty"), "expected "),
        (("--weights", "gone.h5"), "Received: gone.h5. For example --weights imagenet"),
        (("--set", "backbone.alpha=0.5"), "Use --weights imagenet, or --backbone mobilenet_v1:0.25."),
        (("--set", "stages.bridge.positive=bird"), "(cat, dog). Received: bird."),
    ],
)
def test_missing_ingredients_are_one_line_and_leave_no_run(mstl_edge, one_stage, tmp_path, change, message):
    (tmp_path / "empty").mkdir()
    ended = mstl_edge(*one_stage, *change, "--out", "run")
    assert ended.exit_code == 1
    told, *_, problem = ended.stderr.splitlines()
    assert told.endswith("one.toml; 1 stage")
    assert problem.startswith("mstl-edge: expected ")
    assert message in problem
    assert not (tmp_path / "run").exists()


def test_a_run_goes_on_by_its_own_recipe_alone(mstl_edge, tmp_path):
    from mstl_edge.recipe import load_recipe
    from mstl_edge.runs import create_run

    create_run(load_recipe("phantom"), tmp_path / "run", versions={})
    for change in (["ct-hemorrhage"], ["--seed", "0"], ["--weights", "none"], ["--resplit"], ["--out", "other"]):
        ended = mstl_edge("train", *change, "--resume", "run")
        assert ended.exit_code == 1
        assert "mstl-edge train --resume run" in ended.stderr
    (tmp_path / "run" / "run.json").write_text('{"schema": "mstl-edge/run/0"}')
    ended = mstl_edge("train", "--resume", "run")
    assert ended.exit_code == 1
    assert "Received: run (mstl-edge/run/0). Train again: mstl-edge train run/recipe.toml" in ended.stderr


def test_a_disk_that_fills_up_is_one_line_and_leaves_no_torn_file(mstl_edge, one_stage, tmp_path, monkeypatch):
    from mstl_edge import storage

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        ended = mstl_edge(*one_stage, "--out", "early")
        assert ended.exit_code == 1
        assert "expected more space on the disk of early/splits/bridge.json. Received: " in ended.stderr
        assert not (tmp_path / "early").exists()
    with monkeypatch.context() as patch:
        patch.setattr(storage.RowStore, "_commit", staticmethod(full))
        ended = mstl_edge(*one_stage, "--out", "run")
        assert ended.exit_code == 1
        assert "Free some, try 'mstl-edge runs clean', or set MSTL_EDGE_CACHE" in ended.stderr
    assert not list(tmp_path.rglob("*.partial"))
    assert (tmp_path / "run" / "splits" / "bridge.json").is_file()  # what was finished stays, for --resume


@pytest.fixture
def stopped_before_fitting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C arrives when the images are dealt out and the network is built."""
    from mstl_edge.training import stages

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "fine_tune", interrupted)


def test_ctrl_c_says_how_to_go_on_and_exits_with_130(mstl_edge, one_stage, stopped_before_fitting):
    ended = mstl_edge(*one_stage, "--out", "run")
    assert ended.exit_code == 130
    assert ended.stdout == ""
    assert ended.stderr.splitlines()[-1] == "stopped; go on with: mstl-edge train --resume run"


def test_declared_splits_that_cannot_be_kept_name_resplit_and_resplit_mends_it(
    mstl_edge, one_stage, draw_classes, tmp_path, stopped_before_fitting
):
    for number, split in enumerate(("train", "val", "test")):
        draw_classes(tmp_path / "declared" / split, count=8, seed=10 + number)
    arguments = [*one_stage, "--data", f"bridge={tmp_path / 'declared'}"]
    ended = mstl_edge(*arguments, "--out", "run")
    assert ended.exit_code == 1
    assert "at least 50 validation images" in ended.stderr
    assert "Deal anew with --resplit" in ended.stderr
    assert not (tmp_path / "run").exists()
    dealt = mstl_edge(*arguments, "--out", "run", "--resplit")
    assert dealt.exit_code == 130
    assert "bridge: cat / dog; train " in dealt.stderr


def test_wrong_data_of_the_last_stage_is_refused_before_the_first_is_trained(
    mstl_edge, tiny_recipe_file, draw_classes, tmp_path
):
    twice = draw_classes(tmp_path / "twice", ("healthy", "ill"), seed=5)
    shutil.copy(twice / "healthy" / "healthy00.png", twice / "ill" / "copy.png")
    ended = mstl_edge("train", tiny_recipe_file, "--data", f"target={twice}", "--out", "run")
    assert ended.exit_code == 1
    assert "expected one label for one image" in ended.stderr.splitlines()[-1]
    assert "epoch" not in ended.stderr
    assert not (tmp_path / "run").exists()


def test_a_run_goes_on_from_another_folder_and_where_its_data_has_moved(
    mstl_edge, one_stage, draw_classes, tmp_path, monkeypatch, stopped_before_fitting
):
    draw_classes(tmp_path / "d", seed=1)
    assert mstl_edge(*one_stage, "--data", "bridge=d", "--out", "run").exit_code == 130
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    on = ["train", "--resume", tmp_path / "run"]
    assert mstl_edge(*on).exit_code == 130

    (tmp_path / "d").rename(tmp_path / "moved")
    lost = mstl_edge(*on)
    assert lost.exit_code == 1
    assert f"Received: {tmp_path / 'd'}." in lost.stderr
    other = draw_classes(tmp_path / "other", seed=2)
    wrong = mstl_edge(*on, "--data", f"bridge={other}")
    assert wrong.exit_code == 1
    assert "Received: cat/cat00.png, with other content." in wrong.stderr.splitlines()[-1]
    for command in (["export", tmp_path / "run"], on):
        refused = mstl_edge(*command, "--data", "bird=x")
        assert "expected a stage of the recipe (bridge). Received: bird." in refused.stderr
    found = mstl_edge(*on, "--data", f"bridge={tmp_path / 'moved'}")
    assert found.exit_code == 130
    assert mstl_edge(*on).exit_code == 130  # and remembered


def test_a_wrong_option_is_a_usage_error(mstl_edge):
    assert mstl_edge("train", "--epoch-count", "3").exit_code == 2
    assert mstl_edge("train", "--seed", "minus").exit_code == 2


def test_threads_bound_tensorflow_too(mstl_edge, monkeypatch):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
    assert mstl_edge("train", "no-such-recipe", "--threads", "1").exit_code == 1
    assert os.environ["TF_NUM_INTRAOP_THREADS"] == "1"


@pytest.mark.slow
def test_a_run_whose_export_is_refused_still_ends_with_its_report(mstl_edge, one_stage, tmp_path, monkeypatch):
    from mstl_edge.training.exporting import export
    from mstl_edge.training.quantize.candidates import Candidate

    def not_quantized(trained, twin, *_, **__):
        return iter([Candidate("ptq", twin.flatbuffer, None, {})])

    monkeypatch.setattr(export, "build_candidates", not_quantized)
    few = ("--set", "quantize.cross_fit=0")
    ended = mstl_edge("run", *one_stage[1:], *few, "--out", "run")
    assert ended.exit_code == 3
    assert "mstl-edge: expected an int8 model that keeps the float model's answers. Received: ptq: stays float" in (
        ended.stderr
    )
    assert "refused" in ended.stdout
    assert (tmp_path / "run" / "report.html").is_file()
    assert not (tmp_path / "run" / "bench.json").exists()
    assert json.loads((tmp_path / "run" / "exports" / "export.json").read_text())["model"] is None
