"""How fast images are decoded."""

from __future__ import annotations

import statistics

from rendered.markdown import read, table


def decoding() -> str:
    """Return how fast images are decoded on one core and on all."""
    tree = read("decoding.json")
    cores = sorted(key for key in tree["rounds"][0] if key.startswith("cores_"))
    rows = [
        [title, f"{statistics.median(entry[key] for entry in tree['rounds']):.2f}"]
        for key, title in [
            *((key, f"{key.removeprefix('cores_')} core(s)") for key in cores),
            ("stored", "second run, stored"),
        ]
    ]
    ratio = f"all against one: {tree['median_ratio']:.2f}"
    return table([f"{tree['images']} chest X-rays to 224 pixels", "median s"], [*rows, [ratio, ""]])


TABLES = {"decoding": decoding}
