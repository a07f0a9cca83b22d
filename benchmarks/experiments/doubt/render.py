"""The tables of what files say of their own doubt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rendered.markdown import read, share, table

RESULT = "doubt.json"


def sets() -> str:
    """Return what sets of labels hold, by recipe and file."""
    columns = (
        "recipe", "file", "seeds", "images", "accuracy % (95 %)", "promise", "true label in the set % (95 %)",
        "a single label % (95 %)", "accuracy of those %", "like the training images % (95 %)",
        "time of familiarity, % of an inference",
    )  # fmt: skip
    return table(columns, (_row(recipe, scheme, told) for recipe, scheme, told in _files()))


def familiarity() -> str:
    """Return how well other pictures are told apart."""
    names = list(dict.fromkeys(name for _, _, told in _files() for name in told["others"]))
    rows = []
    for recipe, scheme, told in _files():
        found = told["others"]
        rows.append([recipe["name"], scheme, *(_told(found.get(name)) for name in names)])
    kinds = {name: entry["kind"] for _, _, told in _files() for name, entry in told["others"].items()}
    return table(("recipe", "file", *(f"{name} ({kinds[name]})" for name in names)), rows)


def instructions() -> str:
    """Return what doubt adds to an inference on emulated cores."""
    rows = [
        [
            row["name"],
            row["scheme"],
            f"{row['board']} ({row['core']})",
            f"{row['invoke'] / 1e6:.1f} M",
            f"{row['doubt'] / 1e6:.2f} M",
            f"{100 * row['share']:.1f}",
        ]
        for row in read("doubt-instructions.json")["counts"]
    ]
    return table(("recipe", "file", "core", "inference, instructions", "doubt, instructions", "% more"), rows)


def _files() -> Iterator[tuple[Any, str, Any]]:
    for recipe in read(RESULT)["recipes"]:
        for scheme, told in recipe["files"].items():
            yield recipe, scheme, told


def _row(recipe: Any, scheme: str, told: Any) -> list[object]:
    promises = {
        f"{100 * doubt['sets']['level']:.0f} %, {doubt['sets']['kind']}" for doubt in told["doubt"] if doubt["sets"]
    }
    refused = f" ({recipe['refused']} refused)" if recipe["refused"] else ""
    return [
        recipe["name"],
        scheme,
        f"{recipe['seeds']}{refused}",
        told["images"],
        share(told["accuracy"]),
        ", ".join(sorted(promises)),
        share(told["coverage"]),
        share(told["single"]),
        f"{100 * told['accuracy_of_single']:.1f}",
        share(told["familiar"]),
        f"{100 * told['time_share']:.1f}",
    ]


def _told(entry: Any) -> str:
    return "–" if entry is None else f"{entry['auroc']:.3f} ({100 * entry['told_apart']:.0f} %)"


TABLES = {"doubt-sets": sets, "doubt-familiarity": familiarity, "doubt-instructions": instructions}
