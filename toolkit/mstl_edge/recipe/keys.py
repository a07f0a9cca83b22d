"""Every key of a recipe, as people type it: what it takes, what it is without them, what it means, and which words lead to it."""

from __future__ import annotations

import difflib
import fnmatch
import re
import typing
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Literal

import msgspec
from msgspec import NODEFAULT, Struct

from mstl_edge.recipe.spec import Recipe

STAGE = "NAME"
"""Stands for the name of a stage in the path of a key."""
KEYS_SCHEMA = "mstl-edge/keys/1"

Kind = Literal["whole number", "number", "text", "true or false", "choice", "numbers", "text or numbers"]

SYNONYMS: dict[str, tuple[str, ...]] = {
    "agreement": ("quantize.min_agreement", "quantize.agreement_images"),
    "alpha": ("backbone.variant",),
    "architecture": ("backbone.name",),
    "augment": ("augment.views",),
    "augmentation": ("augment.views",),
    "balance": ("class_weight",),
    "batch": ("batch_size",),
    "bits": ("quantize.weight_bits",),
    "bs": ("batch_size",),
    "calibration": ("quantize.calibration_images",),
    "checkpoint": ("backbone.weights",),
    "class": ("positive",),
    "crop": ("preprocess.aspect",),
    "dataset": ("data",),
    "decay": ("schedule",),
    "drop": ("quantize.max_drop",),
    "dropout": ("label_smoothing", "mixup"),
    "finetune": ("unfreeze_from",),
    "folds": ("quantize.cross_fit",),
    "freeze": ("unfreeze_from",),
    "frozen": ("unfreeze_from",),
    "group": ("split.patient",),
    "holdout": ("split.validation", "split.test"),
    "imagesize": ("backbone.input_size",),
    "interpolation": ("preprocess.resize",),
    "kfold": ("quantize.cross_fit",),
    "layers": ("unfreeze_from",),
    "lr": ("learning_rate",),
    "mirror": ("augment.flip",),
    "model": ("backbone.name",),
    "multiplier": ("backbone.variant",),
    "network": ("backbone.name",),
    "opt": ("optimizer",),
    "pad": ("preprocess.aspect",),
    "patience": ("early_stopping",),
    "pixels": ("backbone.input_size", "preprocess.max_pixels"),
    "precision": ("quantize.weight_bits", "feature_precision"),
    "pretrained": ("backbone.weights",),
    "randomstate": ("seed",),
    "rate": ("learning_rate",),
    "representative": ("quantize.calibration_images",),
    "resolution": ("backbone.input_size",),
    "rotation": ("augment.rotate",),
    "scale": ("augment.zoom",),
    "scheduler": ("schedule",),
    "size": ("backbone.input_size",),
    "smoothing": ("label_smoothing",),
    "source": ("data",),
    "split": ("split.validation", "split.test"),
    "steps": ("epochs",),
    "subject": ("split.patient",),
    "swa": ("select",),
    "translate": ("augment.shift",),
    "val": ("split.validation",),
    "width": ("backbone.variant",),
    "widthmultiplier": ("backbone.variant",),
}
"""Words of other programs, without `-` and `_`, and the ends of the keys that do here what they do there, or come nearest."""


class RecipeKey(Struct, frozen=True, kw_only=True):
    """A key of a recipe.

    `path` is spelled as `--set` takes it, with NAME for the name of a stage. `default` is a plain value, and None where the key
    is `required`. `range` says in words what it takes.
    """

    path: str
    kind: Kind
    choices: tuple[str, ...] = ()
    required: bool = False
    default: Any = None
    range: str
    meaning: str

    @property
    def expected(self) -> str:
        """What a value must be, as a phrase: `a whole number, 1 or more`."""
        if self.kind in ("choice", "true or false"):
            return self.range
        article = "a " if self.kind in ("whole number", "number") else ""
        return f"{article}{self.kind}" + (f", {self.range}" if self.range != self.kind else "")

    @property
    def default_text(self) -> str:
        """The default as people read it: bare words, `""` for an empty text, `required` where there is none."""
        if self.required:
            return "required"
        if isinstance(self.default, bool):
            return str(self.default).lower()
        return msgspec.json.encode(self.default).decode() if self.default in ("", []) else str(self.default)


@cache
def recipe_keys() -> tuple[RecipeKey, ...]:
    """Return every key of a recipe, in the order of the specs, with stages as `stages.NAME.…`.

    Raises:
        TypeError: A field of a spec has no meaning, or a type that no key has had so far.
    """
    return tuple(_keys_of(Recipe, ""))


def find_keys(pattern: str) -> tuple[RecipeKey, ...]:
    """Return the keys that a pattern finds.

    Args:
        pattern: A path (`stages.target.epochs`) or a part of one (`augment`), a glob over it (`*.epochs`), or a word of another
            program (`lr`). Where no path has it, it is looked for in the meanings. Empty: every key.
    """
    if named := key_at(pattern):
        return (named,)
    wanted = pattern.strip().lower()
    if re.search(r"[*?\[]", wanted):
        return tuple(key for key in recipe_keys() if fnmatch.fnmatchcase(key.path.lower(), wanted))
    ends = SYNONYMS.get(_squeezed(wanted), ())
    found = tuple(
        key
        for key in recipe_keys()
        if wanted in key.path.lower() or _squeezed(wanted) in _squeezed(key.path) or _ends_with(key.path, ends)
    )
    return found or tuple(key for key in recipe_keys() if wanted in key.meaning.lower())


def key_at(path: str) -> RecipeKey | None:
    """Return the key that a typed path names, whatever its stage is called."""
    parts = path.split(".")
    if parts[0] == "stages" and len(parts) > 2:
        parts = ["stages", STAGE, *parts[2:]]
    return next((key for key in recipe_keys() if key.path == ".".join(parts)), None)


def typed_paths(stages: Sequence[str]) -> list[str]:
    """Return every path that can be typed for a recipe with these stages; of the stages the last comes first."""
    head = f"stages.{STAGE}."
    inner = [key.path.removeprefix(head) for key in recipe_keys() if key.path.startswith(head)]
    of_stages = [f"stages.{stage}.{path}" for stage in reversed(stages) for path in inner]
    return of_stages + [key.path for key in recipe_keys() if not key.path.startswith(head)]


def nearest_paths(path: str, stages: Sequence[str]) -> list[str]:
    """Return the keys that somebody may have meant by a path that does not exist, the nearest first.

    Keys of the same table come before those of others: by the same last word or a word of another program, then by similar
    spelling.

    Args:
        path: What was typed, `epochs`, `target.epochs` or `stages.target.lr`.
        stages: Names of the recipe's stages.
    """
    table, _, word = path.rpartition(".")
    known = typed_paths(stages)
    inside = [one for one in known if f".{table}." in f".{one}"] if table else []
    ends = (word, *SYNONYMS.get(_squeezed(word), ()))
    for among, alike in ((inside, 0.6), (known, 0.75)):
        if found := [one for one in among if _ends_with(one, ends)]:
            return found
        words = {_squeezed(_last(one)) for one in among}
        if close := difflib.get_close_matches(_squeezed(word), sorted(words), n=1, cutoff=alike):
            return [one for one in among if _squeezed(_last(one)) == close[0]]
    return []


def nearest_hint(path: str, stages: Sequence[str]) -> str:
    """Return `Did you mean A (or B)?` for a key that does not exist, or which command explains every key."""
    found = nearest_paths(path, stages)
    if not found:
        return "See 'mstl-edge recipes keys'."
    return f"Did you mean {found[0]}{f' (or {found[1]})' if len(found) > 1 else ''}?"


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _squeezed(word: str) -> str:
    return re.sub(r"[-_\s]", "", word.lower())


def _ends_with(path: str, ends: Sequence[str]) -> bool:
    return any(f".{_squeezed(path)}".endswith(f".{_squeezed(end)}") for end in ends)


def _keys_of(spec: type[Struct], prefix: str) -> Iterator[RecipeKey]:
    described = msgspec.inspect.type_info(spec)
    assert isinstance(described, msgspec.inspect.StructType)
    written = {field.name: field.type for field in msgspec.structs.fields(spec)}
    for field in described.fields:
        path = f"{prefix}{field.name}"
        kind, meaning, told = _unwrapped(field.type)
        if not meaning:
            raise TypeError(f"{path} has no meaning: give it a Meta(description=…)")
        if isinstance(kind, msgspec.inspect.StructType):
            yield from _keys_of(kind.cls, f"{path}.")
        elif isinstance(kind, msgspec.inspect.VarTupleType) and isinstance(kind.item_type, msgspec.inspect.StructType):
            yield from _keys_of(kind.item_type.cls, f"{path}.{STAGE}.")
        else:
            yield _key(path, kind, written[field.name], field.default, meaning, told)


def _unwrapped(kind: msgspec.inspect.Type) -> tuple[msgspec.inspect.Type, str, str]:
    """Return a type without its metadata, its meaning, and its range in words where it has one."""
    meaning, told = "", ""
    while isinstance(kind, msgspec.inspect.Metadata):
        meaning = (kind.extra_json_schema or {}).get("description", meaning)
        told = (kind.extra or {}).get("range", told)
        kind = kind.type
    return kind, meaning, told


def _key(path: str, kind: msgspec.inspect.Type, written: Any, default: Any, meaning: str, told: str) -> RecipeKey:
    # msgspec sorts choices; a spec names the usual one first.
    choices = typing.get_args(getattr(written, "__origin__", written)) if _is_choice(kind) else ()
    word: Kind = "choice"
    limits = _or(choices)
    if not choices:
        word, limits = _described(path, kind)
    required = default is NODEFAULT
    return RecipeKey(
        path=path,
        kind=word,
        choices=choices,
        required=required,
        default=None if required else list(default) if isinstance(default, tuple) else default,
        range=told or limits,
        meaning=meaning,
    )


def _is_choice(kind: msgspec.inspect.Type) -> bool:
    return isinstance(kind, msgspec.inspect.LiteralType)


def _or(choices: Sequence[str]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}" if len(choices) > 1 else "".join(choices)


def _described(path: str, kind: msgspec.inspect.Type) -> tuple[Kind, str]:
    """Return what a leaf takes and its range, in words."""
    if isinstance(kind, msgspec.inspect.BoolType):
        return "true or false", "true or false"
    if isinstance(kind, msgspec.inspect.IntType):
        return "whole number", _limits(kind) or "whole number"
    if isinstance(kind, msgspec.inspect.FloatType):
        return "number", _limits(kind) or "number"
    if isinstance(kind, msgspec.inspect.StrType):
        return "text", "text"
    if isinstance(kind, msgspec.inspect.VarTupleType):
        return "numbers", "numbers"
    if isinstance(kind, msgspec.inspect.UnionType):
        return "text or numbers", "text or numbers"
    raise TypeError(f"{path} is of a type that no key has had so far: {kind}")


def _limits(kind: msgspec.inspect.IntType | msgspec.inspect.FloatType) -> str:
    """Return bounds in words: `1 or more`, `above 0`, `0 to 20`, `7 or 8`, `0 to below 1`, `above 0 and below 1`."""
    if isinstance(kind, msgspec.inspect.IntType) and kind.ge is not None and kind.le == kind.ge + 1:
        return f"{kind.ge} or {kind.le}"
    low, above, high, below = (None if end is None else f"{end:g}" for end in (kind.ge, kind.gt, kind.le, kind.lt))
    if low is not None and (high or below) is not None:
        return f"{low} to {high}" if high is not None else f"{low} to below {below}"
    words = (
        f"{low} or more" if low is not None else "",
        f"above {above}" if above is not None else "",
        f"{high} or less" if high is not None else "",
        f"below {below}" if below is not None else "",
    )
    return " and ".join(filter(None, words))
