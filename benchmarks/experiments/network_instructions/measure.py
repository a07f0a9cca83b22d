"""Count the instructions of one inference on a Raspberry Pi's cores for every network of a study, without a Raspberry Pi.

    python benchmarks/experiments/network_instructions/measure.py STUDY --litert SYSROOT \
        --out benchmarks/results/network-instructions.json

STUDY is the folder of a study with `--backbones`, whose `models/` are counted. Sysroot and plugin are those of
`experiments/instructions`.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from experiments.emulated_cores import CORES, compile_plugin, count_invocations
from mstl_edge.storage import write_text
from mstl_edge.study.folder import open_study

KIND = "litert"


def main() -> None:
    """Count, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--litert", type=Path, required=True, help="Sysroot of benchmarks/arm64/sysroot.sh.")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    study = open_study(options.study)
    places = [(arm.name, scheme) for arm in study.plan().arms for scheme in arm.schemes]
    files = [study.model(*place) for place in places]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        plugin = compile_plugin(Path(folder))
        counted = dict(
            zip(
                CORES,
                pool.map(lambda core: count_invocations(options.litert, KIND, core, files, plugin), CORES),
                strict=True,
            )
        )
    rows = [
        {"arm": arm, "scheme": scheme, "core": core, "board": CORES[core], "instructions": counts[number]}
        for core, (_, counts) in counted.items()
        for number, (arm, scheme) in enumerate(places)
    ]
    runtimes = sorted({runtime for runtime, _ in counted.values()})
    about = "instructions of one inference, batch 1, one thread, counted by qemu-user; not cycles, not time"
    told = {"about": about, "study": study.plan().recipe.name, "runtimes": runtimes, "counts": rows}
    write_text(options.out, json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
