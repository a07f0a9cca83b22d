r"""Two versions of the project on the same recipes and seeds, in turns: what they score and how long they take.

    python benchmarks/experiments/two_versions/measure.py --before OLD/bin/mstl-edge --after NEW/bin/mstl-edge --seeds 3 \
      --recipe ct-hemorrhage-lite --recipe ct-hemorrhage --out benchmarks/results/two-versions.json \
      -- --data bridge=./chest_xray --data target=./head-ct

Each pair is trained and exported on an empty cache, the older version first with even seeds. A run that is in the file already is
kept. A weights file of a recipe's own: `--recipe ct-hemorrhage-lite=mobilenet_0_25.h5`.
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

from mstl_edge.schemas.export import EXPORT
from mstl_edge.schemas.metrics import METRICS
from mstl_edge.storage import write_text
from mstl_edge_bench.machine.host import describe_host

SCHEMA = "mstl-edge/two-versions/1"
HINT = "It is written at the end."


def main() -> None:
    """Measure what the file does not hold yet, saving after each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True, metavar="MSTL_EDGE")
    parser.add_argument("--after", required=True, metavar="MSTL_EDGE")
    parser.add_argument("--about", default="", help="What the two are, in words.")
    parser.add_argument("--recipe", action="append", required=True, metavar="NAME[=WEIGHTS]")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("options", nargs="*", help="For `train`.")
    asked = parser.parse_args()
    tree = json.loads(asked.out.read_text(encoding="utf-8")) if asked.out.is_file() else {"runs": []}
    tree = {"schema": SCHEMA, "about": asked.about, "host": msgspec.to_builtins(describe_host()), "runs": tree["runs"]}
    programs = {"before": asked.before, "after": asked.after}
    for seed in range(asked.seeds):
        for recipe in asked.recipe:
            name, _, weights = recipe.partition("=")
            options = [*asked.options, *(["--weights", weights] if weights else []), "--seed", str(seed)]
            for version in ("before", "after") if seed % 2 == 0 else ("after", "before"):
                key = {"recipe": name, "seed": seed, "version": version}
                if not any(key.items() <= run.items() for run in tree["runs"]):
                    tree["runs"].append({**key, **_measured(programs[version], name, options)})
                    write_text(asked.out, json.dumps(tree, indent=1, ensure_ascii=False) + "\n")


def _measured(program: str, recipe: str, options: list[str]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        run, own = Path(folder) / "run", {**os.environ, "MSTL_EDGE_CACHE": str(Path(folder) / "cache")}
        train = _timed(own, program, "train", recipe, "--out", str(run), *options)
        export = _timed(own, program, "export", str(run), "--int8")
        test = METRICS.read(run / "metrics.json", hint=HINT).stages[-1].test
        told = EXPORT.read(run / "exports" / "export.json", hint=HINT)
    assert test is not None
    assert told.gate is not None
    return {
        "train_s": train,
        "export_s": export,
        "n": test.n,
        "correct": round(test.accuracy.value * test.n),
        "chosen": told.chosen,
        "verdict": told.gate.verdict,
        "agreement": told.gate.agreement.agreement.value,
    }


def _timed(environment: dict[str, str], *command: str) -> float:
    started = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command[1:3])}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return round(time.monotonic() - started, 1)


if __name__ == "__main__":
    main()
