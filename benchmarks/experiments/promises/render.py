"""The table of what the gate promised and what the test splits say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rendered.markdown import read, share, table


def promises() -> str:
    """Return every run's promise beside its test split, and the sum of them."""
    tree = read("promises.json")
    columns = [
        "target",
        "recipe",
        "seed",
        "verdict",
        "images that carry",
        "agreement foretold %",
        "at least %",
        "on test images %",
        "cost at most, points",
        "cost on test, points",
    ]
    return f"{_summary(tree['summary'])}\n\n{table(columns, map(_row, tree['rows']))}"


def in_short() -> str:
    """Return the sum of all promises in a sentence."""
    return _summary(read("promises.json")["summary"])


def _row(row: Any) -> Sequence[object]:
    test = row.get("test")
    return [
        row["target"],
        f"`{row['recipe']}`",
        row["seed"],
        row["verdict"],
        row["images"],
        f"{100 * row['predicted']:.1f}",
        f"{100 * row['at_least']:.1f}",
        f"{share(test)}, n = {test['n']}" if test else "–",
        f"{100 * row['drop_at_most']:.1f}",
        f"{100 * test['drop']:.1f}" if test else "–",
    ]


def _summary(found: Any) -> str:
    apart = 100 * (found["predicted"] - found["measured"]["value"])
    return (
        f"Of {found['promises']} promises {found['broken']} are broken by the test split; {found['refused']} runs were refused. "
        f"Over {found['images']} test images {100 * found['predicted']:.1f} % agreement was foretold and "
        f"{share(found['measured'])} % measured: {apart:+.1f} points apart. The lowest bound is {100 * found['least_bound']:.1f} %."
    )


TABLES = {"promises": promises, "promises-in-short": in_short}
