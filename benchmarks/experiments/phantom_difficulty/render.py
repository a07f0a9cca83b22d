"""How hard the drawn images are."""

from __future__ import annotations

from rendered.markdown import read, table


def phantom() -> str:
    """Return how hard the drawn images are."""
    tree = read("phantom-difficulty.json")
    names = {
        "linear": "linear classifier on pixels",
        "none": "MobileNet 0.25 from random weights",
        "bundled": "from the bundled weights",
    }
    n = ", ".join(str(row["test_images"]) for row in tree["seeds"])
    rows = [
        [
            title,
            f"{100 * tree['mean'][name]:.1f}",
            "{:.1f} to {:.1f}".format(*(100 * end for end in tree["range"][name])),
        ]
        for name, title in names.items()
    ]
    return table(["phantom:head-ct", "mean accuracy %", f"range over {len(tree['seeds'])} seeds (n = {n})"], rows)


TABLES = {"phantom": phantom}
