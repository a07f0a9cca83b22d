r"""Train and export the recipes for head CTs on real images over several seeds, and keep what the commands wrote.

    python benchmarks/experiments/real_runs/measure.py --bridge CHEST_FOLDER --target HEAD_CT_FOLDER \
        --weights-1.0 mobilenet_1_0_224_tf_no_top.h5 --weights-0.25 mobilenet_2_5_224_tf_no_top.h5 \
        --patient '^(\d+)_' --about data.txt --seeds 5 --seeds-of ct-hemorrhage-lite=10 \
        --runs /tmp/real --out benchmarks/results/real-runs.json

A run folder that is finished is kept, so the command can be stopped and repeated; `--seeds-of RECIPE=0` leaves a recipe out.
`--about` is a text that says which images and which weights these are; it goes into the file, and from there into the README.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from mstl_edge.recipe import load_recipe
from mstl_edge.storage import write_text
from mstl_edge.training._keras import versions
from mstl_edge_bench.machine.host import describe_host

SCHEMA = "mstl-edge/real-runs/1"
RECIPES = {
    "ct-hemorrhage": "1.0",
    "ct-hemorrhage-single": "1.0",
    "ct-hemorrhage-best": "1.0",
    "ct-hemorrhage-lite": "0.25",
}


def main() -> None:
    """Run every recipe and seed, and write one JSON file."""
    options = _options()
    seeds_of = {recipe: int(seeds) for recipe, _, seeds in (pair.partition("=") for pair in options.seeds_of)}
    entries = []
    for recipe, alpha in RECIPES.items():
        for seed in range(seeds_of.get(recipe, options.seeds)):
            run = options.runs / f"{recipe}-seed{seed}"
            if not (run / "metrics.json").is_file():
                _train(options, recipe, alpha, seed, run)
            if not (run / "exports" / "export.json").is_file():
                _call("export", str(run), "--int8")
            entries.append(_entry(recipe, seed, run))
    about = options.about.read_text(encoding="utf-8").strip()
    host = msgspec.to_builtins(describe_host())
    tree = {"schema": SCHEMA, "about": about, "host": host, "versions": versions(), "runs": entries}
    write_text(options.out, json.dumps(tree, indent=1, ensure_ascii=False) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bridge", required=True, help="Chest X-rays, a folder per class.")
    parser.add_argument("--target", required=True, help="Head CT, labels.csv beside the images.")
    parser.add_argument("--weights-1.0", dest="weights_1_0", default="imagenet")
    parser.add_argument("--weights-0.25", dest="weights_0_25", default="imagenet")
    parser.add_argument("--patient", default="", help="Regular expression for the bridge's patients.")
    parser.add_argument("--about", type=Path, required=True, help="Text that names images and weights.")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seeds-of", nargs="+", default=[], metavar="RECIPE=N", help="Another number of seeds.")
    parser.add_argument("--runs", type=Path, required=True, help="Where the run folders go.")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


def _train(options: argparse.Namespace, recipe: str, alpha: str, seed: int, run: Path) -> None:
    if run.exists():
        _call("train", "--resume", str(run))
        return
    weights = {"1.0": options.weights_1_0, "0.25": options.weights_0_25}[alpha]
    bridge = ["--data", f"bridge={options.bridge}", "--set", f"stages.bridge.split.patient={options.patient}"]
    _call(
        "train",
        recipe,
        *(bridge if any(stage.name == "bridge" for stage in load_recipe(recipe).stages) else []),
        *("--data", f"target={options.target}", "--weights", weights, "--seed", str(seed), "--out", str(run)),
    )


def _call(*arguments: str) -> None:
    """Run the command line; a refused export (exit 3) is a result, too."""
    finished = subprocess.run([sys.executable, "-m", "mstl_edge_cli", *arguments], check=False)
    if finished.returncode not in (0, 3):
        raise SystemExit(finished.returncode)


def _entry(recipe: str, seed: int, run: Path) -> dict[str, Any]:
    export = _read(run / "exports" / "export.json")
    return {"recipe": recipe, "seed": seed, "metrics": _read(run / "metrics.json"), "export": export}


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
