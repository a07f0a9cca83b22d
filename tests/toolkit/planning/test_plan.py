from __future__ import annotations

import shutil

import pytest

from mstl_edge.errors import DataError, RecipeError, WeightsError
from mstl_edge.planning import Asked, plan, plan_recipe, rules
from mstl_edge.planning.facts import left_out, told
from mstl_edge.recipe import BackboneSpec, resolve, to_tree
from mstl_edge.schemas.choices import SetFacts
from mstl_edge_models import backbones

SMALL = Asked(weights="none")


def facts(images, *, side=224, **fields):
    return SetFacts(
        source="x", images=images, classes={"a": images // 2, "b": images - images // 2}, width=(side, side, side),
        height=(side, side, side), grey=images, patients=None, groups=images, **fields,
    )  # fmt: skip


def chosen_for(images, *, variant="0.25", weights="imagenet", side=224):
    backbone = BackboneSpec(variant=variant, weights=weights)
    seen, made = facts(images, side=side), {}
    for rule in rules.STAGE:
        made[rule.key] = rule.choose(rules.Situation(seen, backbone, made))[0]
    return made


def test_a_recipe_is_made_named_after_the_data_and_says_why(folder):
    planned = plan_recipe(str(folder("bleed", "clear")), SMALL)
    recipe, stage = planned.recipe, planned.recipe.stages[-1]
    assert (recipe.name, [one.name for one in recipe.stages]) == ("scans", ["target"])
    assert (recipe.backbone.name, recipe.backbone.variant, recipe.backbone.input_size) == ("mobilenet_v1", "0.25", 96)
    assert (stage.positive, stage.split.conflicts, stage.split.resplit) == ("bleed", "drop", False)
    assert resolve(to_tree(recipe)) == recipe
    assert all(choice.why for choice in planned.choices.choices)


def test_what_was_seen_is_told_in_a_line(folder):
    scans = folder("a", "b", "c", colour=True)
    shutil.copy(scans / "a" / "00.png", scans / "b" / "copy.png")
    (scans / "c" / "broken.png").write_bytes(b"no image")
    found = plan_recipe(str(scans), SMALL).choices.facts["target"]
    assert told(found) == "29 images (a 9, b 10, c 10), 48×48 pixels, colour, patients unknown"
    assert left_out(found) == "left out: 2 copies of pictures that lie under two labels and 1 unreadable file"
    assert found.contradictory == 2


def test_what_is_asked_for_goes_before_the_rules_and_is_marked(folder):
    asked = Asked(
        backbone="mobilenet_v1:0.5", weights="none", epochs=7, learning_rate=0.01, size=64, positive="1", name="mine", seed=4,
        overrides=("stages.target.augment.views=3", "quantize.epochs=1"),
    )  # fmt: skip
    planned = plan_recipe(str(folder("0", "1")), asked)
    recipe, stage = planned.recipe, planned.recipe.stages[-1]
    assert (recipe.name, recipe.seed, recipe.backbone.variant, recipe.backbone.input_size) == ("mine", 4, "0.5", 64)
    assert (stage.epochs, stage.learning_rate, stage.positive, stage.augment.views) == (7, 0.01, "1", 3)
    assert recipe.quantize.epochs == 1
    marked = {choice.key: choice.value for choice in planned.choices.choices if choice.asked}
    assert marked == {
        "backbone.name": "mobilenet_v1", "backbone.variant": "0.5", "backbone.input_size": 64, "stages.target.positive": "1",
        "stages.target.epochs": 7, "stages.target.learning_rate": 0.01,
        "stages.target.augment.views": 3, "quantize.epochs": 1,
    }  # fmt: skip


def test_rules_see_what_was_asked_for(folder):
    scans = str(folder("a", "b"))
    short = plan_recipe(scans, Asked(weights="none", epochs=5)).recipe.stages[-1]
    assert (short.epochs, short.augment.views) == (5, 4)
    same = plan_recipe(scans, Asked(weights="none", overrides=("stages.target.epochs=5",))).recipe.stages[-1]
    assert same == short
    large = plan_recipe(
        scans, Asked(weights="none", overrides=("backbone.input_size=224", "backbone.alpha=1.0"))
    ).recipe
    assert (large.backbone.input_size, large.stages[-1].unfreeze_from) == (224, "conv_dw_8")


def test_a_stage_keeps_its_name(folder):
    with pytest.raises(RecipeError, match=r"stages named target"):
        plan_recipe(str(folder("a", "b")), Asked(weights="none", overrides=("stages.target.name=mine",)))


def test_a_bridge_is_a_stage_in_front_with_its_own_classes(folder):
    scans, chests = folder("bleed", "clear"), folder("NORMAL", "PNEUMONIA", name="chests")
    planned = plan_recipe(str(scans), Asked(weights="none", bridge=str(chests)))
    bridge, target = planned.recipe.stages
    assert (bridge.name, bridge.data, bridge.positive, bridge.epochs) == ("bridge", str(chests), "PNEUMONIA", 20)
    assert (target.name, target.data, target.positive) == ("target", str(scans), "bleed")
    assert set(planned.seen) == {"bridge", "target"}


def test_more_than_two_classes_have_no_positive_one(folder):
    assert plan_recipe(str(folder("a", "b", "normal")), SMALL).recipe.stages[-1].positive == ""


def test_without_a_network_the_bundled_weights_are_taken_and_that_is_said(folder):
    planned = plan_recipe(str(folder("a", "b")))
    assert (planned.recipe.backbone.weights, planned.recipe.backbone.input_size) == ("bundled", 96)
    why = planned.choice("backbone.weights").why
    assert "no connection" in why
    assert "mobilenet_2_5_224_tf_no_top.h5 is not at ~/.keras/models" in why
    assert "--weights FILE" in why


def test_imagenet_weights_are_taken_where_they_are_at_hand_or_can_be_had(folder, monkeypatch, tmp_path):
    scans = str(folder("a", "b"))
    monkeypatch.setattr(plan, "can_download", lambda found: True)
    assert plan_recipe(scans).recipe.backbone.weights == "imagenet"
    assert "downloaded once" in plan_recipe(scans).choice("backbone.weights").why
    monkeypatch.setattr(plan, "can_download", lambda found: pytest.fail("asked the network"))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".keras" / "models").mkdir(parents=True)
    (tmp_path / ".keras" / "models" / "mobilenet_2_5_224_tf_no_top.h5").write_bytes(b"")
    assert plan_recipe(scans).choice("backbone.weights").why == "mobilenet_2_5_224_tf_no_top.h5 is at hand"


def test_a_width_without_bundled_weights_and_no_network_is_one_clear_line(folder):
    with pytest.raises(
        WeightsError,
        match=r"mobilenet_1_0_224_tf_no_top\.h5, which could not be downloaded\. .* Put that file at ~/\.keras/models",
    ):
        plan_recipe(str(folder("a", "b")), Asked(backbone="mobilenet_v1:1.0"))


@pytest.mark.parametrize(("name", "variant"), [("mobilenet_v1", "0.5"), ("mobilenet_v2", "0.35")])
def test_a_weights_file_tells_its_network(folder, tmp_path, name, variant):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "some.h5", "w") as file:
        file["a/kernel:0"] = [0.0] * (backbones.REGISTRY[name].parameters(variant) - 8)
        file["b/b/bias:0"] = [0.0] * 8
    planned = plan_recipe(str(folder("a", "b")), Asked(weights=str(tmp_path / "some.h5")))
    assert (planned.recipe.backbone.name, planned.recipe.backbone.variant) == (name, variant)
    assert planned.choice("backbone.name").why == "that of the weights file"
    assert planned.choice("backbone.variant").why == "that of the weights file"


def test_what_is_no_weights_file_is_one_clear_line(folder, tmp_path):
    pytest.importorskip("h5py")
    (tmp_path / "text.h5").write_text("no weights")
    with pytest.raises(
        WeightsError,
        match=r"or a checkpoint of PyTorch \(\.pth\)\. Received: text\.h5",
    ):
        plan_recipe(str(folder("a", "b")), Asked(weights=str(tmp_path / "text.h5")))


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        ("mobilnet", r"a backbone \(mobilenet_v1, .*\)\. Received: mobilnet\. Did you mean mobilenet_v\d\?"),
        ("mobilenet_v1:huge", r"a variant of mobilenet_v1 \(0\.25, 0\.5, 0\.75, 1\.0\)\. Received: huge\."),
        ("mobilenet_v1:wide", r"Received: wide\. For example --backbone mobilenet_v1:0\.25"),
    ],
)
def test_an_unknown_backbone_or_variant_is_refused_before_an_image_is_read(backbone, message):
    with pytest.raises(RecipeError, match=message):
        plan_recipe("/nowhere", Asked(backbone=backbone))


def test_two_hundred_folders_are_taken_for_patients(folder):
    scans = folder(*(f"patient {number}" for number in range(200)), each=1, side=20)
    with pytest.raises(DataError) as refused:
        plan_recipe(str(scans), SMALL)
    assert "expected at most 100 classes. Received: 200 in " in str(refused.value)
    assert "Folders of patients or dates are no classes" in str(refused.value)


def test_declared_splits_that_cannot_be_kept_are_dealt_anew_and_that_is_said(folder, tmp_path):
    scans = folder("a", "b", each=20)
    declared = tmp_path / "declared"
    for label in ("a", "b"):
        for number, file in enumerate(sorted((scans / label).iterdir())):
            part = ("train", "val", "test")[min(2, number // 8)]
            (declared / part / label).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, declared / part / label)
    planned = plan_recipe(str(declared), SMALL)
    assert planned.recipe.stages[-1].split.resplit
    assert planned.choice("stages.target.split.resplit").why == (
        "the declared splits cannot be kept: 16 instead of at least 50 validation images in the splits that the data declare"
    )


def test_the_rules_give_what_the_hand_made_recipes_have():
    lite, best = chosen_for(160), chosen_for(160, variant="1.0")
    assert (lite["unfreeze_from"], lite["epochs"], lite["augment.views"], lite["learning_rate"]) == (
        "conv_dw_4",
        120,
        32,
        2.5e-4,
    )
    assert (best["unfreeze_from"], best["learning_rate"], best["augment.rotate"]) == ("conv_dw_8", 1e-4, 10.0)


@pytest.mark.parametrize("images", [10, 100, 1000, 10_000, 1_000_000])
@pytest.mark.parametrize("variant", ["0.25", "0.5", "1.0"])
def test_stored_features_stay_within_the_bound_and_no_view_goes_unseen(images, variant):
    made = chosen_for(images, variant=variant)
    each = (
        backbones.REGISTRY["mobilenet_v1"].cut_point(variant, made["unfreeze_from"]).values(224)
        * rules.STORED_VALUE_BYTES
    )
    assert 1 <= made["augment.views"] <= made["epochs"]
    assert made["augment.views"] == 1 or made["augment.views"] * images * 0.65 * each <= 1.01 * rules.STORED_BYTES


@pytest.mark.parametrize(("side", "size"), [(28, 96), (96, 96), (100, 128), (200, 224), (2000, 224)])
def test_small_images_are_not_enlarged_more_than_needed(side, size):
    (rule,) = rules.BACKBONE
    assert rule.choose(rules.Situation(facts(10, side=side), BackboneSpec()))[0] == size


def test_a_network_that_reads_no_smaller_images_gets_the_smallest_it_can():
    (rule,) = rules.BACKBONE
    spec = BackboneSpec(name="plexusnet", variant="7", weights="none")
    assert rule.choose(rules.Situation(facts(10, side=28), spec)) == (128, "the smallest that the network can read")
    assert rule.choose(rules.Situation(facts(10, side=200), spec))[0] == 224
