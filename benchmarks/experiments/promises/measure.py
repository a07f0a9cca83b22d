r"""Does the gate keep its word? Writes what it promises of int8 files, and what they do on test splits, to promises.json.

    python benchmarks/experiments/promises/measure.py --target 'head CT' RUN RUN --target 'chest X-ray' RUN RUN \
        --out benchmarks/results/promises.json

A run without an export is exported first. The gate's lower bound of agreement, from validation images, their views and cross-fitted
parts, is held against the labels that the chosen file and its float twin give the test split. A promise is broken where the
test's own 95 % interval lies below the bound. Refused runs have no file and no promise; they are counted.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from mstl_edge.metrics import wilson
from mstl_edge.runs import RunFolder, open_run
from mstl_edge.schemas.export import EXPORT
from mstl_edge.storage import write_text
from mstl_edge.training._keras import versions

SCHEMA = "mstl-edge/promises/1"


def main() -> None:
    """Export what is not exported, and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", nargs="+", action="append", required=True, metavar=("NAME", "RUN"))
    parser.add_argument("--max-drop", type=float, help="Points of accuracy that the gate allows; default the recipe's.")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for name, *runs in options.target:
        for path in map(Path, runs):
            run = open_run(path)
            if not (run.exports / "export.json").is_file():
                _export(path, options.max_drop)
            rows.append(_row(name, run))
            tree = {"schema": SCHEMA, "versions": versions(), "rows": rows, "summary": _summary(rows)}
            write_text(options.out, msgspec.json.format(msgspec.json.encode(tree), indent=1).decode() + "\n")


def _export(run: Path, max_drop: float | None) -> None:
    """Export a run; a refused export (exit 3) is a result, too."""
    bound = [] if max_drop is None else ["--max-drop", str(max_drop)]
    finished = subprocess.run(
        [sys.executable, "-m", "mstl_edge_cli", "export", str(run), "--int8", *bound], check=False
    )
    if finished.returncode not in (0, 3):
        raise SystemExit(finished.returncode)


def _row(name: str, run: RunFolder) -> dict[str, Any]:
    recipe, export = run.recipe(), EXPORT.read(run.exports / "export.json", hint="Export it again.")
    gate = export.gate
    assert gate is not None
    row = {
        "target": name,
        "recipe": recipe.name,
        "seed": recipe.seed,
        "verdict": export.verdict,
        "chosen": export.chosen,
        "images": gate.images,
        "origins": msgspec.to_builtins(gate.origins),
        "predicted": gate.agreement.agreement.value,
        "at_least": gate.agreement_at_least,
        "drop_at_most": gate.drop_at_most,
    }
    if export.test is None:
        return row
    n = export.test.agreement.n
    alike = round(export.test.agreement.agreement.value * n)
    measured = wilson(alike, n)
    drop = export.test.drop.value
    return {**row, "test": {"n": n, "alike": alike, **msgspec.to_builtins(measured), "drop": drop}}


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    kept = [row for row in rows if "test" in row]
    images = sum(row["test"]["n"] for row in kept)
    predicted = sum(row["predicted"] * row["test"]["n"] for row in kept) / images if images else None
    alike = sum(row["test"]["alike"] for row in kept)
    broken = [row for row in kept if row["test"]["high"] < row["at_least"]]
    return {
        "promises": len(kept),
        "broken": len(broken),
        "refused": len(rows) - len(kept),
        "images": images,
        "predicted": predicted,
        "measured": msgspec.to_builtins(wilson(alike, images)) if images else None,
        "least_bound": min((row["at_least"] for row in kept), default=None),
    }


if __name__ == "__main__":
    main()
