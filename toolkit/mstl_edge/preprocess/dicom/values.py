"""Elements of a DICOM file, whatever is damaged or missing; nothing of a file's own text goes into a message."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import numpy as np


@cache
def hush() -> None:
    """Let pydicom and its decoders log nothing: their lines quote values."""
    for name in ("pydicom", "pylibjpeg", "openjpeg", "libjpeg", "rle"):
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False


def functional(dataset: Any, frame: int, group: str) -> Any:
    """Return where a file says something of one frame: its functional group, the one of all frames, or the file itself."""
    for sequence, place in (("PerFrameFunctionalGroupsSequence", frame), ("SharedFunctionalGroupsSequence", 0)):
        groups = dataset.get(sequence)
        if groups and place < len(groups) and groups[place].get(group):
            return groups[place].get(group)[0]
    return dataset


def text_of(dataset: Any, name: str) -> str:
    """Return an element as text, the first of several; empty where it is missing or damaged."""
    value = value_of(dataset, name)
    return "" if value is None else str(value).strip()


def number_of(dataset: Any, name: str, usual: float) -> float:
    """Return an element as a finite number; `usual` where it is none."""
    try:
        value = float(value_of(dataset, name))
    except (TypeError, ValueError):
        return usual
    return value if np.isfinite(value) else usual


def whole_of(dataset: Any, name: str, usual: Any) -> Any:
    """Return an element as a whole number; `usual` where it is none."""
    try:
        return int(value_of(dataset, name))
    except (TypeError, ValueError, OverflowError):
        return usual


def value_of(dataset: Any, name: str) -> Any:
    """Return an element's value, the first of several; None where it is missing, empty or damaged."""
    try:
        value = dataset.get(name)
        if value is not None and not isinstance(value, str | bytes) and hasattr(value, "__len__"):
            value = value[0] if len(value) else None
    except Exception:  # noqa: BLE001 - pydicom converts when asked, and raises what its converters raise
        return None
    return value
