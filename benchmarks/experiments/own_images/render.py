"""The tables of images that no recipe was written for: what `mstl-edge run` chose for them, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rendered.markdown import read, share, table


def runs() -> str:
    """Return a row for each data set."""
    columns = [
        "images",
        "classes",
        "chosen",
        "test images",
        "float32, accuracy % (95 %)",
        "int8, accuracy % (95 %)",
        "same label %",
        "the gate",
        "seconds, two busy cores",
    ]
    return table(columns, map(_row, _trees()))


def classes() -> str:
    """Return a row for each class of the sets that have more than two."""
    columns = ["images", "class", "test images", "recall % (95 %)", "after int8", "precision %", "after int8", "AUC"]
    return table(columns, (row for tree in _trees() for row in _class_rows(tree)))


def _trees() -> list[Any]:
    found: list[Any] = read("own-images.json")["runs"]
    return found


def _row(tree: Any) -> Sequence[object]:
    chosen = {choice["key"]: choice["value"] for choice in tree["choices"]["choices"]}
    stage, test, promised = tree["metrics"]["stages"][-1], tree["export"]["test"], tree["export"]["gate"]
    told = {key.removeprefix("stages.target."): value for key, value in chosen.items()}
    accepted = tree["export"]["verdict"] != "refused"
    return [
        tree["name"],
        len(stage["labels"]),
        f"from `{told['unfreeze_from']}`, {told['epochs']} epochs, {told['augment.views']} views",
        test["float32"]["n"],
        share(test["float32"]["accuracy"]),
        share(test["int8"]["accuracy"]) if test["int8"] else "–",
        share(test["agreement"]["agreement"]) if test["agreement"] else "–",
        f"{promised['verdict']}: {100 * promised['drop_at_most']:.1f} points at most" if accepted else "refused",
        f"{tree['seconds']:.0f}" if tree["seconds"] else "–",
    ]


def _class_rows(tree: Any) -> Iterator[Sequence[object]]:
    test = tree["export"]["test"]
    of_float, of_int8 = test["float32"]["classes"], (test["int8"] or {}).get("classes", {})
    for label, scored in of_float.items() if len(of_float) > 2 else ():
        after = of_int8.get(label)
        yield [
            tree["name"],
            label,
            scored["n"],
            share(scored["recall"]),
            share(after["recall"]) if after else "–",
            f"{100 * scored['precision']['value']:.1f}" if scored["precision"] else "–",
            f"{100 * after['precision']['value']:.1f}" if after and after["precision"] else "–",
            f"{scored['auc']['value']:.3f}" if scored["auc"] else "–",
        ]


TABLES = {"own-images": runs, "own-images-classes": classes}
