"""Tables of quantization-aware fine-tuning: plain tfmot against ours, in time and in accuracy."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.metrics import mcnemar_exact
from rendered.markdown import read, table

LESSONS = {
    "labels": ("tfmot, fit of all layers", "tfmot, fit with the prefix frozen", "ours, fine-tuned on labels"),
    "distilled": (
        "tfmot, fit of all layers, distilled",
        "tfmot, fit with the prefix frozen, distilled",
        "ours, fine-tuned and distilled (QAT)",
    ),
}


def seconds() -> str:
    """Return the seconds of quantization-aware fine-tuning by plain tfmot and by ours for the same image passes."""
    rows = []
    for recipe, lesson, chosen, (all_layers, frozen, ours) in _compared():
        passes = statistics.mean(run["image_passes"][lesson] for run in chosen)
        plain, same, own = (_seconds(chosen, scheme) for scheme in (all_layers, frozen, ours))
        cells = (f"{plain:.1f}", f"{same:.1f}", f"{own:.1f}", f"{plain / own:.1f}", f"{same / own:.1f}")
        rows.append([f"`{recipe}`", lesson, f"{passes:,.0f}", *cells])
    columns = ["recipe", "learned", "image passes", "tfmot, all layers s", "tfmot, same layers s", "ours s"]
    return table([*columns, "ratio to all layers", "ratio to the same layers"], rows)


def pairs() -> str:
    """Return the accuracy of ours and of plain tfmot on the same images, and on how many only one of them is right."""
    rows = []
    for recipe, lesson, chosen, (all_layers, frozen, ours) in _compared():
        own = _right(chosen, ours)
        for scheme in (all_layers, frozen):
            plain = _right(chosen, scheme)
            told = mcnemar_exact(own, plain)
            accuracies = (f"{100 * right.mean():.1f}" for right in (own, plain))
            layers = "all" if scheme is all_layers else "the same"
            rows.append(
                [
                    f"`{recipe}`",
                    lesson,
                    layers,
                    f"{len(own)}",
                    *accuracies,
                    f"{told.a_only} : {told.b_only}",
                    f"{told.p:.2f}",
                ]
            )
    columns = ["recipe", "learned", "tfmot's layers", "images", "ours %", "tfmot %", "right in one alone, ours : tfmot"]
    return table([*columns, "exact McNemar p"], rows)


def _compared() -> Iterator[tuple[str, str, list[Any], tuple[str, str, str]]]:
    """Yield each recipe and lesson with the recipe's runs and the names of the three schemes."""
    runs = read("quantization.json")["runs"]
    for recipe in dict.fromkeys(run["recipe"] for run in runs):
        for lesson, schemes in LESSONS.items():
            yield recipe, lesson, [run for run in runs if run["recipe"] == recipe], schemes


def _right(runs: Sequence[Any], scheme: str) -> NDArray[np.bool_]:
    """Return which of all runs' validation and test images a scheme has right."""
    return np.array(
        [one for run in runs for part in run["schemes"][scheme]["right"].values() for one in part], dtype=bool
    )


def _seconds(runs: Sequence[Any], scheme: str) -> float:
    return statistics.mean(run["schemes"][scheme]["fit_seconds"] for run in runs)
