from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from mstl_edge.errors import MstlEdgeError, RecipeError, RunError
from mstl_edge.planning import weights_at_hand
from mstl_edge.schemas.study_plan import StudyPlan
from mstl_edge_cli.commands import study


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer(rich_markup_mode=None)
    app.callback()(lambda: None)
    study.register(app)
    return app


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A folder with two recipes and a study of one of them, `result`, that trained a tiny arm; and what it printed."""
    folder = tmp_path_factory.mktemp("studies")
    rng = np.random.default_rng(0)
    for number, label in enumerate(("healthy", "ill")):
        (folder / "images" / label).mkdir(parents=True)
        for image in range(8):
            coarse = Image.fromarray(rng.integers(60 * number, 120 + 60 * number, (12, 12), dtype=np.uint8))
            coarse.resize((32, 32)).save(folder / "images" / label / f"{label}{image}.png")
    tables = '[backbone]\nalpha = 0.25\ninput_size = 32\nweights = "bundled"\n'
    tables += '[[stages]]\nname = "target"\ndata = "images"\nunfreeze_from = "conv_dw_13"\nepochs = 1\nbatch_size = 4\n'
    for name in ("tiny", "other"):
        (folder / f"{name}.toml").write_text(f'name = "{name}"\n{tables}')
    app = typer.Typer(rich_markup_mode=None)
    app.callback()(lambda: None)
    study.register(app)
    options = "tiny.toml --arms single --arm again=tiny.toml --schemes float32 --folds 2 --repeats 1 --learning-curve 6"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MSTL_EDGE_CACHE", str(folder / "cache"))
        patched.chdir(folder)
        result = run(app, *options.split(), "--threads", "1", "--out", "result", "--json")
    return folder, result


@pytest.fixture
def beside(finished: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The finished study, its folder being the current one."""
    monkeypatch.setenv("MSTL_EDGE_CACHE", str(finished[0] / "cache"))
    monkeypatch.chdir(finished[0])
    return Path("result")


def run(app: typer.Typer, *arguments: str):
    return CliRunner().invoke(app, ["study", *arguments])


@pytest.mark.slow
def test_a_study_prints_json_on_stdout_and_its_progress_on_stderr(finished, beside):
    result = finished[1]
    assert result.exit_code == 0, result.output
    tree = json.loads(result.stdout)
    assert tree["schema"] == "mstl-edge/study/2"
    assert [arm["name"] for arm in tree["arms"]] == ["single", "again"]
    assert json.loads((beside / "study.json").read_text()) == {k: v for k, v in tree.items() if k != "study"}
    assert "1/8 single, repeat 1 fold 1: float32" in result.stderr
    assert "left" in result.stderr


@pytest.mark.slow
def test_a_finished_study_is_printed_again_without_training(app, beside):
    result = run(app, "--resume", "result")
    assert result.exit_code == 0, result.output
    assert "8 of 8 trainings finished earlier, kept" in result.stderr
    for phrase in ("tiny: 16 images, 2 folds, 1 repeat (", "accuracy %", "AUC", "best ", "learning curve", "verdict"):
        assert phrase in result.stdout


@pytest.mark.slow
def test_a_study_folder_of_another_recipe_is_one_clear_line(app, beside):
    result = run(app, "other.toml", "--resume", "result")
    assert isinstance(result.exception, RunError)
    assert str(result.exception) == (
        "expected the recipe that this study was made with (name = 'tiny'). Received: name = 'other'. "
        "Go on with its own recipe: mstl-edge study --resume result"
    )
    assert run(app, "tiny.toml", "--resume", "result").exit_code == 0


@pytest.mark.slow
def test_resume_takes_no_option_that_would_change_the_study(app, beside):
    result = run(app, "--resume", "result", "--folds", "3")
    assert isinstance(result.exception, RunError)
    assert "goes on by its own plan" in str(result.exception)


@pytest.mark.slow
def test_an_output_folder_that_holds_a_study_is_not_overwritten(app, beside):
    result = run(app, "tiny.toml", "--out", "result")
    assert isinstance(result.exception, RunError)
    assert "mstl-edge study --resume result" in str(result.exception)


class PlannedError(Exception):
    """Carries the plan that would have been started."""


@pytest.fixture
def plan_of(app: typer.Typer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., StudyPlan]:
    """Return what a command line would start, without starting it."""

    def stop(plan: StudyPlan, *_: object) -> None:
        raise PlannedError(plan)

    def planned(*arguments: str) -> StudyPlan:
        monkeypatch.setattr(study, "_started", stop)
        monkeypatch.setattr(weights_at_hand, "check_at_hand", lambda spec: None)  # of files that are not there
        result = run(app, *arguments)
        assert isinstance(result.exception, PlannedError), result.output
        return result.exception.args[0]

    return planned


def test_first_weights_reach_every_arm_and_an_arm_can_have_its_own(plan_of):
    lite = ["--arm", "lite=ct-hemorrhage-lite", "--arm", "best=ct-hemorrhage-best"]
    plan = plan_of("ct-hemorrhage", *lite, "--weights", "wide.h5", "--weights", "lite=narrow.h5")
    assert {arm.name: arm.recipe.backbone.weights for arm in plan.arms} == {
        "scratch": "none",
        "single": "wide.h5",
        "multi": "wide.h5",
        "lite": "narrow.h5",
        "best": "wide.h5",
    }
    untouched = plan_of("ct-hemorrhage", *lite, "--weights", "lite=narrow.h5")
    assert untouched.recipe.backbone.weights == untouched.arm("best").recipe.backbone.weights == "imagenet"
    assert untouched.arm("lite").recipe.backbone.weights == "narrow.h5"


def test_an_arm_that_starts_from_nothing_keeps_doing_so_unless_it_is_named(plan_of, tmp_path):
    drawn = tmp_path / "drawn.toml"
    drawn.write_text(
        'name = "drawn"\n[backbone]\nweights = "none"\n'
        '[[stages]]\nname = "target"\ndata = "images"\nunfreeze_from = "conv1"\n'
    )
    arm = ["--arm", f"drawn={drawn}"]
    assert plan_of("phantom", *arm, "--weights", "w.h5").arm("drawn").recipe.backbone.weights == "none"
    assert plan_of("phantom", *arm, "--weights", "drawn=w.h5").arm("drawn").recipe.backbone.weights == "w.h5"


def test_seed_and_data_reach_extra_arms_as_far_as_they_have_the_stage(plan_of):
    plan = plan_of(
        "phantom", "--arm", "alone=ct-hemorrhage-single", "--data", "target=./ct", "--data", "bridge=./chest",
        "--seed", "7", "--set", "stages.target.epochs=2",
    )  # fmt: skip
    alone = plan.arm("alone").recipe
    assert (alone.seed, [stage.data for stage in alone.stages], alone.stages[0].epochs) == (7, ["./ct"], 10)
    assert [stage.data for stage in plan.arm("multi").recipe.stages] == ["./chest", "./ct"]


def test_a_recipe_is_put_on_several_networks_each_as_deep_as_the_rules_have_it(plan_of):
    plan = plan_of(
        "ct-hemorrhage-lite", "--backbones", "mobilenet_v1:0.25,mobilenet_v2:.35,resnet", "--data", "target=./ct",
        "--weights", "mobilenet_v2:.35=w.h5",
    )  # fmt: skip
    networks = {arm.name: arm.recipe.backbone for arm in plan.arms}
    assert {name: (network.variant, network.weights) for name, network in networks.items()} == {
        "mobilenet_v1-0.25": ("0.25", "imagenet"),
        "mobilenet_v2-.35": ("0.35", "w.h5"),
        "resnet": ("50", "imagenet"),
    }
    assert [arm.stage.unfreeze_from for arm in plan.arms] == ["conv_dw_4", "block_4", "conv4_block3"]
    assert {arm.stage.data for arm in plan.arms} == {"./ct"}


def test_several_arms_of_each_network_are_named_after_both(plan_of):
    plan = plan_of(
        "ct-hemorrhage", "--backbones", "mobilenet_v2:0.35", "--arms", "single,multi", "--arm", "own=phantom"
    )
    assert [arm.name for arm in plan.arms] == ["mobilenet_v2-0.35-single", "mobilenet_v2-0.35-multi", "own"]


def test_a_path_with_an_equals_sign_is_a_path(plan_of):
    assert plan_of("phantom", "--weights", "./alpha=1.h5").recipe.backbone.weights == "./alpha=1.h5"


@pytest.mark.parametrize(
    ("wrong", "phrase"),
    [
        (["--arm", "best"], "--arm NAME=RECIPE"),
        (["--arm", "../x=phantom"], "--arm NAME=RECIPE"),
        (["--arm", "best=phantomm"], "Did you mean phantom?"),
        (
            ["--weights", "lite=w.h5"],
            "ARM=FILE for one that --arm or --backbones names (none here). Received: lite=w.h5",
        ),
        (["--weights", "a.h5", "--weights", "b.h5"], "first weights once for all arms. Received: a.h5 and b.h5"),
        (["--arm", "best=phantom", "--weights", "best="], "ARM=FILE for one that --arm or --backbones names (best)"),
        (["--backbones", "mobilenet_v9"], "a backbone ("),
        (["--backbones", "mobilenet_v2:9x"], "a variant of mobilenet_v2 ("),
        (["--arms", "double"], "arms among scratch, features, single, multi"),
        (["--schemes", "int4"], "schemes among float32, int8-ptq, int8-qat"),
        (["--learning-curve", "20,many"], "numbers of images for the learning curve. Received: many"),
    ],
)
def test_a_wrong_option_is_one_clear_line(app, wrong, phrase):
    result = run(app, "phantom", *wrong)
    assert isinstance(result.exception, MstlEdgeError)
    assert phrase in str(result.exception)
    assert "\n" not in str(result.exception)


def test_an_unknown_recipe_is_one_clear_line(app):
    assert isinstance(run(app, "phantomm").exception, RecipeError)


def test_help_ends_with_an_example(app):
    assert "Example: mstl-edge study ct-hemorrhage" in run(app, "--help").stdout


def test_a_sensitivity_required_of_three_classes_ends_with_exit_code_1(mstl_edge, draw_classes, tmp_path):
    images = draw_classes(tmp_path / "three", ("a", "b", "c"), count=4)
    (tmp_path / "three.toml").write_text(
        'name = "three"\n[backbone]\nalpha = 0.25\ninput_size = 32\nweights = "bundled"\n'
        f'[[stages]]\nname = "target"\ndata = "{images}"\nunfreeze_from = "conv_dw_13"\n'
    )
    ended = mstl_edge("study", "three.toml", "--arms", "single", "--sensitivity", "0.95")
    assert ended.exit_code == 1
    assert "two classes for --sensitivity, which moves the threshold between them. Received: 3 classes" in ended.stderr
    assert not (tmp_path / "studies").exists()
