from __future__ import annotations

import csv
import json
import shutil

import pytest

from mstl_edge.errors import DataError, RecipeError, RunError
from mstl_edge.output_folder import check_unused
from mstl_edge.recipe import load_recipe
from mstl_edge.schemas.study_plan import StudyPlan
from mstl_edge.study.folder import open_study, refuse_other_recipe, relocate_study
from mstl_edge.study.plan import build_arms


def test_a_study_is_read_back_as_it_was_planned(drawn_study):
    study = drawn_study({"single": 0.8, "multi": 0.9})
    plan = open_study(study.path).plan()
    assert plan == study.plan()
    assert [arm.name for arm in plan.arms] == ["single", "multi"]


def test_the_table_of_folds_names_every_image_once_per_repeat(drawn_study):
    study = drawn_study({"single": 0.8})
    listed = list(csv.DictReader(study.folds_file.open()))
    assert len(listed) == 60
    assert {row["repeat 1"] for row in listed} == {row["repeat 2"] for row in listed} == {"1", "2", "3"}


def test_arms_that_share_a_bridge_share_its_folder(drawn_study, recipe):
    study = drawn_study({"multi": 0.9})
    longer = recipe("bridge", "target", epochs=3)
    (multi,), (other,) = (build_arms(one, wanted=["multi"]) for one in (recipe("bridge", "target"), longer))
    renamed = build_arms(load_recipe_renamed(multi.recipe), wanted=["multi"])[0]
    assert study.bridge(multi).path == study.bridge(renamed).path
    assert study.bridge(multi).path != study.bridge(other).path
    assert study.bridge(build_arms(longer, wanted=["single"])[0]) is None


def load_recipe_renamed(recipe):
    import msgspec

    return msgspec.structs.replace(recipe, name="renamed", description="other words")


def test_a_study_of_another_recipe_is_one_clear_line(drawn_study):
    study = drawn_study({"single": 0.8, "multi": 0.9})
    with pytest.raises(RunError) as caught:
        refuse_other_recipe(study, load_recipe("phantom"))
    message = str(caught.value)
    assert "the recipe that this study was made with (name = 'tiny'). Received: name = 'phantom'." in message
    assert f"mstl-edge study --resume {study.path}" in message
    assert "\n" not in message


def test_the_key_that_differs_is_named(drawn_study, recipe):
    study = drawn_study({"multi": 0.9})
    refuse_other_recipe(study, recipe("bridge", "target"))
    with pytest.raises(RunError, match=r"stages.bridge.epochs = 2\). Received: stages.bridge.epochs = 5"):
        refuse_other_recipe(study, recipe("bridge", "target", epochs=5))
    with pytest.raises(RunError, match=r"stages = 'bridge, target'\). Received: stages = 'target'"):
        refuse_other_recipe(study, recipe("target"))


def test_a_folder_that_holds_no_study_is_one_clear_line(tmp_path):
    with pytest.raises(RunError, match="a study folder"):
        open_study(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", json.dumps({"schema": "mstl-edge/study-plan/9"}), '{"schema": 1}'])
def test_a_damaged_plan_is_one_clear_line(tmp_path, content):
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(RunError, match="study"):
        open_study(tmp_path)


def test_an_output_folder_that_holds_a_study_says_how_to_resume_it(drawn_study):
    study = drawn_study({"single": 0.8})
    with pytest.raises(RunError, match="mstl-edge study --resume"):
        check_unused(study.path)


def test_data_of_a_study_that_has_moved_is_found_again_with_its_bridge(recipe, folders, tmp_path, monkeypatch):
    from mstl_edge.training.study.run import start_study

    for name, folder in folders.items():
        shutil.copytree(folder, tmp_path / "old" / name)
    monkeypatch.chdir(tmp_path)
    whole = recipe("bridge", "target", data={name: f"old/{name}" for name in folders})
    study = start_study(StudyPlan(recipe=whole, arms=build_arms(whole, wanted=["multi"]), folds=2), tmp_path / "study")
    (multi,) = study.plan().arms
    bridge = study.bridge(multi)
    assert [stage.data for stage in multi.recipe.stages] == [str(tmp_path / "old" / name) for name in folders]
    assert sorted(path.name for path in (bridge.path / "splits").iterdir()) == ["bridge.json"]

    (tmp_path / "old").rename(tmp_path / "new")
    with pytest.raises(DataError, match=r"that stage target was dealt in .*bridge. Received: healthy/healthy00.png"):
        relocate_study(study, {"target": str(folders["bridge"])})
    with pytest.raises(RecipeError, match="Received: bird"):
        relocate_study(study, {"bird": "new"})
    relocate_study(study, {name: f"new/{name}" for name in folders})
    (multi,) = study.plan().arms
    assert [stage.data for stage in multi.recipe.stages] == [str(tmp_path / "new" / name) for name in folders]
    assert study.bridge(multi) == bridge
    assert bridge.recipe().stages[0].data == str(tmp_path / "new" / "bridge")
    refuse_other_recipe(study, recipe("bridge", "target", data={name: tmp_path / "new" / name for name in folders}))
    elsewhere = recipe("bridge", "target")
    with pytest.raises(RunError, match=r"stages.bridge.data"):
        refuse_other_recipe(study, elsewhere)
    refuse_other_recipe(study, elsewhere, dict.fromkeys(folders, "named"))


def test_wrong_data_of_a_bridge_leaves_no_study(recipe, folders, tmp_path):
    from mstl_edge.training.study.run import start_study

    wrong = shutil.copytree(folders["bridge"], tmp_path / "wrong")
    shutil.copy(wrong / "cat" / "cat00.png", wrong / "dog" / "copy.png")
    whole = recipe("bridge", "target", data={"bridge": wrong})
    with pytest.raises(DataError, match="one label for one image"):
        start_study(StudyPlan(recipe=whole, arms=build_arms(whole), folds=2), tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_a_bridge_is_found_under_the_name_that_a_version_with_other_keys_gave_it(recipe, tmp_path):
    from mstl_edge.training.study.run import start_study

    whole = recipe("bridge", "target")
    study = start_study(StudyPlan(recipe=whole, arms=build_arms(whole, wanted=["multi"]), folds=2), tmp_path / "study")
    (multi,) = study.plan().arms
    trained = study.bridge(multi).path
    (trained.parent / "damaged").mkdir()
    (trained.parent / "damaged" / "recipe.toml").write_text("[")
    older = trained.rename(trained.with_name("0123456789ab"))
    assert study.bridge(multi).path == older
    shutil.rmtree(older)
    assert study.bridge(multi).path == trained
