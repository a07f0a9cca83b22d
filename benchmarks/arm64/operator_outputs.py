"""Print what every operator of an int8 model computes, as JSON lines: `python operator_outputs.py MODEL SEED`.

Runs anywhere with tflite-runtime, so that two machines can be compared operator by operator. The input is random pixels.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
from tflite_runtime.interpreter import Interpreter

from mstl_edge.artifact import open_artifact


def main(model: str, seed: int) -> None:
    """Invoke once with every tensor kept; long outputs are given by their hash."""
    interpreter = Interpreter(
        model_content=open_artifact(Path(model)).flatbuffer, num_threads=1, experimental_preserve_all_tensors=True
    )
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    draw = np.random.default_rng(seed)
    interpreter.set_tensor(source["index"], draw.integers(-128, 128, source["shape"], dtype=np.int8))
    interpreter.invoke()
    for operator in interpreter._get_ops_details():
        for output in operator["outputs"]:
            tensor = interpreter.get_tensor(output)
            told = {
                "index": int(operator["index"]),
                "operator": operator["op_name"],
                "shape": tensor.shape,
                "sha256": hashlib.sha256(tensor.tobytes()).hexdigest(),
                "values": tensor.ravel().tolist() if tensor.size <= 4096 else None,
            }
            sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
