"""The tables of what class maps are worth."""

from __future__ import annotations

from typing import Any

from rendered.markdown import read, share, table

RESULT = "where-it-looks.json"
_NAMES = {
    "float32": "class maps, float32",
    "int8": "class maps, int8",
    "occlusion": "occlusion maps, int8",
    "middle": "the middle of the image",
    "random": "a random cell",
}


def pointing() -> str:
    """Return how often a map's maximum hits the lesion."""
    found = read(RESULT)["pointing"]
    rows = [(_NAMES[name], entry["n"], share(entry)) for name, entry in found["hit"].items()]
    return table(("where it is pointed at", "bleeds called so", "in the lesion, % (95 %)"), rows)


def faithful() -> str:
    """Return deletion and insertion curves of each target."""
    columns = (
        "test images", "n", "deletion: map", "random", "centre", "map − random (95 %)", "map − centre (95 %)",
        "insertion: map", "random", "centre", "map − random (95 %)", "map − centre (95 %)",
    )  # fmt: skip
    rows = []
    for run in read(RESULT)["runs"]:
        cells: list[object] = [run["name"], run["images"]]
        for way in ("deletion", "insertion"):
            curve = run["curves"][way]
            cells += [f"{curve['area'][name]:.2f}" for name in ("map", "random", "centre")]
            cells += [_difference(curve["map_minus"][name]) for name in ("random", "centre")]
        rows.append(cells)
    return table(columns, rows)


def sane() -> str:
    """Return how maps of float32 and int8, and of randomised networks, correlate."""
    columns = ("test images", "n", "float32 and int8: mean", "smallest", *(_redrawn(name) for name in _ways()))
    rows = []
    for run in read(RESULT)["runs"]:
        alike = run["float_against_int8"]
        ranked = [f"{entry['mean']:.2f} ({entry['mean_absolute']:.2f})" for entry in run["randomised"].values()]
        rows.append([run["name"], run["images"], f"{alike['mean']:.3f}", f"{alike['smallest']:.3f}", *ranked])
    return table(columns, rows)


def _ways() -> list[str]:
    return list(read(RESULT)["runs"][0]["randomised"])


def _redrawn(name: str) -> str:
    return f"{name} drawn anew"


def _difference(interval: Any) -> str:
    return f"{interval['value']:+.2f} ({interval['low']:+.2f} to {interval['high']:+.2f})"


TABLES = {"pointing": pointing, "faithful-maps": faithful, "sane-maps": sane}
