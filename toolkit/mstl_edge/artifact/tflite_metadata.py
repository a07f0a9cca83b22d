"""TFLite Metadata: what MediaPipe Tasks and ML Kit read of a model, in a flatbuffer of its own inside the model's.

Only what an image classifier needs of `metadata_schema.fbs` (version M001): names, how to normalize, and which file in the
appended zip lists the labels. Field numbers are those of that schema.
"""

from __future__ import annotations

from collections.abc import Sequence

import flatbuffers
from flatbuffers import number_types

from mstl_edge.artifact.archive import LABELS_FILE
from mstl_edge.artifact.card import Card
from mstl_edge.preprocess import PIXEL_OFFSET, PIXEL_SCALE

METADATA_NAME = "TFLITE_METADATA"
METADATA_IDENTIFIER = b"M001"
INPUT_NAME, OUTPUT_NAME = "image", "probability"
_PARSER_VERSION = "1.0.0"
"""The oldest release of the format's readers that knows every field used here."""
_RGB, _AXIS_LABELS = 1, 2
_FEATURE_PROPERTIES, _IMAGE_PROPERTIES, _NORMALIZATION = 1, 2, 1
"""Members of the unions ContentProperties and ProcessUnitOptions."""


def encode_metadata(card: Card) -> bytes:
    """Return the metadata of the model that `card` describes; equal cards give equal bytes."""
    builder = flatbuffers.Builder(1024)
    graph = _table(
        builder,
        {2: _vector(builder, [_image_tensor(builder, card)]), 3: _vector(builder, [_score_tensor(builder, card)])},
    )
    texts = {0: card.name, 1: _description(card), 7: _PARSER_VERSION}
    fields = {number: builder.CreateString(text) for number, text in texts.items()}
    model = _table(builder, {**fields, 3: _vector(builder, [graph])})
    builder.Finish(model, file_identifier=METADATA_IDENTIFIER)
    return bytes(builder.Output())


def _description(card: Card) -> str:
    """Say in words what the format has no field for."""
    decision = (
        f"{card.positive} from a probability of {card.threshold:.4f} on" if len(card.labels) == 2 else "likeliest"
    )
    spec = card.input.preprocess
    return (
        f"Classes: {', '.join(card.labels)}. Decision: {decision}. Images: {spec.aspect} to "
        f"{card.input.width}x{card.input.height}, {spec.resize}. Research software, no medical device."
    )


def _image_tensor(builder: flatbuffers.Builder, card: Card) -> int:
    """Describe the input: real numbers are `(p − 128) / 128`; a reader of uint8 passes the bytes on as they are."""
    size = _table(builder, {}, {0: card.input.width, 1: card.input.height})
    properties = _table(builder, {1: size}, bytes_={0: _RGB})
    content = _table(builder, {1: properties}, bytes_={0: _IMAGE_PROPERTIES})
    options = _table(builder, {0: _floats(builder, [PIXEL_OFFSET]), 1: _floats(builder, [PIXEL_SCALE])})
    unit = _table(builder, {1: options}, bytes_={0: _NORMALIZATION})
    name = builder.CreateString(INPUT_NAME)
    return _table(builder, {0: name, 3: content, 4: _vector(builder, [unit])})


def _score_tensor(builder: flatbuffers.Builder, card: Card) -> int:
    content = _table(builder, {1: _table(builder, {})}, bytes_={0: _FEATURE_PROPERTIES})
    file = _table(builder, {0: builder.CreateString(LABELS_FILE)}, bytes_={2: _AXIS_LABELS})
    return _table(
        builder,
        {0: builder.CreateString(OUTPUT_NAME), 3: content, 6: _vector(builder, [file])},
    )


def _table(
    builder: flatbuffers.Builder,
    offsets: dict[int, int],
    numbers: dict[int, int] | None = None,
    bytes_: dict[int, int] | None = None,
) -> int:
    """Write a table of offsets, unsigned 32-bit numbers and bytes, each by its field number."""
    builder.StartObject(1 + max([-1, *offsets, *(numbers or {}), *(bytes_ or {})]))
    for field, offset in offsets.items():
        builder.PrependUOffsetTRelativeSlot(field, offset, 0)
    for field, number in (numbers or {}).items():
        builder.PrependUint32Slot(field, number, 0)
    for field, byte in (bytes_ or {}).items():
        builder.PrependUint8Slot(field, byte, 0)
    return int(builder.EndObject())


def _vector(builder: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    size = number_types.UOffsetTFlags.bytewidth
    builder.StartVector(size, len(offsets), size)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _floats(builder: flatbuffers.Builder, values: Sequence[float]) -> int:
    size = number_types.Float32Flags.bytewidth
    builder.StartVector(size, len(values), size)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return int(builder.EndVector())
