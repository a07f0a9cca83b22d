"""Runs in the sysroot: invoke models a few times, and mark each start and end for the plugin `instructions.c`.

    python invoke_marked.py RUNTIME MODEL...

One thread; the input is a drawn image. Prints the runtime's name and version.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

from mstl_edge.artifact import draw_golden_images
from mstl_edge.runtime import load_runtime, to_input

MARK, GETPRIORITY_ARM64 = 20201, 141
INVOCATIONS = 4
"""Per model; one more before them unpacks weights and touches memory for the first time."""


def main(kind: str, *models: str) -> None:
    """Load each model, then invoke it between marks."""
    mark = ctypes.CDLL(None).syscall
    tag = 0
    for model in models:
        runtime = load_runtime(Path(model), runtime=kind)  # type: ignore[arg-type]  # it checks the name
        pixels = draw_golden_images(runtime.input.shape[1], 1)[0]
        runtime.invoke(to_input(pixels[None], runtime.input))
        invoke = runtime.interpreter.invoke
        for _ in range(INVOCATIONS):
            mark(GETPRIORITY_ARM64, MARK, tag)
            invoke()
            mark(GETPRIORITY_ARM64, MARK, tag + 1)
            tag += 2
    sys.stdout.write(f"{runtime.name}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
