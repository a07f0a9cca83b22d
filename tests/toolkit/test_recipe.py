"""Recipes: what is built in, what `--set` changes, and one clear line for whatever does not hold."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mstl_edge.errors import RecipeError
from mstl_edge.recipe import Recipe, load_recipe, resolve, to_toml, to_tree
from mstl_edge_models import recipes

BUILT_IN = recipes.names()
STAGE = {"name": "one", "data": "somewhere", "unfreeze_from": "conv_dw_12"}


def tree(**keys: Any) -> dict[str, Any]:
    return {"name": "mine", "stages": [dict(STAGE)], **keys}


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_recipe_resolves_and_survives_the_way_through_toml(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.description
    path = tmp_path / "saved.toml"
    path.write_text(to_toml(recipe), encoding="utf-8")
    assert load_recipe(path) == recipe
    assert resolve(to_tree(recipe)) == recipe


def test_the_default_comes_first_and_needs_no_download() -> None:
    assert BUILT_IN[0] == recipes.DEFAULT == "phantom"
    recipe = load_recipe("phantom")
    assert recipe.backbone.weights == "bundled"
    assert all(stage.data.startswith("phantom:") for stage in recipe.stages)


def test_the_published_setting_is_what_the_paper_says() -> None:
    bridge, target = load_recipe("ct-hemorrhage").stages
    assert (bridge.epochs, bridge.batch_size, bridge.optimizer) == (20, 16, "adam")
    assert (target.epochs, target.batch_size, target.optimizer) == (10, 8, "adam")
    assert (bridge.unfreeze_from, target.unfreeze_from) == ("conv_dw_12", "conv_dw_13")
    backbone = load_recipe("ct-hemorrhage").backbone
    assert (backbone.variant, backbone.input_size) == ("1.0", 224)
    assert len(load_recipe("ct-hemorrhage-single").stages) == 1
    assert load_recipe("ct-hemorrhage-lite").backbone.variant == "0.25"


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("seed=7", lambda r: r.seed == 7),
        ("name=mine", lambda r: r.name == "mine"),
        ("backbone.alpha=0.5", lambda r: r.backbone.variant == "0.5"),
        ("backbone.variant=.5", lambda r: r.backbone.variant == "0.5"),
        ("backbone.variant=1", lambda r: r.backbone.variant == "1.0"),
        (
            "stages.target.labels.label=dx",
            lambda r: (r.stages[-1].labels.image, r.stages[-1].labels.label) == ("", "dx"),
        ),
        ("backbone.weights=none", lambda r: r.backbone.weights == "none"),
        ('backbone.weights="a b.h5"', lambda r: r.backbone.weights == "a b.h5"),
        ("preprocess.window=[-100, 200.5]", lambda r: r.preprocess.window == (-100.0, 200.5)),
        ("quantize.weight_bits=7", lambda r: r.quantize.weight_bits == 7),
        ("quantize.epochs=3", lambda r: r.quantize.epochs == 3),
        ("stages.bridge.epochs=5", lambda r: [s.epochs for s in r.stages] == [5, 10]),
        ("stages.1.epochs=5", lambda r: [s.epochs for s in r.stages] == [20, 5]),
        ("stages.target.augment.views=4", lambda r: [s.augment.views for s in r.stages] == [1, 4]),
        ("stages.target.split.resplit=true", lambda r: [s.split.resplit for s in r.stages] == [False, True]),
        ("stages.target.split.patient=^(p[0-9]+)_", lambda r: r.stages[1].split.patient == "^(p[0-9]+)_"),
        ("stages.target.split={test = 0.3}", lambda r: r.stages[1].split.test == 0.3),
    ],
)
def test_set_reaches_every_level(override: str, read: Any) -> None:
    assert read(load_recipe("ct-hemorrhage", overrides=[override]))


def test_the_command_line_replaces_data_weights_seed_and_declared_splits() -> None:
    recipe = load_recipe("ct-hemorrhage", data={"target": "here"}, weights="none", seed=9, resplit=True)
    assert (recipe.stages[1].data, recipe.backbone.weights, recipe.seed) == ("here", "none", 9)
    assert recipe.stages[0].data != "here"
    assert [stage.split.resplit for stage in recipe.stages] == [True, True]


ROOT = "a key of the recipe (name, description, seed, backbone, preprocess, stages, quantize)"
A_STAGE = "a stage of the recipe (bridge, target) and a key of it, as in stages.target.epochs"
IN_STAGE = (
    "(name, data, unfreeze_from, positive, epochs, batch_size, optimizer, learning_rate, schedule, label_smoothing, class_weight, "
    "early_stopping, select, mixup, feature_precision, augment, split, labels)"
)


@pytest.mark.parametrize(
    ("override", "expected", "received", "hint"),
    [
        ("sed=1", ROOT, "sed", "Did you mean seed?"),
        ("epochs=5", ROOT, "epochs", "Did you mean stages.target.epochs (or stages.bridge.epochs)?"),
        ("lr=1", ROOT, "lr", "Did you mean stages.target.learning_rate (or stages.bridge.learning_rate)?"),
        ("learning-rate=1", ROOT, "learning-rate", "Did you mean stages.target.learning_rate (or stages.bridge.learning_rate)?"),
        ("BatchSize=1", ROOT, "BatchSize", "Did you mean stages.target.batch_size (or stages.bridge.batch_size)?"),
        ("resolution=96", ROOT, "resolution", "Did you mean backbone.input_size?"),
        ("width_multiplier=1", ROOT, "width_multiplier", "Did you mean backbone.variant?"),
        ("alpha=1", ROOT, "alpha", "Did you mean backbone.variant?"),
        ("dropout=1", ROOT, "dropout", "Did you mean stages.target.label_smoothing (or stages.target.mixup)?"),
        ("freeze=x", ROOT, "freeze", "Did you mean stages.target.unfreeze_from (or stages.bridge.unfreeze_from)?"),
        ("bits=7", ROOT, "bits", "Did you mean quantize.weight_bits?"),
        ("folds=3", ROOT, "folds", "Did you mean quantize.cross_fit?"),
        ("momentum=1", ROOT, "momentum", "See 'mstl-edge recipes keys'."),
        ("target.epochs=5", ROOT, "target.epochs", "Did you mean stages.target.epochs?"),
        ("stages.epochs=5", A_STAGE, "stages.epochs", "Did you mean stages.target.epochs (or stages.bridge.epochs)?"),
        ("stages.brigde.epochs=1", A_STAGE, "stages.brigde.epochs", "Did you mean stages.bridge.epochs?"),
        ("stages.bridge.epoch=1", f"a key of stages.bridge {IN_STAGE}", "stages.bridge.epoch",
         "Did you mean stages.bridge.epochs?"),
        ("stages.target.alpha=1", f"a key of stages.target {IN_STAGE}", "stages.target.alpha", "Did you mean backbone.variant?"),
        ("stages.bridge.augment.veiws=1", "a key of stages.bridge.augment (views, flip, rotate, shift, zoom, brightness, contrast)",
         "stages.bridge.augment.veiws", "Did you mean stages.bridge.augment.views?"),
        ("backbone.vriant=1", "a key of backbone (name, variant, input_size, weights)", "backbone.vriant",
         "Did you mean backbone.variant?"),
        ("preprocess.colour=grey", "a key of preprocess (resize, aspect, window, max_pixels)", "preprocess.colour",
         "See 'mstl-edge recipes keys'."),
        ("quantize.weight_bits=6", "quantize.weight_bits as a whole number, 7 or 8", "6",
         "See 'mstl-edge recipes keys quantize.weight_bits'."),
        ("stages.target.epochs=0", "stages.target.epochs as a whole number, 1 or more", "0",
         "See 'mstl-edge recipes keys stages.NAME.epochs'."),
        ("stages.bridge.epochs=many", "stages.bridge.epochs as a whole number, 1 or more", "many",
         "See 'mstl-edge recipes keys stages.NAME.epochs'."),
        ("stages.bridge.optimizer=SDG", "stages.bridge.optimizer as adam or sgd", "SDG", "Did you mean sgd?"),
        ("stages.bridge.mixup=-0.1", "stages.bridge.mixup as a number, 0 or more", "-0.1",
         "See 'mstl-edge recipes keys stages.NAME.mixup'."),
        ("stages.target.augment.flip=1", "stages.target.augment.flip as true or false", "1",
         "See 'mstl-edge recipes keys stages.NAME.augment.flip'."),
        ("stages.target.labels.label=5", "stages.target.labels.label as text, a name of a column", "5",
         "Write text in quotes: --set 'stages.target.labels.label=\"5\"'"),
        ("preprocess.window=[a]", "preprocess.window as \"auto\", a name (brain, subdural, stroke, bone, lung, mediastinum), "
         "[low, high] with low below high, or three names", "[a]",
         "For example --set preprocess.window=brain."),
        ("preprocess.window=[1, true]", "preprocess.window as text or numbers, auto, brain, subdural, stroke, bone, lung, "
         "mediastinum, [low, high] or three names", "true",
         "See 'mstl-edge recipes keys preprocess.window'."),
        ("backbone=mobilenet", "backbone as a table", "mobilenet", "See 'mstl-edge recipes show phantom'."),
        ("stages=[]", "stages as tables ([[stages]]), one at least", "[]", "See 'mstl-edge recipes show phantom'."),
        ("stages=5", "stages as tables ([[stages]]), one at least", "5", "See 'mstl-edge recipes show phantom'."),
    ],
)  # fmt: skip
def test_a_key_or_value_that_does_not_hold_is_spelled_as_it_is_typed(
    override: str, expected: str, received: str, hint: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("ct-hemorrhage", overrides=[override])
    assert str(caught.value) == f"expected {expected}. Received: {received}. {hint}"


def test_a_key_without_a_default_is_asked_for_by_its_path() -> None:
    with pytest.raises(RecipeError) as caught:
        resolve({"name": "mine", "stages": [{"name": "one", "unfreeze_from": "conv_dw_12"}]})
    assert str(caught.value) == (
        "expected a value for stages.one.data, which has no default: a folder, a CSV, kaggle:owner/name or phantom:KIND. "
        "Add it to the recipe, or use --set stages.one.data=VALUE."
    )


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("backbone.name=mobilnet_v2", "Received: backbone.name=mobilnet_v2. Did you mean mobilenet_v2?"),
        (
            "backbone.name=mobilenet_v2",
            "a cut point of mobilenet_v2 in stages.bridge.unfreeze_from (such as block_15, block_16",
        ),
        ("stages.bridge.unfreeze_from=conv_dw_14", "Received: conv_dw_14. Did you mean conv_dw_"),
        ("stages.bridge.name=target", "stages with different names. Received: target, target"),
        ("stages.bridge.split={validation = 0.6, test = 0.5}", "Received: 0.6 + 0.5"),
        ("preprocess.window=[5, 1]", "low below high, or three names. Received: [5.0, 1.0]"),
        ("seed", "expected --set KEY=VALUE. Received: seed. For example"),
        ("=1", "expected --set KEY=VALUE. Received: =1."),
        ("seed.deep=1", "expected seed as a table"),
    ],
)
def test_what_does_not_hold_is_one_line_that_names_it(override: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("ct-hemorrhage", overrides=["seed=1", override])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_average_of_the_last_epochs_does_not_stop_early() -> None:
    averaged = ["stages.target.select=average"]
    assert load_recipe("phantom", overrides=averaged).stages[1].select == "average"
    with pytest.raises(RecipeError, match=r"every epoch of stages\.target.*Received: early_stopping=3\. Use --set"):
        load_recipe("phantom", overrides=[*averaged, "stages.target.early_stopping=3"])


def test_unknown_recipes_and_files_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"Received: phantm. Did you mean phantom\?"):
        load_recipe("phantm")
    with pytest.raises(RecipeError, match="List them with 'mstl-edge recipes list'"):
        load_recipe("zzz")
    with pytest.raises(RecipeError, match=r"a recipe file that exists\. Received: absent\.toml"):
        load_recipe("absent.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("name = ")
    with pytest.raises(RecipeError, match=r"a TOML file \(Invalid value .*Received: "):
        load_recipe(broken)
    broken.write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match="a TOML file"):
        load_recipe(broken)


def test_unknown_stage_in_data_names_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"\(bridge, target\). Received: taget. Did you mean target\?"):
        load_recipe("ct-hemorrhage", data={"taget": "x"})


@pytest.mark.parametrize("stages", [5, "text", [5], [[1]], {"a": 1}])
def test_stages_that_are_no_tables_are_one_line(stages: Any, tmp_path: Path) -> None:
    import tomli_w

    path = tmp_path / "odd.toml"
    path.write_text(tomli_w.dumps({"name": "odd", "stages": stages, "backbone": 3}))
    for options in (
        {},
        {"data": {"one": "x"}},
        {"weights": "none"},
        {"resplit": True},
        {"overrides": ["stages.one.epochs=1"]},
    ):
        with pytest.raises(RecipeError):
            load_recipe(path, **options)


@settings(deadline=None)
@given(st.integers(1, 10**6) | st.booleans() | st.floats(0.001, 1e6) | st.text("abc_./:-", min_size=1))
def test_a_value_that_set_carries_arrives_as_toml_says_or_as_the_bare_word(value: Any) -> None:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    loaded = load_recipe("phantom", overrides=[f"description={text}"] if isinstance(value, str) else [])
    if isinstance(value, str):
        try:
            expected = tomllib.loads(f"v = {text}")["v"]
        except tomllib.TOMLDecodeError:
            expected = text
        assert loaded.description == expected
    elif isinstance(value, bool):
        assert load_recipe("phantom", overrides=[f"stages.0.augment.flip={text}"]).stages[0].augment.flip is value
    elif isinstance(value, int):
        assert load_recipe("phantom", overrides=[f"seed={text}"]).seed == value
    else:
        assert load_recipe("phantom", overrides=[f"stages.0.learning_rate={text}"]).stages[0].learning_rate == value


KEYS = st.sampled_from(
    [
        "name",
        "seed",
        "backbone",
        "alpha",
        "stages",
        "0",
        "bridge",
        "split",
        "augment",
        "views",
        "preprocess",
        "window",
        "",
    ]
)


@settings(deadline=None)
@given(
    st.lists(KEYS, max_size=4), st.text(max_size=20) | st.sampled_from(["1", "[1, 2]", "{a = 1}", "9" * 5000, "nan"])
)
def test_any_set_gives_a_recipe_or_a_recipe_error(path: list[str], value: str) -> None:
    assert_recipe_or_one_line(lambda: load_recipe("phantom", overrides=[f"{'.'.join(path)}={value}"]))


def assert_recipe_or_one_line(read: Callable[[], Recipe]) -> None:
    """Whatever else `read` raises is a failure."""
    problem, recipe = None, None
    try:
        recipe = read()
    except RecipeError as error:
        problem = str(error)
    if recipe is None:
        assert problem
        assert "\n" not in problem
    else:
        assert resolve(to_tree(recipe)) == recipe


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_any_tree_gives_a_recipe_or_a_recipe_error(extra: dict[str, Any]) -> None:
    assert_recipe_or_one_line(lambda: resolve(tree(**extra)))
