r"""How long the whole of a command takes, from its start to its end: writes benchmarks/results/whole-run.json.

    python benchmarks/experiments/whole_run/measure.py --out benchmarks/results/whole-run.json -- ct-hemorrhage \
        --data bridge=CHEST --data target=HEAD_CT --weights FILE --set 'stages.bridge.split.patient=^(\d+)_'

Everything behind `--` goes to `mstl-edge train` and then to `mstl-edge run`, each a process of its own that finds an empty
cache: imports, checking and decoding of images, every stage, and for `run` the export, the benchmark and the report count. A
recipe that is in the file already is measured anew.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from experiments.own_cache import own_cache
from mstl_edge.storage import CACHE_VARIABLE, write_text
from mstl_edge_bench.machine.host import describe_host

SCHEMA = "mstl-edge/whole-run/1"
COMMANDS = ("train", "run")


def main() -> None:
    """Time both commands and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("arguments", nargs="+", metavar="RECIPE …", help="What the commands are given.")
    options = parser.parse_args()
    recipe = options.arguments[0]
    known = json.loads(options.out.read_text())["recipes"] if options.out.is_file() else []
    entry = {"recipe": recipe, "commands": [_timed(command, options.arguments) for command in COMMANDS]}
    tree = {
        "schema": SCHEMA,
        "host": msgspec.to_builtins(describe_host()),
        "recipes": [*(other for other in known if other["recipe"] != recipe), entry],
    }
    write_text(options.out, json.dumps(tree, indent=1) + "\n")


def _timed(command: str, arguments: list[str]) -> dict[str, Any]:
    with own_cache() as cache, tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        called = [sys.executable, "-m", "mstl_edge_cli", command, *arguments, "--out", str(run)]
        started = time.perf_counter()
        ended = subprocess.run(called, env={**os.environ, CACHE_VARIABLE: str(cache)}, check=False, stdout=sys.stderr)
        seconds = time.perf_counter() - started
        stages = json.loads((run / "metrics.json").read_text())["stages"]
    return {
        "command": command,
        "seconds": seconds,
        "exit_code": ended.returncode,
        "stages": {stage["name"]: {"images": stage["images"], "seconds": stage["seconds"]} for stage in stages},
    }


if __name__ == "__main__":
    main()
