"""Count what doubt adds to an inference on a Raspberry Pi's cores, in instructions.

    python benchmarks/experiments/doubt/instructions.py --litert SYSROOT \
        --out benchmarks/results/doubt-instructions.json NAME=MODEL…

The models say their doubt; the sysroot is made by benchmarks/arm64/sysroot.sh. Instructions are no cycles and no milliseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path

from experiments.emulated_cores import ARM64, CORES, compile_plugin, run
from mstl_edge.artifact import open_artifact
from mstl_edge.storage import write_text

SCHEMA = "mstl-edge/doubt-instructions/1"


def main() -> None:
    """Count for every core and model, and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="NAME=MODEL")
    parser.add_argument("--litert", type=Path, required=True, metavar="SYSROOT")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    named = [tuple(pair.split("=", 1)) for pair in options.models]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        plugin = compile_plugin(Path(folder))
        for core, board in CORES.items():
            counts = plugin.with_name(f"{core}.txt")
            environment = os.environ | {"QEMU_CPU": core, "QEMU_ARGS": f"-plugin {plugin},out={counts}"}
            runtime = run(
                [options.litert / "python", ARM64 / "doubt_marked.py", *(model for _, model in named)], environment
            ).strip()
            marks = [int(line.split()[1]) for line in counts.read_text(encoding="utf-8").splitlines()]
            spans = [end - start for start, end in zip(marks[::2], marks[1::2], strict=True)]
            turns = len(spans) // (2 * len(named))
            for number, (name, model) in enumerate(named):
                own = spans[2 * turns * number : 2 * turns * (number + 1)]
                invoke, doubt = int(statistics.median_low(own[::2])), int(statistics.median_low(own[1::2]))
                artifact = open_artifact(Path(model))
                scheme = artifact.card.scheme if artifact.card else "unknown"
                row = {"name": name, "scheme": scheme, "core": core, "board": board, "runtime": runtime}
                rows.append({**row, "invoke": invoke, "doubt": doubt, "share": doubt / invoke})
    write_text(options.out, json.dumps({"schema": SCHEMA, "counts": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
