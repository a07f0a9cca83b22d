"""`choices.json` (schema `mstl-edge/choices/1`): what was seen of images that no recipe knows, and what was chosen for them."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from mstl_edge.schemas.versioned import Schema


class SetFacts(Struct, frozen=True, kw_only=True):
    """What a data set is, as far as a recipe's choices depend on it.

    Sizes are `(smallest, median, largest)` in pixels. `grey` counts images without colour, `patients` is None where they are
    unknown, `groups` counts what a split keeps together, `near_duplicates` pairs of alike pictures. `declared` says whether folders
    or a column declare training, validation and test, and `unusable` why such splits cannot be kept.
    """

    source: str
    images: int
    classes: dict[str, int]
    width: tuple[int, int, int]
    height: tuple[int, int, int]
    grey: int
    patients: int | None
    groups: int
    near_duplicates: int = 0
    contradictory: int = 0
    unreadable: int = 0
    declared: bool = False
    unusable: str = ""


class Choice(Struct, frozen=True, kw_only=True):
    """A key of the recipe, its value, why it has it, and where that reason was found. `asked` marks a choice of the user."""

    key: str
    value: Any
    why: str
    source: str = ""
    asked: bool = False


class Choices(Struct, frozen=True, kw_only=True):
    """How a recipe was made from images: the facts by stage, and every choice in the order of the rules."""

    schema: str = ""
    facts: dict[str, SetFacts]
    choices: tuple[Choice, ...]


CHOICES = Schema("choices", 1, Choices)
