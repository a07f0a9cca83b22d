"""Keras graph → TFLite flatbuffer with a static batch of one and named input and output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.held_back import held_back
from mstl_edge.preprocess import normalize
from mstl_edge.training._keras import import_tflite_convert, tf
from mstl_edge.training.narrow import narrow_kernels
from mstl_edge.training.network.graph import Graph
from mstl_edge.training.network.keras import to_keras
from mstl_edge.training.network.passes.quantized import weight_bits_of

INPUT_NAME, OUTPUT_NAME = "image", "probabilities"


def converter_of(graph: Graph, *, signature: bool = True) -> Any:
    """Return a converter for a network at batch 1; a converter converts once.

    Args:
        graph: Image → anything.
        signature: Keep the names of input and output in the file. Without them, as for a file that only this process runs, the
            conversion needs no SavedModel and takes half the time.
    """
    return converter_of_keras(to_keras(graph), signature=signature)


def converter_of_keras(model: Any, *, signature: bool = True) -> Any:
    """Return a converter for a Keras model at batch 1; see `converter_of`.

    `from_keras_model` would keep a dynamic batch, which OpenVINO and some delegates refuse.
    """
    shape = [1, *model.input_shape[1:]]

    def serve(image: Any) -> Any:
        return {OUTPUT_NAME: model(image, training=False)}

    specification = [tf.TensorSpec(shape, tf.float32, name=INPUT_NAME)]
    served = tf.function(serve, input_signature=specification, autograph=False).get_concrete_function()
    # Given the Keras model itself, the converter would trace each of its layers: the same bytes, four times slower.
    holder = tf.Module()
    holder.held = model.variables
    converter = tf.lite.TFLiteConverter.from_concrete_functions([served], holder)
    converter.experimental_lower_to_saved_model = signature
    return converter


def convert(converter: Any) -> bytes:
    """Run a converter with its C++ narration kept off stderr.

    Raises:
        RuntimeError: The conversion failed; the message is the converter's own.
    """
    with held_back():
        flatbuffer: bytes = converter.convert()
    return flatbuffer


def to_float_flatbuffer(graph: Graph, *, signature: bool = True) -> bytes:
    """Return a network as a float32 flatbuffer; `signature` as for `converter_of`."""
    return convert(converter_of(graph, signature=signature))


def to_float16_flatbuffer(graph: Graph) -> bytes:
    """Return a network with float16 weights; a CPU computes in float32 all the same."""
    converter = converter_of(graph)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    return convert(converter)


def to_dynamic_flatbuffer(graph: Graph) -> bytes:
    """Return a network with int8 weights and float activations that are quantized on the fly."""
    converter = converter_of(graph)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return convert(converter)


def to_int8_flatbuffer(quantized: Graph, *, signature: bool = True) -> bytes:
    """Return a network under fake quantization as an int8 flatbuffer; its own ranges and bits are used, none is measured.

    `signature` as for `converter_of`.
    """
    converter = converter_of(quantized, signature=signature)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return narrow_kernels(convert(converter), weight_bits_of(quantized))


def post_training_converter(graph: Graph, pixels: NDArray[np.uint8]) -> Any:
    """Return a converter that quantizes a float network by TFLite's own calibration.

    Args:
        graph: Image → probabilities.
        pixels: `(n, height, width, 3) uint8` calibration images.
    """
    converter = converter_of(graph)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: representative_dataset(pixels)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter


def to_mixed_flatbuffer(calibrated: bytes, kept_in_float: list[str], weight_bits: int) -> bytes:
    """Return a calibrated model as a flatbuffer with int8 input and output whose named tensors are computed in float.

    TFLite's QuantizationDebugger names no types for input and output and so would leave both in float.

    Args:
        calibrated: The debugger's `calibrated_model`.
        kept_in_float: Names of tensors.
        weight_bits: Of the weights that are not kept.
    """
    with held_back():
        flatbuffer: bytes = import_tflite_convert().mlir_quantize(
            calibrated, input_data_type=tf.int8, output_data_type=tf.int8, denylisted_nodes=kept_in_float
        )
    return narrow_kernels(flatbuffer, weight_bits)


def representative_dataset(pixels: NDArray[np.uint8]) -> Iterator[dict[str, NDArray[np.float32]]]:
    """Yield calibration images one by one as the converter wants them.

    One corner pixel of each is set to black and one to white, so that the input's range is [−1, 127/128], its scale 1/128.
    """
    for image in pixels:
        spanned = image.copy()
        spanned[0, 0], spanned[0, -1] = 0, 255
        yield {INPUT_NAME: normalize(spanned)[np.newaxis]}
