"""A model that was changed as objects, written again as a flatbuffer; needs the schema that LiteRT generates."""

from __future__ import annotations

from typing import Any

import flatbuffers

from mstl_edge.artifact.flatbuffer import IDENTIFIER

_ALIGNMENT = 16
"""Of constants, as schema.fbs demands; generated Python code does not keep it by itself."""


class _Builder(flatbuffers.Builder):  # type: ignore[misc]
    """A builder that starts every vector of bytes, which is what constants are, at an aligned place."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:  # noqa: N802, N803 - the library's own
        """Begin a vector."""
        return super().StartVector(elemSize, numElems, max(alignment, _ALIGNMENT) if elemSize == 1 else alignment)


def packed(model: Any, about_bytes: int) -> bytes:
    """Return a `schema.ModelT` as a `.tflite`; equal models give equal bytes.

    Args:
        model: What to write.
        about_bytes: Its size, roughly: room that is made at once.
    """
    builder = _Builder(about_bytes + 4096)
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())
