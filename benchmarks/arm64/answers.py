"""Print what a model file answers to drawn head CT slices, as one JSON list: `python answers.py MODEL RUNTIME`.

Runs on the device side alone, so that two machines can be compared; the numbers are those of the output tensor, not dequantized.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from mstl_edge.data.phantom import draw
from mstl_edge.runtime import load_runtime, to_input

SLICES = 24


def main(model: str, runtime: str) -> None:
    """Invoke once for each slice."""
    interpreter = load_runtime(Path(model).read_bytes(), runtime=runtime, threads=1)  # type: ignore[arg-type]
    size = interpreter.input.shape[1]
    answers = []
    for patient in range(SLICES):
        picture = draw("head-ct", ("hemorrhage", "normal")[patient % 2], seed=907, patient=patient)
        pixels = np.asarray(Image.fromarray(picture).convert("RGB").resize((size, size)))
        answers += interpreter.invoke(to_input(pixels[np.newaxis], interpreter.input)).tolist()
    sys.stdout.write(json.dumps(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
