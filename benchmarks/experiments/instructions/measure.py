"""Count the instructions of one inference on a Raspberry Pi's cores, without a Raspberry Pi.

    python benchmarks/experiments/instructions/measure.py --litert SYSROOT --tflite-runtime SYSROOT [--check]

writes benchmarks/results/instructions.json, or with --check ends with exit code 1 where a count is more than 1 % off. The
sysroots are made by benchmarks/arm64/sysroot.sh; qemu executes them with the plugin benchmarks/arm64/instructions.c. The models
are MobileNet 0.25 at 224 pixels, float32 and int8, one thread. Instructions are no cycles and no milliseconds: they tell that a
kernel was lost or won (by a release of a runtime, or by another graph), not how fast a board is.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from experiments.emulated_cores import CORES, compile_plugin, count_invocations, run
from mstl_edge.artifact import open_artifact
from mstl_edge.errors import MstlEdgeError
from mstl_edge.storage import write_text

SCHEMA = "mstl-edge/instructions/1"
RESULT = Path(__file__).parents[2] / "results" / "instructions.json"


SYSROOTS = {"litert": "MSTL_EDGE_ARM64_LITERT", "tflite-runtime": "MSTL_EDGE_ARM64_TFLITE"}
SCHEMES = ("float32", "int8")
ALPHA, SIZE = 0.25, 224
ALLOWED_CHANGE = 0.01
"""Of an instruction count; runs of the same files repeat to 0.01 %."""


def main() -> int:
    """Count, then write the result or compare it with the committed one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for kind, variable in SYSROOTS.items():
        given = os.environ.get(variable)
        parser.add_argument(f"--{kind}", type=Path, metavar="SYSROOT", default=given, help=f"Default ${variable}.")
    parser.add_argument("--models", type=Path, metavar="FOLDER", help="Made by make_models.py; default: made now.")
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--check", action="store_true", help="Write nothing; exit 1 where a count changed.")
    arguments = parser.parse_args()
    sysroots = {kind: getattr(arguments, kind.replace("-", "_")) for kind in SYSROOTS}
    for kind, variable in SYSROOTS.items():
        if sysroots[kind] is None:
            parser.error(f"no sysroot for {kind}: --{kind} SYSROOT, or {variable}")
    try:
        counted = count(sysroots, arguments.models)
        if not arguments.check:
            write_text(arguments.out, json.dumps(counted, indent=2) + "\n")
            return 0
        changed = changes(json.loads(arguments.out.read_text(encoding="utf-8")), counted)
    except MstlEdgeError as error:
        sys.stderr.write(f"instructions: {error}\n")
        return error.exit_code
    for line in changed:
        sys.stderr.write(f"instructions: {line}\n")
    return 1 if changed else 0


def count(sysroots: dict[str, Path], models: Path | None) -> dict[str, Any]:
    """Return the result: for every runtime, core and scheme the median instructions of one `invoke`.

    Raises:
        MstlEdgeError: No C compiler, or the plugin or the models can't be made or run.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = make_models(models or Path(folder))
        plugin = compile_plugin(Path(folder))
        cases = [(kind, core) for kind in sysroots for core in CORES]
        # Side by side, since a count does not depend on what else the machine does.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            counted = pool.map(lambda case: count_invocations(sysroots[case[0]], *case, files, plugin), cases)
            rows = [
                {"runtime": runtime, "kind": kind, "core": core, "board": CORES[core], "scheme": scheme}
                | {"instructions": instructions}
                for (kind, core), (runtime, counts) in zip(cases, counted, strict=True)
                for scheme, instructions in zip(SCHEMES, counts, strict=True)
            ]
        macs = open_artifact(files[-1]).facts.macs
    return {
        "schema": SCHEMA,
        "command": "python benchmarks/experiments/instructions/measure.py --litert SYSROOT --tflite-runtime SYSROOT",
        "about": "instructions of one inference, batch 1, one thread, counted by qemu-user; not cycles, not time",
        "model": f"mobilenet_v1-{ALPHA}-{SIZE}",
        "macs": macs,
        "counts": rows,
    }


def make_models(folder: Path) -> list[Path]:
    """Return the float32 and the int8 file in `folder`; missing ones are made, which needs the `train` extra."""
    files = [folder / f"mobilenet_v1-{ALPHA}-{SIZE}-{scheme}.tflite" for scheme in SCHEMES]
    if not all(file.is_file() for file in files):
        run([sys.executable, Path(__file__).parents[2] / "suites" / "make_models.py", folder, f"{ALPHA}:{SIZE}"])
    return files


def changes(committed: dict[str, Any], counted: dict[str, Any]) -> list[str]:
    """Return a sentence for every count that changed by more than 1 %, appeared or vanished."""
    before, after = _by_case(committed), _by_case(counted)
    found = []
    for case in sorted(before.keys() | after.keys()):
        name = ", ".join(case)
        if case not in before or case not in after:
            found.append(f"{name}: {'not committed yet' if case not in before else 'not counted any more'}")
            continue
        old, new = before[case], after[case]
        change = new["instructions"] / old["instructions"] - 1
        if abs(change) > ALLOWED_CHANGE:
            found.append(
                f"{name}: {change:+.1%} instructions, {old['instructions']:,} by {old['runtime']} → {new['instructions']:,} "
                f"by {new['runtime']}. If that is meant: run benchmarks/experiments/instructions/measure.py and commit its result."
            )
    return found


def _by_case(tree: dict[str, Any]) -> dict[tuple[str, str, str], dict[str, Any]]:
    return {(row["kind"], row["core"], row["scheme"]): row for row in tree["counts"]}


if __name__ == "__main__":
    sys.exit(main())
