"""Tables of how fast training is and how it grows."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from rendered.markdown import read, table

STEPS, BATCH = 1000, 16
"""Of the published bridge stage: 800 images, 20 epochs."""
WHOLE_MACS = 567_716_352
"""Multiply-accumulates of MobileNet 1.0/224 for one image, its head of two classes apart."""


def training_speed() -> str:
    """Return the ratio of plain Keras to ours for one stage, and what both reach."""
    tree = read("training-speed.json")
    rows = []
    for entry in tree["speed"]:
        plain = {("on" if told["onednn"] else "off"): told["seconds"] for told in entry["plain"]}
        rows.append(
            [
                f"{entry['alpha']:g}",
                entry["isa"] or ("AVX-512" if "avx512f" in entry["cpu"] else "as the CPU has"),
                f"{statistics.mean(entry['ours']['seconds']):.1f}",
                f"{plain['on']:.0f}",
                f"{plain['off']:.0f}",
                f"{entry['ratio']:.1f}",
            ]
        )
    return table(
        ["alpha", "oneDNN's instructions", "ours s", "plain s, oneDNN on", "plain s, oneDNN off", "ratio"], rows
    )


def training_equality() -> str:
    """Return how far ours and plain Keras are apart before and after one step, and plain from itself."""
    rows = []
    for entry in read("training-speed.json")["equality"]:
        for optimizer, largest in entry["largest"].items():
            rate = f"{entry['learning_rates'][optimizer]:g}"
            names = ("before", "after_one_step", "plain_onednn_switched")
            apart = [f"{largest[name]:.0e}" for name in names]
            rows.append([f"{entry['alpha']:g}", f"{optimizer}, {rate}", f"{largest['moved']:.2f}", *apart])
    columns = ["alpha", "step by", "moved by the step", "apart before", "apart after"]
    return table([*columns, "plain apart from itself, oneDNN switched"], rows)


def training_pairs() -> str:
    """Return accuracy and log-loss after the whole stage, paired by seed: against plain Keras, and in half precision."""
    rows = []
    paired = read("training-speed.json")["paired"]
    for alpha in dict.fromkeys(entry["alpha"] for entry in paired):
        entries = [entry for entry in paired if entry["alpha"] == alpha]
        for a, b, title in (("plain", "ours", "plain → ours"), ("ours", "half", "ours → float16 features")):
            rows += [_pair([f"{alpha:g}", title, str(len(entries))], entries, a, b, name) for name in MEASURES]
    columns = ["alpha", "from → to", "seeds", "measure", "from", "to", "mean difference", "SD of differences"]
    return table([*columns, "SD between seeds"], rows)


MEASURES = {"accuracy": ("accuracy %", 100.0, 1), "log_loss": ("log-loss", 1.0, 3)}


def _pair(head: list[str], entries: Sequence[Any], a: str, b: str, measure: str) -> list[str]:
    title, factor, digits = MEASURES[measure]
    first, second = ([factor * entry[side][measure] for entry in entries] for side in (a, b))
    apart = [y - x for x, y in zip(first, second, strict=True)]
    spread = max(statistics.stdev(first), statistics.stdev(second))
    told = (statistics.mean(first), statistics.mean(second), statistics.mean(apart), statistics.stdev(apart), spread)
    return [*head, title, *(f"{value:.{digits}f}" for value in told)]


def profile() -> str:
    """Return what a stage spends its time on, before and after."""
    tree = read("profile.json")
    sides = {
        f"plain, oneDNN {'on' if tree[side]['onednn'] else 'off'}": tree[side] for side in ("plain_slower", "plain")
    }
    rows = [
        [title, part["name"], f"{part['seconds']:.1f}", f"{100 * part['seconds'] / side['seconds']:.0f}"]
        for title, side in {**sides, "ours": tree["ours"]}.items()
        for part in side["parts"]
    ]
    return table(["training by", "spent on", "s", "%"], rows)


def peak() -> str:
    """Return how near a training step comes to the machine's own limit."""
    tree = read("profile.json")["peak"]
    whole = next(entry for entry in read("training-speed.json")["speed"] if entry["alpha"] == 1.0 and not entry["isa"])
    plain_seconds = min(entry["seconds"] for entry in whole["plain"])
    floor_seconds = STEPS * tree["floor_seconds"] + tree["features_seconds"]
    tail_macs = tree["step_macs"] / BATCH / 3
    passes = STEPS * BATCH
    plain_macs = passes * (WHOLE_MACS - tail_macs + 3 * tail_macs)
    ours_macs = passes * 3 * tail_macs + whole["images"] * (WHOLE_MACS - tail_macs)
    rows = [
        ["largest matrix product, GFLOP/s", f"{tree['matmul_gflops']:.0f}"],
        ["multiply-accumulates of a step of 16 in the tail, millions", f"{tree['step_macs'] / 1e6:,.0f}"],
        ["what they take at that speed, ms", f"{1e3 * tree['floor_seconds']:.1f}"],
        ["that step, ms", f"{1e3 * tree['step_seconds']:.1f}"],
        ["share of the peak", f"{100 * tree['share_of_peak']:.0f} %"],
        ["features of 800 images in LiteRT, once, s", f"{tree['features_seconds']:.1f}"],
        ["plain's whole fit against both at the limit: no ratio can be higher", f"{plain_seconds / floor_seconds:.1f}"],
        ["multiply-accumulates of plain against ours: the ratio at equal speed", f"{plain_macs / ours_macs:.1f}"],
    ]
    return table(["limit of the hardware", "measured"], rows)


TABLES = {
    "training-speed": training_speed,
    "training-equality": training_equality,
    "training-pairs": training_pairs,
    "profile": profile,
    "peak": peak,
}
