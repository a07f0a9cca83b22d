"""Instructions of one inference on a Raspberry Pi's cores, counted by qemu-user with the plugin benchmarks/arm64/instructions.c."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path

from mstl_edge.errors import MstlEdgeError

ARM64 = Path(__file__).parents[1] / "arm64"

CORES = {"cortex-a72": "Raspberry Pi 4", "cortex-a76": "Raspberry Pi 5"}


def compile_plugin(folder: Path) -> Path:
    """Return the compiled plugin.

    Raises:
        MstlEdgeError: No C compiler.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise MstlEdgeError("a C compiler", received="no 'cc' on the PATH", hint="apt-get install gcc libc6-dev")
    plugin = folder / "instructions.so"
    run([compiler, "-O2", "-fPIC", "-shared", "-o", plugin, ARM64 / "instructions.c"])
    return plugin


def count_invocations(
    sysroot: Path, kind: str, core: str, files: Sequence[Path], plugin: Path
) -> tuple[str, list[int]]:
    """Return the runtime's name and the median instructions of one `invoke` for each file."""
    counts = plugin.with_name(f"{kind}-{core}.txt")
    environment = os.environ | {"QEMU_CPU": core, "QEMU_ARGS": f"-plugin {plugin},out={counts}"}
    runtime = run([sysroot / "python", ARM64 / "invoke_marked.py", kind, *files], environment).strip()
    marks = [int(line.split()[1]) for line in counts.read_text(encoding="utf-8").splitlines()]
    spans = [end - start for start, end in zip(marks[::2], marks[1::2], strict=True)]
    per_file = len(spans) // len(files)
    return runtime, [
        int(statistics.median_low(spans[number * per_file : (number + 1) * per_file])) for number in range(len(files))
    ]


def run(command: Sequence[Path | str], environment: dict[str, str] | None = None) -> str:
    """Return what a program printed.

    Raises:
        MstlEdgeError: It failed.
    """
    done = subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip() or "nothing said").splitlines()[-1]
        raise MstlEdgeError(f"{Path(command[0]).name} to succeed", received=f"exit code {done.returncode}: {last}")
    return done.stdout
