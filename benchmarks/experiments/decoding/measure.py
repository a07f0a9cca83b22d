r"""Decoding and resizing on one core and on all: writes benchmarks/results/decoding.json.

    python benchmarks/experiments/decoding/measure.py --data CHEST_FOLDER --out benchmarks/results/decoding.json

All images of a folder become 224-pixel arrays, in turn on one core and on all of them; then the stored arrays are opened again.
The user's own cache is not touched.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from experiments.own_cache import own_cache
from mstl_edge.data.pixels import load_pixels
from mstl_edge.data.scan import scan_source
from mstl_edge.data.sources import open_source
from mstl_edge.data.splits import split_source
from mstl_edge.data.workers import usable_cores
from mstl_edge.recipe import PreprocessSpec, SplitSpec
from mstl_edge.storage import write_text
from mstl_edge_bench.machine.host import describe_host

SCHEMA = "mstl-edge/decoding/1"
SIZE = 224


def main() -> None:
    """Measure in turn, and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="Images, a folder per class.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    source = open_source(options.data)
    spec = PreprocessSpec()
    manifest = split_source(source, scan_source(source, spec), SplitSpec(), seed=0)
    cores = sorted(os.sched_getaffinity(0))

    def decode() -> float:
        started = time.perf_counter()
        load_pixels(source.folder, manifest.rows, SIZE, spec)
        return time.perf_counter() - started

    rounds: list[dict[str, Any]] = []
    for _ in range(options.rounds):
        seconds = {}
        for used in (cores[:1], cores):
            os.sched_setaffinity(0, used)
            with own_cache():
                seconds[f"cores_{usable_cores()}"] = decode()
                stored = decode()
        rounds.append({**seconds, "stored": stored, "ratio": seconds["cores_1"] / seconds[f"cores_{len(cores)}"]})
        sys.stderr.write(json.dumps(rounds[-1]) + "\n")
    ratio = statistics.median(entry["ratio"] for entry in rounds)
    tree = {"schema": SCHEMA, "host": msgspec.to_builtins(describe_host()), "images": len(manifest.rows)}
    write_text(options.out, json.dumps({**tree, "rounds": rounds, "median_ratio": ratio}, indent=1) + "\n")


if __name__ == "__main__":
    main()
