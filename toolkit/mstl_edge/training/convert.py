"""Keras graph → TFLite flatbuffer with a static batch of one and named input and output."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mstl_edge.training._keras import tf

INPUT_NAME, OUTPUT_NAME = "image", "probabilities"


def converter_of(model: Any) -> Any:
    """Return a converter for `model` at batch 1; a converter converts once.

    `from_keras_model` would keep a dynamic batch, which OpenVINO and some delegates refuse.
    """
    shape = [1, *model.input_shape[1:]]

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name=INPUT_NAME)])
    def serve(image: Any) -> Any:
        return {OUTPUT_NAME: model(image, training=False)}

    return tf.lite.TFLiteConverter.from_concrete_functions([serve.get_concrete_function()], model)


def convert(converter: Any) -> bytes:
    """Run a converter with its C++ narration kept off stderr.

    Raises:
        RuntimeError: The conversion failed; the message is the converter's own.
    """
    with _quiet():
        flatbuffer: bytes = converter.convert()
    return flatbuffer


def to_float_flatbuffer(model: Any) -> bytes:
    """Return `model` as a float32 flatbuffer."""
    return convert(converter_of(model))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Send what C++ writes to stderr into a file, which is shown only if the conversion fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with log.open("wb") as handle:
            os.dup2(handle.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            sys.stderr.write(log.read_text(encoding="utf-8", errors="replace"))
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
