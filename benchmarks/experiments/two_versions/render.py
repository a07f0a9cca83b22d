"""The table of two versions of the project on the same recipes and seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

from rendered.markdown import read, table

_COLUMNS = [
    "recipe",
    "seeds",
    "test accuracy before",
    "after",
    "int8 agreement before",
    "after",
    "`train`, after / before",
    "`export`, after / before",
]


def two_versions() -> str:
    """Return what each scored, and the ratios of their times, with the smallest and the largest."""
    return table(_COLUMNS, list(_rows(read("two-versions.json")["runs"])))


def _rows(runs: list[dict[str, Any]]) -> Iterator[list[str]]:
    for recipe in dict.fromkeys(run["recipe"] for run in runs):
        sides = {
            version: {run["seed"]: run for run in runs if (run["recipe"], run["version"]) == (recipe, version)}
            for version in ("before", "after")
        }
        seeds = sorted(sides["before"].keys() & sides["after"].keys())
        before, after = ([side[seed] for seed in seeds] for side in sides.values())
        yield [
            f"`{recipe}`",
            str(len(seeds)),
            _accuracy(before),
            _accuracy(after),
            _agreement(before),
            _agreement(after),
            *(_ratios(before, after, step) for step in ("train_s", "export_s")),
        ]


def _accuracy(runs: list[dict[str, Any]]) -> str:
    return f"{sum(run['correct'] for run in runs)} of {sum(run['n'] for run in runs)}"


def _agreement(runs: list[dict[str, Any]]) -> str:
    return f"{100 * statistics.mean(run['agreement'] for run in runs):.1f} %"


def _ratios(before: list[dict[str, Any]], after: list[dict[str, Any]], step: str) -> str:
    found = sorted(new[step] / old[step] for old, new in zip(before, after, strict=True))
    return f"{statistics.mean(found):.2f} ({found[0]:.2f} to {found[-1]:.2f})"


TABLES = {"two-versions": two_versions}
