r"""Give folders of images to `mstl-edge run` as a newcomer would, one command each, and keep what it wrote.

    python benchmarks/experiments/own_images/measure.py --weights mobilenet_2_5_224_tf_no_top.h5 --about data.txt \
        --runs /tmp/own --out benchmarks/results/own-images.json \
        brain-mri=BRAIN_MRI_FOLDER breast-ultrasound=BREAST_ULTRASOUND_FOLDER head-ct=HEAD_CT_FOLDER

A run folder that is finished is kept, so the command can be stopped and repeated. `--about` is a text that says which images and
which weights these are; it goes into the file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from mstl_edge.storage import write_text
from mstl_edge.training._keras import versions
from mstl_edge_bench.machine.host import describe_host

SCHEMA = "mstl-edge/own-images/1"
REFUSED = 3


def main() -> None:
    """Run every data set, and write one JSON file."""
    options = _options()
    entries = []
    for pair in options.data:
        name, _, source = pair.partition("=")
        run, took = options.runs / name, options.runs / f"{name}.seconds"
        if not (run / "report.html").is_file():
            _run(source, run, took, options.weights)
        entries.append(_entry(name, run, took))
    tree = {
        "schema": SCHEMA,
        "about": options.about.read_text(encoding="utf-8").strip(),
        "host": msgspec.to_builtins(describe_host()),
        "versions": versions(),
        "runs": entries,
    }
    write_text(options.out, json.dumps(tree, indent=1, ensure_ascii=False) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--about", type=Path, required=True, help="Text that names images and weights.")
    parser.add_argument("--runs", type=Path, required=True, help="Where the run folders go.")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


def _run(source: str, run: Path, took: Path, weights: str) -> None:
    """Run one data set whole; a refused export is a result, too."""
    started = time.monotonic()
    resumed = run.exists()
    arguments = ["--resume", str(run)] if resumed else [source, "--weights", weights, "--out", str(run)]
    finished = subprocess.run([sys.executable, "-m", "mstl_edge_cli", "run", *arguments], check=False)
    if finished.returncode not in (0, REFUSED):
        raise SystemExit(finished.returncode)
    if not resumed:
        write_text(took, f"{time.monotonic() - started:.1f}")


def _entry(name: str, run: Path, took: Path) -> dict[str, Any]:
    written = {"metrics": "metrics.json", "export": "exports/export.json", "choices": "choices.json"}
    kept = {key: _without_places(json.loads((run / path).read_text(encoding="utf-8"))) for key, path in written.items()}
    seconds = float(took.read_text(encoding="utf-8")) if took.is_file() else None
    return {"name": name, "seconds": seconds, **kept}


def _without_places(tree: Any) -> Any:
    """Return what was written without where anything lay on this machine."""
    if isinstance(tree, dict):
        return {key: _without_places(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_without_places(value) for value in tree]
    return Path(tree).name if isinstance(tree, str) and Path(tree).is_absolute() else tree


if __name__ == "__main__":
    main()
