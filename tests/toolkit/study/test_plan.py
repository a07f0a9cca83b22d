from __future__ import annotations

import msgspec
import pytest

from mstl_edge.errors import MstlEdgeError, RecipeError
from mstl_edge.recipe import load_recipe
from mstl_edge.schemas.study_plan import Arm
from mstl_edge.study.plan import build_arms


def test_a_recipe_gives_three_arms_that_differ_in_what_they_stand_on():
    recipe = load_recipe("ct-hemorrhage")
    scratch, single, multi = build_arms(recipe)
    assert [arm.name for arm in (scratch, single, multi)] == ["scratch", "single", "multi"]
    assert multi.recipe == recipe
    assert (scratch.recipe.backbone.weights, scratch.recipe.backbone.variant) == ("none", "0.25")
    assert scratch.stage.unfreeze_from == "conv1"
    assert single.recipe.backbone == recipe.backbone
    assert [stage.name for stage in single.recipe.stages] == ["target"]


def test_without_the_bridge_the_target_trains_all_that_both_stages_train():
    single = build_arms(load_recipe("ct-hemorrhage"), wanted=["single"])[0]
    assert single.stage.unfreeze_from == "conv_dw_12"
    assert single.recipe.stages == load_recipe("ct-hemorrhage-single").stages


def test_features_are_those_of_the_first_weights_and_only_a_head_is_trained_on_them():
    (features,) = build_arms(load_recipe("ct-hemorrhage"), wanted=["features"])
    assert (features.stage.unfreeze_from, len(features.recipe.stages)) == ("head", 1)
    assert features.recipe.backbone.weights == "imagenet"
    assert features.schemes == ("float32", "int8-ptq", "int8-qat")


def test_only_transfer_arms_are_quantized_and_float32_is_always_measured():
    scratch, single, _ = build_arms(load_recipe("phantom"), schemes=["int8-qat"])
    assert scratch.schemes == ("float32",)
    random = msgspec.structs.replace(scratch.recipe, name="random")
    assert build_arms(random, wanted=["single"], schemes=["int8-qat"])[0].schemes == ("float32", "int8-qat")
    assert single.schemes == ("float32", "int8-qat")


def test_a_recipe_of_one_stage_has_no_bridge_to_judge():
    assert [arm.name for arm in build_arms(load_recipe("ct-hemorrhage-single"))] == ["scratch", "single"]


def test_more_arms_come_by_name():
    recipe = load_recipe("phantom")
    arms = build_arms(recipe, wanted=["multi"], extra=[("best", recipe)])
    assert [arm.name for arm in arms] == ["multi", "best"]
    with pytest.raises(MstlEdgeError, match="different names"):
        build_arms(recipe, wanted=["multi"], extra=[("multi", recipe)])


@pytest.mark.parametrize(("wanted", "schemes"), [(["double"], ["float32"]), (["multi"], ["int4"])])
def test_an_unknown_arm_or_scheme_is_one_clear_line(wanted, schemes):
    with pytest.raises(MstlEdgeError, match=r"among .* Received: (double|int4)"):
        build_arms(load_recipe("phantom"), wanted=wanted, schemes=schemes)


def test_a_target_that_keeps_a_subset_is_refused():
    recipe = load_recipe("phantom", overrides=["stages.target.split.subset=20"])
    with pytest.raises(RecipeError, match="--learning-curve"):
        build_arms(recipe)


def test_arms_survive_the_plan_file():
    arms = build_arms(load_recipe("phantom"))
    assert msgspec.json.decode(msgspec.json.encode(arms), type=tuple[Arm, ...]) == arms
