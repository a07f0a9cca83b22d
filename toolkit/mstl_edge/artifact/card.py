"""The card: what a model file says about itself, and the checks that it is true of the file it travels in."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from mstl_edge.artifact.doubt import Doubt
from mstl_edge.artifact.inspection import WEIGHT_BITS, ModelFacts
from mstl_edge.errors import ArtifactError, RecipeError
from mstl_edge.recipe import NAMED_WEIGHTS, REMOTE_SOURCES, PreprocessSpec, in_numbers, windows_of

CARD_SCHEMA: Literal["mstl-edge/card/1"] = "mstl-edge/card/1"
MANY_CLASSES_SCHEMA: Literal["mstl-edge/card/2"] = "mstl-edge/card/2"
"""Of a card with more than two classes, which have neither a positive one nor a threshold; with two a card stays of version 1, so
that a device with an older mstl-edge reads it."""
TWO_OUTPUTS_SCHEMA: Literal["mstl-edge/card/3"] = "mstl-edge/card/3"
"""Of a file whose second output is the feature map, which an older mstl-edge does not run."""
WINDOWS_SCHEMA: Literal["mstl-edge/card/4"] = "mstl-edge/card/4"
"""Of a file whose channels are three windows of one grey image, which an older mstl-edge does not make."""
SCHEMAS = (CARD_SCHEMA, MANY_CLASSES_SCHEMA, TWO_OUTPUTS_SCHEMA, WINDOWS_SCHEMA)
NORMALIZATION: Literal["(p - 128) / 128"] = "(p - 128) / 128"

Scheme = Literal["float32", "float16", "dynamic", "int8", "mixed"]
Verdict = Literal["float", "proven", "undecided", "unchecked"]

_Count = Annotated[int, Meta(ge=1)]
_Label = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\r\n]+$")]


class InputContract(Struct, frozen=True, kw_only=True):
    """How an image file becomes the model's input; all a device has to know.

    The pixels of `preprocess.load_image(file, height, preprocess)` are normalized as `normalization` says; for a
    quantized input the result is `round(x / scale) + zero_point`, which for 1/128 and 0 is `p - 128`.
    """

    height: _Count
    width: _Count
    preprocess: PreprocessSpec = PreprocessSpec()
    normalization: Literal["(p - 128) / 128"] = NORMALIZATION
    dtype: Literal["float32", "int8", "uint8"]
    scale: Annotated[float, Meta(ge=0.0)] = 0.0
    zero_point: int = 0


class Hashes(Struct, frozen=True, kw_only=True):
    """SHA-256 in hexadecimal: of each stage's split manifest, of the trained weights, of this file's flatbuffer."""

    data: dict[str, str] = {}
    weights: str = ""
    flatbuffer: str = ""


class GoldenRecord(Struct, frozen=True, kw_only=True):
    """What this file answered to one drawn image.

    `outputs` are the reference kernels' raw numbers, `answers` those of every other runtime at hand at export, `tolerance_lsb` how
    far the two lay apart. A runtime is held to its own answer within `margin_lsb`, and where it has none here, to the reference
    kernels' within tolerance and margin. 1 LSB is the output's quantum, 1/256 in a float model. `map_lsb` is, of a file with a
    feature map, how far the answer that follows from the map lay from the one that was given, in each runtime.
    """

    file: str
    outputs: tuple[float, ...]
    answers: dict[str, tuple[float, ...]] = {}
    tolerance_lsb: dict[str, float] = {}
    map_lsb: dict[str, float] = {}
    margin_lsb: Annotated[float, Meta(ge=0.0, le=64.0)] = 1.0


class Card(Struct, frozen=True, kw_only=True):
    """Everything that a model file says about itself; stored in it as `card.json`.

    `recipe` is the resolved recipe as plain values, paths left out. `metrics` maps `float32` and `int8` to their scores on the
    test split, `validation` to what the export gate saw, `notes` to how the file was made. `scheme` is `mixed` where some layers of
    an int8 file stay float. `verdict`: `proven` means that the export gate passed, `undecided` that there were too few
    images to judge, `float` that nothing was quantized, `unchecked` that no gate ran. With more than two classes `positive` and
    `threshold` are None, whatever an older version wrote there. `doubt` is None in files of before.
    """

    schema: Literal["mstl-edge/card/1", "mstl-edge/card/2", "mstl-edge/card/3", "mstl-edge/card/4"] = CARD_SCHEMA
    name: str
    recipe: dict[str, Any]
    labels: Annotated[tuple[_Label, ...], Meta(min_length=2)]
    positive: str | None = None
    input: InputContract
    scheme: Scheme
    threshold: Annotated[float, Meta(gt=0.0, lt=1.0)] | None = 0.5
    temperature: Annotated[float, Meta(gt=0.0)] = 1.0
    verdict: Verdict = "unchecked"
    metrics: dict[str, Any] = {}
    hashes: Hashes = Hashes()
    versions: dict[str, str] = {}
    golden: tuple[GoldenRecord, ...] = ()
    doubt: Doubt | None = None

    def __post_init__(self) -> None:
        if len(self.labels) > 2:
            schema = MANY_CLASSES_SCHEMA if self.schema == CARD_SCHEMA else self.schema
            for name, value in (("schema", schema), ("positive", None), ("threshold", None)):
                msgspec.structs.force_setattr(self, name, value)

    @property
    def weight_bits(self) -> int:
        """Bits of an int8 file's weights, as its recipe says; 8 where that is older than the choice, and in other schemes."""
        quantize = self.recipe.get("quantize") if self.scheme in ("int8", "mixed") else None
        bits = quantize.get("weight_bits") if isinstance(quantize, dict) else None
        return bits if isinstance(bits, int) and 2 <= bits <= WEIGHT_BITS else WEIGHT_BITS

    @property
    def positive_index(self) -> int | None:
        """Column of the positive class; None with more than two classes."""
        return None if self.positive is None else self.labels.index(self.positive)


def encode_card(card: Card) -> bytes:
    """Return the card as JSON that a person can read and that is equal for equal cards."""
    return msgspec.json.format(msgspec.json.encode(card, order="deterministic"), indent=1) + b"\n"


def decode_card(content: bytes) -> Card:
    """Parse `card.json`; fields that this version does not know are passed over.

    Raises:
        ArtifactError: It is no JSON, of another schema, or a field is missing or wrong.
    """
    try:
        card = msgspec.json.decode(content, type=Card)
    except msgspec.DecodeError as error:
        raise bad_card(f"card.json: {error}") from error
    except RecursionError as error:
        raise bad_card("card.json: nested too deeply") from error
    if len(set(card.labels)) != len(card.labels):
        raise bad_card(f"labels that repeat: {', '.join(card.labels)}")
    if len(card.labels) == 2 and card.threshold is None:
        raise bad_card(f"no threshold for two labels ({', '.join(card.labels)})")
    if len(card.labels) == 2 and card.positive not in card.labels:
        raise bad_card(f"positive class {card.positive!r}, labels {', '.join(card.labels)}")
    return card


def check_card(card: Card, facts: ModelFacts) -> None:
    """Check that the card speaks of the model it travels with.

    Raises:
        ArtifactError: Labels, input, output or bits of the two differ.
    """
    shape = facts.output.shape
    if len(shape) != 2 or shape[-1] != len(card.labels):
        raise bad_card(f"{len(card.labels)} labels ({', '.join(card.labels)}) for outputs of shape {list(shape)}")
    said = (1, card.input.height, card.input.width, 3)
    if facts.input.shape != said:
        raise bad_card(f"input {list(said)} on the card, {list(facts.input.shape)} in the model")
    if card.input.dtype != facts.input.dtype:
        raise bad_card(f"{card.input.dtype} input on the card, {facts.input.dtype} in the model")
    scale, zero_point = facts.input.scale or 0.0, facts.input.zero_point or 0
    if not math.isclose(card.input.scale, scale, rel_tol=1e-6) or card.input.zero_point != zero_point:
        raise bad_card(
            f"input scale {card.input.scale:g} and zero point {card.input.zero_point} on the card, "
            f"{scale:g} and {zero_point} in the model"
        )
    try:
        windows_of(card.input.preprocess.window)
    except RecipeError as error:
        raise bad_card(f"a window that is none ({error.received})") from error
    if card.schema == TWO_OUTPUTS_SCHEMA and facts.feature_map is None:
        raise bad_card("a feature map on the card, and none among the outputs")
    wide = [kernel.name for kernel in facts.kernels if kernel.wide_channels(card.weight_bits)]
    if wide and card.weight_bits < WEIGHT_BITS:
        raise bad_card(f"weights of {card.weight_bits} bits on the card, and more in {wide[0]}")
    sets = None if card.doubt is None else card.doubt.sets
    if sets is not None and not len(sets.lowest) == len(sets.images) == len(card.labels):
        raise bad_card(f"{len(sets.lowest)} bounds of label sets for {len(card.labels)} labels")
    for row in (row for record in card.golden for row in (record.outputs, *record.answers.values())):
        if len(row) != len(card.labels):
            raise bad_card(f"{len(row)} golden outputs for {len(card.labels)} labels")


def bad_card(what: str) -> ArtifactError:
    """Return the error for a card that does not hold."""
    return ArtifactError("a model file whose card holds", received=what, hint="Export it again: 'mstl-edge export'.")


def schema_of(card: Card, facts: ModelFacts) -> str:
    """Return the oldest version of a card that says all of it."""
    if len(windows_of(card.input.preprocess.window)) > 1:
        return WINDOWS_SCHEMA
    return CARD_SCHEMA if facts.feature_map is None else TWO_OUTPUTS_SCHEMA


def input_contract(facts: ModelFacts, preprocess: PreprocessSpec) -> InputContract:
    """Return the input contract that a model's own input tensor implies.

    Raises:
        ArtifactError: The input is not one RGB image.
    """
    shape = facts.input.shape
    if len(shape) != 4 or shape[0] != 1 or shape[3] != 3 or facts.input.dtype not in ("float32", "int8", "uint8"):
        raise not_a_classifier(facts)
    return msgspec.convert(
        {
            "height": shape[1],
            "width": shape[2],
            "preprocess": msgspec.to_builtins(preprocess) | {"window": in_numbers(preprocess.window)},
            "dtype": facts.input.dtype,
            "scale": facts.input.scale or 0.0,
            "zero_point": facts.input.zero_point or 0,
        },
        InputContract,
    )


def not_a_classifier(facts: ModelFacts) -> ArtifactError:
    """Return the error for a model that does not map one RGB image to one row of class probabilities."""
    return ArtifactError(
        "an image classifier: input (1, height, width, 3), output (1, classes)",
        received=f"{list(facts.input.shape)} → {list(facts.output.shape)}",
        hint="'mstl-edge inspect' shows what is in the file.",
    )


def without_paths(recipe: Mapping[str, Any], local: Callable[[str], str] = lambda _: "local") -> dict[str, Any]:
    """Return a resolved recipe as it is read back from JSON, without any path of this machine.

    Args:
        recipe: `recipe.to_tree(...)`.
        local: What stands for a path instead; the word `local` for all of them, unless it says otherwise.
    """
    tree: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(recipe))
    for stage in tree.get("stages", ()):
        if isinstance(stage, dict) and not str(stage.get("data", "")).startswith(REMOTE_SOURCES):
            stage["data"] = local(str(stage.get("data", "")))
    backbone = tree.get("backbone")
    if isinstance(backbone, dict) and backbone.get("weights", "none") not in NAMED_WEIGHTS:
        backbone["weights"] = local(str(backbone["weights"]))
    return tree
