"""Make the models that the latency and parameter suites run: `python benchmarks/suites/make_models.py FOLDER [ALPHA:SIZE ...]`.

Needs the `train` extra. Weights are random, since neither operators nor times depend on them; int8 is post-training, whose
operators are those of a quantization-aware file. Carry the folder to a device that has no TensorFlow, and name it by `--models`.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np

from mstl_edge.artifact import (
    Card,
    draw_golden_images,
    input_contract,
    inspect_flatbuffer,
    without_paths,
    write_artifact,
)
from mstl_edge.recipe import BackboneSpec, PreprocessSpec, load_recipe, to_tree
from mstl_edge.runtime import record_golden
from mstl_edge.training._keras import keras
from mstl_edge.training.convert import to_float_flatbuffer, to_int8_flatbuffer
from mstl_edge.training.network.classifier import build_backbone, classifier, fresh_head, with_softmax
from mstl_edge.training.network.graph import Graph
from mstl_edge.training.network.passes.absorb import absorb_batch_norm
from mstl_edge.training.quantize.post_training import calibrated

ALPHAS, SIZES = (0.25, 0.5, 0.75, 1.0), (96, 128, 160, 192, 224)
CALIBRATION_IMAGES = 16
SEED = 2020


def make(folder: Path, alpha: float, size: int) -> None:
    """Write the float32 and the int8 file of one width and one input size."""
    keras.utils.set_random_seed(SEED)
    spec = BackboneSpec(variant=str(alpha), input_size=size, weights="none")
    network = _spread_biases(fresh_head(classifier(spec, build_backbone(spec), 2), SEED))
    absorbed = absorb_batch_norm(with_softmax(network, 1.0))
    drawn = np.stack(draw_golden_images(size, CALIBRATION_IMAGES))
    files = {"float32": to_float_flatbuffer(absorbed), "int8": to_int8_flatbuffer(calibrated(absorbed, drawn))}
    for scheme, flatbuffer in files.items():
        card = Card(
            name=f"mobilenet_v1-{alpha}-{size}",
            recipe=without_paths(to_tree(load_recipe("phantom"))),
            labels=("negative", "positive"),
            positive="positive",
            input=input_contract(inspect_flatbuffer(flatbuffer), PreprocessSpec()),
            scheme=scheme,  # type: ignore[arg-type]
        )
        path = folder / f"mobilenet_v1-{alpha}-{size}-{scheme}.tflite"
        write_artifact(path, flatbuffer, card, record_golden(flatbuffer))


def _spread_biases(network: Graph) -> Graph:
    """Give every BatchNorm statistics of its own; equal biases would be merged by the converter and not be counted."""
    draw = np.random.default_rng(SEED)
    return network.with_weights(
        {
            node.name: [np.abs(draw.normal(1, 0.1, array.shape)) for array in network.weights[node.name]]
            for node in network.nodes
            if node.kind == "batch_norm"
        }
    )


def main() -> None:
    """Make what the command line names, by default the whole grid."""
    folder = Path(sys.argv[1])
    wanted = [pair.split(":") for pair in sys.argv[2:]] or list(itertools.product(ALPHAS, SIZES))
    for alpha, size in wanted:
        sys.stderr.write(f"making MobileNet {alpha} at {size} pixels\n")
        make(folder, float(alpha), int(size))


if __name__ == "__main__":
    main()
