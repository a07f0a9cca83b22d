"""What is timed of a loaded model: one inference, and the way from an encoded image to a decision."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from mstl_edge.artifact import Card, draw_golden_images
from mstl_edge.artifact.golden import encode_image
from mstl_edge.metrics import decide
from mstl_edge.preprocess import load_image
from mstl_edge.runtime import InterpreterRuntime, to_input, to_real
from mstl_edge_bench.timing.latency import Subject

ENCODED_SIZE = 512
"""Side of the drawn image that decoding and end to end are timed on, in pixels; about that of a public X-ray or CT slice."""


def inference_of(runtime: InterpreterRuntime) -> Subject:
    """Return one `invoke` on a drawn image; setting the input and reading the output are not timed."""
    interpreter = runtime.interpreter
    batch = to_input(draw_golden_images(runtime.input.shape[1], 1)[0][None], runtime.input)
    give = partial(interpreter.set_tensor, interpreter.get_input_details()[0]["index"], batch)
    take = partial(interpreter.get_tensor, interpreter.get_output_details()[0]["index"])
    return Subject(interpreter.invoke, give, take)


def whole_way_of(runtime: InterpreterRuntime, card: Card | None) -> Subject:
    """Return inference, decoding and end to end; without a card the way to the input is unknown, so only inference is."""
    inference = inference_of(runtime)
    if card is None:
        return inference
    decode = partial(load_image, encoded_image(), card.input.height, card.input.preprocess)

    def end_to_end() -> NDArray[np.int64]:
        answered = to_real(runtime.invoke(to_input(decode()[None], runtime.input)), runtime.output)
        return decide(answered, positive=card.positive_index, threshold=card.threshold)

    return Subject(inference.invoke, inference.give, inference.take, decode, end_to_end)


@cache
def encoded_image() -> bytes:
    """Return the PNG that decoding is timed on; the same one on every machine."""
    return encode_image(draw_golden_images(ENCODED_SIZE, 1)[0])
