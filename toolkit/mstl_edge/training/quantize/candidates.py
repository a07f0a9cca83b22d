"""The int8 candidates of one trained network: post-training, quantization-aware, and one that keeps its worst layers in float.

The same for the network that is exported, for those that are trained in its stead to judge the procedure, and for a study's folds.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mstl_edge.held_back import held_back
from mstl_edge.preprocess import normalize
from mstl_edge.storage import write_text
from mstl_edge.training._keras import tf
from mstl_edge.training.convert import (
    post_training_converter,
    representative_dataset,
    to_int8_flatbuffer,
    to_mixed_flatbuffer,
)
from mstl_edge.training.fitting.checkpoint import history_csv
from mstl_edge.training.fitting.workshop import Workshop
from mstl_edge.training.network.graph import Graph
from mstl_edge.training.network.keras import to_keras
from mstl_edge.training.network.passes.quantized import as_float, unrounded, weight_bits_of
from mstl_edge.training.quantize import post_training, qat
from mstl_edge.training.quantize.lessons import correction_views, lessons_of
from mstl_edge.training.trained import Trained

Kind = Literal["qat", "ptq", "mixed"]
LAYERS_KEPT_IN_FLOAT = 3
RANKING_IMAGES = 20
EVALUATION_BATCH = 32


@dataclass(frozen=True)
class FloatTwin:
    """The network that candidates are made of, in float.

    Attributes:
        absorbed: Image → probabilities, without BatchNorm.
        flatbuffer: Its float file, whose answers fine-tuning learns.
    """

    absorbed: Graph
    flatbuffer: bytes


@dataclass(frozen=True)
class Candidate:
    """One int8 file before it is judged.

    Attributes:
        kind: How it was made.
        flatbuffer: The file's bytes, without a card.
        fake_quant: The network it was converted from, where that was under fake quantization.
        notes: Facts for the report, such as the layers that were skipped and why.
    """

    kind: Kind
    flatbuffer: bytes
    fake_quant: Graph | None
    notes: dict[str, Any]

    @property
    def scheme(self) -> Literal["int8", "mixed"]:
        """What its card says."""
        return "mixed" if self.kind == "mixed" else "int8"


def build_candidates(
    trained: Trained, twin: FloatTwin, kinds: Collection[Kind], workshop: Workshop, *, signature: bool = True
) -> Iterator[Candidate]:
    """Yield the candidates.

    Args:
        trained: The network and what it was trained on.
        twin: The network to quantize, in float.
        kinds: Which candidates.
        workshop: Where they are made; its folder keeps the checkpoint and the history of fine-tuning.
        signature: See `convert.converter_of`.
    """
    pixels = trained.calibration(trained.recipe.quantize.calibration_images)[0]
    workshop.reporter.say("calibrating")
    spec = trained.recipe.quantize
    quantized = post_training.calibrated(twin.absorbed, pixels, correction_views(trained), weight_bits=spec.weight_bits)
    order: tuple[Kind, ...] = ("ptq", "mixed", "qat")
    for kind in order:
        if kind not in kinds:
            continue
        workshop.reporter.say(f"building the {kind} candidate")
        if kind == "ptq":
            yield build_post_training(quantized, signature=signature)
        elif kind == "mixed":
            yield build_mixed(quantized, pixels)
        else:
            yield build_quantization_aware(trained, quantized, twin, workshop, signature=signature)


def build_post_training(quantized: Graph, *, signature: bool = True) -> Candidate:
    """Return the candidate of a network from `post_training.calibrated`: ranges and biases, nothing learned."""
    return Candidate(
        "ptq", to_int8_flatbuffer(quantized, signature=signature), quantized, {"skipped": unrounded(quantized)}
    )


def build_quantization_aware(
    trained: Trained, quantized: Graph, twin: FloatTwin, workshop: Workshop, *, signature: bool = True
) -> Candidate:
    """Return the candidate whose upper layers were fine-tuned under fake quantization.

    Args:
        trained: The run.
        quantized: From `post_training.calibrated`.
        twin: The network in float, whose answers are learned.
        workshop: Where.
        signature: See `convert.converter_of`.
    """
    tuned, history = qat.fine_tune(
        quantized,
        lessons_of(trained, twin.flatbuffer, workshop.threads),
        qat.Lesson(*trained.data.part("validation")),
        qat.Tuning(trained.stage, trained.recipe.quantize, trained.seed),
        workshop,
    )
    write_text(workshop.folder.history, history_csv(history))
    notes = {"epochs": len(history), "skipped": unrounded(tuned)}
    return Candidate("qat", to_int8_flatbuffer(tuned, signature=signature), tuned, notes)


def keras_answers(network: Graph, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return `(n, classes)` probabilities of a network, as Keras computes it."""
    model = to_keras(network)
    shape = [None, *pixels.shape[1:]]
    forward = tf.function(
        lambda batch: model(batch, training=False), input_signature=[tf.TensorSpec(shape, tf.float32)], autograph=False
    )
    batches = [pixels[start : start + EVALUATION_BATCH] for start in range(0, len(pixels), EVALUATION_BATCH)]
    return np.concatenate([np.asarray(forward(tf.constant(normalize(batch)))) for batch in batches])


def build_mixed(quantized: Graph, calibration: NDArray[np.uint8]) -> Candidate:
    """Return a post-training candidate whose worst layers, by their measured error, stay in float.

    A file from fake quantization cannot mix: its converter rounds every kernel that has a rounded neighbour. TFLite's own
    calibration can, and gets the equalized channels and corrected biases of `quantized`, from `post_training.calibrated`. It knows
    kernels of 8 bits only: of fewer, it gets them rounded to their levels, which it finds again in its finer ones.
    """
    corrected = as_float(quantized)
    errors = dict(rank_layers(corrected, calibration))
    kept = list(errors)[:LAYERS_KEPT_IN_FLOAT]
    calibrated_model = _debugger(corrected, calibration).calibrated_model
    flatbuffer = to_mixed_flatbuffer(calibrated_model, kept, weight_bits_of(quantized))
    return Candidate("mixed", flatbuffer, None, {"kept_in_float": kept, "layer_errors": errors})


def rank_layers(network: Graph, calibration: NDArray[np.uint8]) -> list[tuple[str, float]]:
    """Return every quantized tensor with its error in steps, the worst first.

    The error is TFLite's own: root mean square difference to the float layer over the scale; a perfectly rounded
    layer has 1/√12 ≈ 0.29.
    """
    debugger = _debugger(network, calibration[:RANKING_IMAGES])
    debugger.run()
    table = io.StringIO()
    debugger.layer_statistics_dump(table)
    table.seek(0)
    ranked = [
        (row["tensor_name"], float(np.sqrt(float(row["mean_squared_error"])) / float(row["scale"])))
        for row in csv.DictReader(table)
    ]
    return sorted(ranked, key=lambda entry: -entry[1])


def _debugger(network: Graph, calibration: NDArray[np.uint8]) -> Any:
    def inputs() -> Iterator[list[NDArray[np.float32]]]:
        return (list(named.values()) for named in representative_dataset(calibration))

    with held_back():
        return tf.lite.experimental.QuantizationDebugger(
            converter=post_training_converter(network, calibration), debug_dataset=inputs
        )
