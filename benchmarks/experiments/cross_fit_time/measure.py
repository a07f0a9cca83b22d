r"""What judging the procedure costs: seconds of `train`, of `export` without and with cross-fitting, to cross-fit-time.json.

    python benchmarks/experiments/cross_fit_time/measure.py runs/lite runs/published --out benchmarks/results/cross-fit-time.json

Each run's recipe is trained again on an empty cache and exported twice from copies of that run, so that nothing is left of an
earlier export. Seconds of the clock and of the processor: the ratio of the latter holds where something else runs beside.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from mstl_edge.runs import open_run
from mstl_edge.schemas.export import EXPORT
from mstl_edge.storage import write_text
from mstl_edge.training._keras import versions
from mstl_edge_bench.machine.host import describe_host

SCHEMA = "mstl-edge/cross-fit-time/1"


def main() -> None:
    """Measure every run, and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = [_measured(path) for path in options.runs]
    tree = {"schema": SCHEMA, "host": msgspec.to_builtins(describe_host()), "versions": versions(), "rows": rows}
    write_text(options.out, json.dumps(tree, indent=1, ensure_ascii=False) + "\n")


def _measured(run: Path) -> dict[str, Any]:
    recipe = open_run(run).recipe()
    with tempfile.TemporaryDirectory() as folder:
        base, own = Path(folder), {**os.environ, "MSTL_EDGE_CACHE": str(Path(folder) / "cache")}
        train = _timed(own, "train", str(run / "recipe.toml"), "--out", str(base / "run"))
        shutil.copytree(base / "run", base / "plain")
        plain = _timed(own, "export", str(base / "plain"), "--int8", "--cross-fit", "0")
        whole = _timed(own, "export", str(base / "run"), "--int8")
        export = EXPORT.read(base / "run" / "exports" / "export.json", hint="It was refused before it was judged.")
    assert export.gate is not None
    judged = [origin.images for origin in export.gate.origins if origin.judged == "procedure"]
    added = {unit: whole[unit] - plain[unit] for unit in train}
    return {
        "recipe": recipe.name,
        "images": sum(judged),
        "parts": recipe.quantize.cross_fit if judged else 0,
        "train": train,
        "export_without": plain,
        "export": whole,
        "ratio": {unit: round(added[unit] / train[unit], 2) for unit in train},
    }


def _timed(environment: dict[str, str], *arguments: str) -> dict[str, float]:
    """Run the command line, and return its seconds; a refused export (exit 3) is a result, too."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    finished = subprocess.run([sys.executable, "-m", "mstl_edge_cli", *arguments], check=False, env=environment)
    if finished.returncode not in (0, 3):
        raise SystemExit(finished.returncode)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(time.monotonic() - begun, 1), "processor_seconds": round(used, 1)}


if __name__ == "__main__":
    main()
