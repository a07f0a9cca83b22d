"""What the command line asks for in short words, each the same as a `--set` on the backbone or on the last stage."""

from __future__ import annotations

import json
from dataclasses import dataclass

from mstl_edge.errors import RecipeError
from mstl_edge.recipe import LAST, did_you_mean
from mstl_edge_models import backbones


@dataclass(frozen=True)
class Asked:
    """Short words; None or empty where a word was not given.

    `bridge` is data for a stage in front; `overrides` are `--set` pairs, applied after everything else.
    """

    backbone: str | None = None
    weights: str | None = None
    epochs: int | None = None
    learning_rate: float | None = None
    size: int | None = None
    positive: str | None = None
    patient: str | None = None
    image_column: str | None = None
    label_column: str | None = None
    map: tuple[str, ...] | None = None
    only: tuple[str, ...] | None = None
    slices: str | None = None
    name: str | None = None
    seed: int | None = None
    resplit: bool = False
    bridge: str | None = None
    overrides: tuple[str, ...] = ()

    def as_overrides(self) -> tuple[str, ...]:
        """Return every short word as `KEY=VALUE`, the `--set` pairs last."""
        pairs: list[str] = []
        if self.backbone is not None:
            name, variant = parse_backbone(self.backbone)
            pairs += [f"backbone.name={name}", f'backbone.variant="{variant}"']
        numbers = {
            "backbone.input_size": self.size,
            f"stages.{LAST}.epochs": self.epochs,
            f"stages.{LAST}.learning_rate": self.learning_rate,
        }
        texts = {
            f"stages.{LAST}.positive": self.positive,
            f"stages.{LAST}.split.patient": self.patient,
            f"stages.{LAST}.labels.image": self.image_column,
            f"stages.{LAST}.labels.label": self.label_column,
            f"stages.{LAST}.labels.map": self.map,
            f"stages.{LAST}.labels.only": self.only,
            f"stages.{LAST}.labels.slices": self.slices,
            "name": self.name,
        }
        pairs += [f"{key}={value}" for key, value in numbers.items() if value is not None]
        # Quoted, since a text such as 1 or true would be taken for a number or a truth value.
        pairs += [f"{key}={json.dumps(value)}" for key, value in texts.items() if value is not None]
        return (*pairs, *self.overrides)

    def sets(self, key: str) -> bool:
        """Return whether a short word or a `--set` pair names this key."""
        return any(pair.partition("=")[0].strip() == key for pair in self.as_overrides())


def parse_backbone(text: str) -> tuple[str, str]:
    """Return name and variant of `NAME[:VARIANT]`; an empty variant where none is named.

    Raises:
        RecipeError: An unknown architecture or variant; the nearest is named.
    """
    name, _, variant = text.partition(":")
    if name not in backbones.REGISTRY:
        known = list(backbones.REGISTRY)
        raise RecipeError(
            f"a backbone ({', '.join(known)})",
            received=name or text,
            hint=did_you_mean(name, known) or "Name one of them.",
        )
    if not variant:
        return name, ""
    backbone = backbones.REGISTRY[name]
    found = backbone.variant(variant)
    if found is None:
        raise RecipeError(
            f"a variant of {name} ({', '.join(backbone.variants)})",
            received=variant,
            hint=f"For example --backbone {name}:{backbone.variants[0]}",
        )
    return name, found
