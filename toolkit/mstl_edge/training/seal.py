"""A flatbuffer and its card → the file that a device gets, golden answers measured in every runtime at hand."""

from __future__ import annotations

from pathlib import Path

from mstl_edge.artifact import Card, write_artifact
from mstl_edge.runtime import record_golden


def seal(path: Path, flatbuffer: bytes, card: Card) -> Card:
    """Write a model file with golden samples.

    Raises:
        ArtifactError: The card does not fit the model.
        MstlEdgeError: The disk is full or the folder cannot be written.
    """
    return write_artifact(path, flatbuffer, card, record_golden(flatbuffer))
