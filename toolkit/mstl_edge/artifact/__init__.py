"""The model file: one `.tflite` that is all a device needs, verified before any byte of it reaches an interpreter."""

from __future__ import annotations

from mstl_edge.artifact.card import (
    CARD_SCHEMA,
    Card,
    GoldenRecord,
    Hashes,
    InputContract,
    input_contract,
    not_a_classifier,
    without_paths,
)
from mstl_edge.artifact.files import Artifact, open_artifact, read_artifact, write_artifact
from mstl_edge.artifact.golden import LSB, GoldenSample, draw_golden_images
from mstl_edge.artifact.inspection import KernelFacts, ModelFacts, TensorFacts, inspect_flatbuffer

__all__ = [
    "CARD_SCHEMA",
    "LSB",
    "Artifact",
    "Card",
    "GoldenRecord",
    "GoldenSample",
    "Hashes",
    "InputContract",
    "KernelFacts",
    "ModelFacts",
    "TensorFacts",
    "draw_golden_images",
    "input_contract",
    "inspect_flatbuffer",
    "not_a_classifier",
    "open_artifact",
    "read_artifact",
    "without_paths",
    "write_artifact",
]
