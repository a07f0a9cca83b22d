"""The recipe: everything that decides a result, as frozen data that TOML can say.

A recipe names a backbone, how an image becomes an array, any number of training stages, and how to quantize. The
resolved recipe (every default written out) is saved with a run and travels inside the exported model.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from mstl_edge.errors import RecipeError
from mstl_edge_models import backbones, recipes

Fraction = Annotated[float, Meta(ge=0.0, lt=1.0)]
Positive = Annotated[int, Meta(ge=1)]
PositiveFloat = Annotated[float, Meta(gt=0.0)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class BackboneSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which network, and where its first weights come from.

    `weights` is `imagenet`, `bundled`, `none`, or the path of a Keras `no_top` weights file.
    """

    name: str = "mobilenet_v1"
    alpha: PositiveFloat = 1.0
    input_size: Annotated[int, Meta(ge=32, le=1024)] = 224
    weights: str = "imagenet"


class PreprocessSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How an image file becomes `(input_size, input_size, 3) uint8`; training and device follow the same words.

    `aspect`: `stretch` ignores it, `pad` adds black, `crop` cuts the longer side centrally. `window`: the grey levels
    of a 16-bit image that become 0 and 255; empty takes the image's own minimum and maximum.
    """

    resize: Literal["bilinear", "bicubic", "lanczos", "box"] = "bilinear"
    aspect: Literal["stretch", "pad", "crop"] = "stretch"
    window: tuple[float, ...] = ()
    max_pixels: Positive = 64_000_000


FeaturePrecision = Literal["float32", "float16"]


class SplitSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How images are dealt to training, validation and test: stratified by class, grouped by patient, seeded.

    `patient` is a regular expression whose first group (or whole match) over the file name is the patient, `column`
    a column of the label file that names the patient. `resplit` ignores the splits that a data set declares by its folders.
    `limit_unreadable` is the largest share of files that may be unreadable. `subset` keeps only so many images of the
    training part (0: all), for learning curves.
    """

    validation: Annotated[float, Meta(gt=0.0, lt=1.0)] = 0.15
    test: Annotated[float, Meta(gt=0.0, lt=1.0)] = 0.2
    patient: str = ""
    column: str = ""
    resplit: bool = False
    limit_unreadable: Fraction = 0.1
    subset: Annotated[int, Meta(ge=0)] = 0


class AugmentSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Random views of each training image, drawn once, stored, and dealt out one per epoch.

    `views` counts the original; 1 means no augmentation. Rotation in degrees, shift and zoom as shares of the side, brightness and
    contrast as shares of the grey range; each is the bound of a uniform draw.
    """

    views: Positive = 1
    flip: bool = True
    rotate: Annotated[float, Meta(ge=0.0, le=180.0)] = 10.0
    shift: Annotated[float, Meta(ge=0.0, le=0.5)] = 0.05
    zoom: Annotated[float, Meta(ge=0.0, le=0.5)] = 0.1
    brightness: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.1
    contrast: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.1


class StageSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One stage of the transfer: a data set, a fresh head, and how the network's upper part is fine-tuned on it.

    Layers below `unfreeze_from` stay as they are; that layer, everything above it and the head are trained.
    `positive` is the class that sensitivity speaks of (default: the last in alphabetical order). `early_stopping` ends a
    stage after so many epochs without a better validation loss (0: never).

    `select`: keep the epoch with the best validation loss, the last one, or the average: the mean of the weights after each
    epoch of the last quarter, at least two (stochastic weight averaging, Izmailov et al. 2018, arXiv:1803.05407, with the
    schedule as given; BatchNorm is frozen, so that nothing is measured anew). `mixup` is the α of Beta(α, α), by whose draws
    pairs of a batch and their labels are blended (Zhang et al. 2018, arXiv:1710.09412; 0: not at all). It acts on stored
    features, at the border of the frozen layers (manifold mixup, Verma et al. 2019, arXiv:1806.05236), and not in
    quantization-aware fine-tuning, which learns the float model's answers to real images.

    `feature_precision` is how features of the frozen layers are kept on disk: float16 takes half the space.
    """

    name: Name
    data: str
    unfreeze_from: str
    positive: str = ""
    epochs: Positive = 10
    batch_size: Positive = 16
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: PositiveFloat = 1e-4
    schedule: Literal["constant", "cosine"] = "constant"
    label_smoothing: Fraction = 0.0
    class_weight: Literal["none", "balanced"] = "balanced"
    early_stopping: Annotated[int, Meta(ge=0)] = 0
    select: Literal["best", "last", "average"] = "best"
    mixup: Annotated[float, Meta(ge=0.0)] = 0.0
    feature_precision: FeaturePrecision = "float32"
    augment: AugmentSpec = AugmentSpec()
    split: SplitSpec = SplitSpec()


class QuantizeSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How `export --int8` fine-tunes under fake quantization, calibrates, and what its gate demands.

    `max_drop` in points of accuracy, `min_agreement` as a share of images.
    """

    epochs: Positive = 8
    learning_rate: PositiveFloat = 3e-5
    batch_size: Positive = 16
    calibration_images: Positive = 200
    max_drop: Annotated[float, Meta(ge=0.0)] = 1.0
    min_agreement: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.97
    agreement_images: Positive = 2000


class Recipe(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that decides a result. See the module's own words."""

    name: Name
    description: str = ""
    seed: Annotated[int, Meta(ge=0)] = 0
    backbone: BackboneSpec = BackboneSpec()
    preprocess: PreprocessSpec = PreprocessSpec()
    stages: Annotated[tuple[StageSpec, ...], Meta(min_length=1)]
    quantize: QuantizeSpec = QuantizeSpec()


def load_recipe(
    source: str | Path,
    *,
    overrides: Sequence[str] = (),
    data: Mapping[str, str] | None = None,
    weights: str | None = None,
    seed: int | None = None,
    resplit: bool = False,
) -> Recipe:
    """Read a built-in recipe or a TOML file, apply what the command line says, and check it whole.

    Args:
        source: A built-in name, or the path of a TOML file.
        overrides: `a.b=c` each; stages are addressed by name (`stages.bridge.epochs=5`), values are TOML or bare words.
        data: Stage name → data source, as in `--data target=PATH`.
        weights: Replaces `backbone.weights`.
        seed: Replaces `seed`.
        resplit: Deal every stage's images anew, whatever splits the folders declare.

    Raises:
        RecipeError: Unknown recipe, key, stage, backbone or layer, or a value out of range.
    """
    tree = _read_tree(source)
    _check_keys(tree, Recipe, "")
    for stage_name, stage_data in (data or {}).items():
        _stage(tree, stage_name)["data"] = stage_data
    if weights is not None:
        _table(tree, "backbone")["weights"] = weights
    if seed is not None:
        tree["seed"] = seed
    if resplit:
        for stage in _stages(tree):
            _table(stage, "split")["resplit"] = True
    for override in overrides:
        _override(tree, override)
    return resolve(tree)


def resolve(tree: Mapping[str, Any]) -> Recipe:
    """Turn a tree of plain values into a checked recipe with every default written out.

    Raises:
        RecipeError: See `load_recipe`.
    """
    _check_keys(tree, Recipe, "")
    try:
        recipe = msgspec.convert(tree, Recipe)
    except msgspec.ValidationError as error:
        raise RecipeError(
            f"a valid recipe: {str(error).replace('`$.', '`')}", hint="See 'mstl-edge recipes show phantom'."
        ) from error
    return _checked(recipe)


def _read_tree(source: str | Path) -> dict[str, Any]:
    path = Path(source)
    if path.suffix != ".toml" and not path.is_file():
        known = recipes.names()
        if str(source) not in known:
            raise RecipeError(
                f"a built-in recipe ({', '.join(known)}) or the path of a TOML file",
                received=source,
                hint=_did_you_mean(str(source), known) or "List them with 'mstl-edge recipes list'.",
            )
        return tomllib.loads(recipes.read(str(source)))
    if not path.is_file():
        raise RecipeError(
            "a recipe file that exists", received=path, hint="List the built-in ones: mstl-edge recipes list"
        )
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"a TOML file ({error})", received=path, hint="Start from 'mstl-edge recipes show phantom'."
        ) from error


def _check_keys(tree: Any, spec: type, where: str) -> None:
    """Refuse unknown keys at any depth, naming the nearest one that exists."""
    if not isinstance(tree, Mapping):
        return
    fields = {field.name: field.type for field in msgspec.structs.fields(spec)}
    for key, value in tree.items():
        if key not in fields:
            raise RecipeError(
                f"a key of {where or 'the recipe'} ({', '.join(fields)})",
                received=f"{where}.{key}" if where else key,
                hint=_did_you_mean(key, list(fields)) or "See 'mstl-edge recipes show phantom'.",
            )
        inner = fields[key]
        if key == "stages" and isinstance(value, Sequence):
            for number, stage in enumerate(value):
                label = stage.get("name", number) if isinstance(stage, Mapping) else number
                _check_keys(stage, StageSpec, f"stages.{label}")
        elif isinstance(inner, type) and issubclass(inner, Struct):
            _check_keys(value, inner, f"{where}.{key}" if where else key)


def _stage(tree: dict[str, Any], name: str) -> dict[str, Any]:
    stages = _stages(tree)
    for number, stage in enumerate(stages):
        if name in (stage.get("name"), str(number)):
            return stage
    names = [str(stage.get("name")) for stage in stages]
    raise RecipeError(
        f"a stage of the recipe ({', '.join(names)})",
        received=name,
        hint=_did_you_mean(name, names) or f"For example --data {names[0] if names else 'target'}=PATH.",
    )


def _stages(tree: Mapping[str, Any]) -> list[dict[str, Any]]:
    stages = tree.get("stages", [])
    if not isinstance(stages, list) or not all(isinstance(stage, dict) for stage in stages):
        raise RecipeError(
            "stages as tables ([[stages]])",
            received=f"stages = {stages!r}",
            hint="See 'mstl-edge recipes show phantom'.",
        )
    return stages


def _table(tree: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the table under `key`, made where it is absent."""
    table = tree.setdefault(key, {})
    if not isinstance(table, dict):
        raise RecipeError(f"{key} as a table of the recipe", received=f"{key} = {table!r}")
    return table


def _override(tree: dict[str, Any], override: str) -> None:
    path, separator, text = override.partition("=")
    if not separator or not path:
        raise RecipeError("--set KEY=VALUE", received=override, hint="For example --set stages.bridge.epochs=5.")
    *parents, leaf = path.strip().split(".")
    node: dict[str, Any] = tree
    walk = iter(parents)
    for parent in walk:
        node = _stage(tree, next(walk, "")) if parent == "stages" and node is tree else _table(node, parent)
    node[leaf] = _value(text)
    _check_keys(tree, Recipe, "")


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except ValueError:  # TOMLDecodeError is one; so is a number with more digits than Python parses
        return text


def _checked(recipe: Recipe) -> Recipe:
    """Check what types cannot say: names that must exist or be unique, and sums that must fit."""
    backbone = backbones.REGISTRY.get(recipe.backbone.name)
    if backbone is None:
        raise RecipeError(
            f"a backbone ({', '.join(backbones.REGISTRY)})",
            received=f"backbone.name={recipe.backbone.name}",
            hint=_did_you_mean(recipe.backbone.name, list(backbones.REGISTRY)),
        )
    if recipe.preprocess.window and not _rising_pair(recipe.preprocess.window):
        raise RecipeError(
            "preprocess.window as [low, high] with low below high", received=list(recipe.preprocess.window)
        )
    names = [stage.name for stage in recipe.stages]
    if len(set(names)) != len(names):
        raise RecipeError("stages with different names", received=", ".join(names))
    for stage in recipe.stages:
        _refuse_unknown_layer(backbone, stage.unfreeze_from, f"stages.{stage.name}.unfreeze_from")
        if stage.split.validation + stage.split.test >= 1:
            raise RecipeError(
                f"validation and test shares of stages.{stage.name}.split that leave something to train on",
                received=f"{stage.split.validation} + {stage.split.test}",
            )
        if stage.select == "average" and stage.early_stopping:
            raise RecipeError(
                f"every epoch of stages.{stage.name} to be trained, since select = average takes the last ones",
                received=f"early_stopping={stage.early_stopping}",
                hint=f"Use --set stages.{stage.name}.early_stopping=0, or select = best.",
            )
    return recipe


def _refuse_unknown_layer(backbone: backbones.Backbone, layer: str, where: str) -> None:
    if layer not in backbone.layers:
        raise RecipeError(
            f"a layer of {backbone.name} in {where} (such as {', '.join(backbone.layers[-4:])})",
            received=layer,
            hint=_did_you_mean(layer, list(backbone.layers)),
        )


def _rising_pair(window: tuple[float, ...]) -> bool:
    return len(window) == 2 and window[0] < window[1]


def _did_you_mean(received: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(received, known, n=1, cutoff=0.5)
    return f"Did you mean {near[0]}?" if near else ""


def to_tree(recipe: Recipe) -> dict[str, Any]:
    """Return the resolved recipe as plain values, every default written out."""
    tree: dict[str, Any] = msgspec.to_builtins(recipe)
    return tree


def to_toml(recipe: Recipe) -> str:
    """Return the resolved recipe as TOML that `load_recipe` reads back to the same recipe."""
    import tomli_w  # a training-side package: the device reads recipes from the card, as JSON

    return tomli_w.dumps(to_tree(recipe))
