"""Tables of quantization: what each step brings, and plain tfmot's fine-tuning against ours, in time and in accuracy."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.metrics import mcnemar_exact
from rendered.markdown import read, table

TITLES = {
    "float32": "float32",
    "tfmot-all": "tfmot, fit of all layers",
    "tfmot-same": "tfmot, fit with the prefix frozen",
    "tfmot-all-distilled": "tfmot, fit of all layers, distilled",
    "tfmot-same-distilled": "tfmot, fit with the prefix frozen, distilled",
    "per-tensor": "ours, depthwise per tensor",
    "per-channel": "ours, depthwise per channel",
    "equalized": "ours, channels equalized",
    "corrected": "ours, biases corrected (PTQ)",
    "fine-tuned": "ours, fine-tuned on labels",
    "distilled": "ours, fine-tuned and distilled (QAT)",
}
LESSONS = {
    "labels": ("tfmot-all", "tfmot-same", "fine-tuned"),
    "distilled": (
        "tfmot-all-distilled",
        "tfmot-same-distilled",
        "distilled",
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


SPLITS = ("validation", "test")


def quantization_in_short() -> str:
    """Return what tfmot's own scheme, a scale per channel, and the two candidates of an export come to."""
    return quantization(
        (
            "float32",
            "tfmot-all",
            "per-tensor",
            "per-channel",
            "corrected",
            "distilled",
        )
    )


def quantization(schemes: Sequence[str] = ()) -> str:
    """Return what each step of quantization brings; all steps unless some are named."""
    runs = read("quantization.json")["runs"]
    rows = []
    for recipe in dict.fromkeys(run["recipe"] for run in runs):
        chosen = [run["schemes"] for run in runs if run["recipe"] == recipe]
        for scheme in schemes or chosen[0]:
            entries = [measured[scheme] for measured in chosen]
            right = {split: [one for entry in entries for one in entry["right"][split]] for split in SPLITS}
            use = [entry["depthwise_channels"]["at_127"] for entry in entries if "depthwise_channels" in entry]
            rows.append(
                [
                    f"`{recipe}`",
                    TITLES[scheme],
                    f"{100 * statistics.mean(entry['agreement'] for entry in entries):.1f}",
                    f"{statistics.mean(entry['mean_difference'] for entry in entries):.3f}",
                    *(f"{sum(right[split])}/{len(right[split])}" for split in SPLITS),
                    f"{100 * statistics.mean(use):.0f}" if use else "–",
                    f"{statistics.mean(entry['seconds'] for entry in entries):.1f}" if use else "–",
                    f"{statistics.mean(entry['fit_seconds'] for entry in entries):.1f}"
                    if "fit_seconds" in entries[0]
                    else "–",
                ]
            )
    columns = [
        "recipe",
        "int8 by",
        "agreement with float %",
        "mean difference in p",
        *SPLITS,
        "depthwise channels at 127 in the file, %",
        "seconds",
        "of them fitting",
    ]
    return table(columns, rows)


TABLES = {
    "quantization": quantization_in_short,
    "quantization-steps": quantization,
    "fine-tuning": seconds,
    "fine-tuning-pairs": pairs,
}
