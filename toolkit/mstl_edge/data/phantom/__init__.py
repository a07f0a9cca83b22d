"""Drawn data sets that need no download: `chest` (chest X-rays) and `head-ct` (head CT slices).

They are drawings, made to be as hard as small medical data sets are, and prove nothing about patients.
"""

from __future__ import annotations

import difflib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from mstl_edge.data.phantom import chest, head_ct
from mstl_edge.data.phantom.drawing import SIDE
from mstl_edge.errors import DataError
from mstl_edge.storage import cache_folder

VERSION = 2
"""Raised whenever the same seed would give other images; part of the folder's name."""


_PURPOSES = ("anatomy", "exposure", "pair", "visits")


@dataclass(frozen=True)
class Phantom:
    """One kind of drawn data set.

    Attributes:
        stream: A number that keeps the random streams of the kinds apart.
        labels: The two classes in alphabetical order.
        count: Number of images unless told otherwise.
        draw: `(label, anatomy, exposure)` → `(SIDE, SIDE) uint8`.
        lesion: Where in that image the lesion lies, `(SIDE, SIDE) bool`; None where a class is no matter of a place.
    """

    stream: int
    labels: tuple[str, str]
    count: int
    draw: Callable[[str, Generator, Generator], NDArray[np.uint8]]
    lesion: Callable[[str, Generator, Generator], NDArray[np.bool_]] | None = None


KINDS = {
    "chest": Phantom(1, chest.LABELS, 800, chest.draw),
    "head-ct": Phantom(2, head_ct.LABELS, 1500, head_ct.draw, head_ct.lesion),
}


def phantom_folder(kind: str, *, seed: int = 0, count: int | None = None) -> Path:
    """Return a folder of drawn images, one folder per class; they are drawn on the first call.

    Files are named `p0123_0.png`: patient and number of the image. A patient has one class and one to three images. An
    image depends on kind, seed and its name only, not on `count`.

    Args:
        kind: A key of `KINDS`.
        seed: Decides every image.
        count: Number of images (at least 2); default the kind's own.

    Raises:
        DataError: An unknown kind, or a count below 2.
    """
    phantom = _kind(kind)
    count = phantom.count if count is None else count
    if count < 2:
        raise DataError(f"at least 2 images of phantom:{kind}", received=count)
    target = cache_folder("phantom") / f"{kind}-v{VERSION}-seed{seed}-{count}"
    if not target.is_dir():
        _render(phantom, seed, count, target)
    return target


def draw(kind: str, label: str, *, seed: int = 0, patient: int = 0, image: int = 0) -> NDArray[np.uint8]:
    """Draw one image.

    Args:
        kind: A key of `KINDS`.
        label: A class of that kind; in a folder, patient and seed decide it.
        seed: Decides, with patient and image, everything but the class.
        patient: Number of the patient.
        image: Number of the image of that patient.

    Returns:
        `(SIDE, SIDE) uint8`.

    Raises:
        DataError: An unknown kind or label.
    """
    phantom = _kind(kind)
    if label not in phantom.labels:
        raise DataError(f"a class of phantom:{kind} ({', '.join(phantom.labels)})", received=label)
    return phantom.draw(label, *_streams(phantom, seed, patient, image))


def lesion(kind: str, label: str, *, seed: int = 0, patient: int = 0, image: int = 0) -> NDArray[np.bool_]:
    """Return where the lesion of the image that `draw` gives for the same arguments lies.

    Returns:
        `(SIDE, SIDE)`, all False in an image without one.

    Raises:
        DataError: An unknown kind, or one whose lesions have no place.
    """
    phantom = _kind(kind)
    if phantom.lesion is None:
        raise DataError("a phantom whose lesions have a place (phantom:head-ct)", received=f"phantom:{kind}")
    return phantom.lesion(label, *_streams(phantom, seed, patient, image))


def _streams(phantom: Phantom, seed: int, patient: int, image: int) -> tuple[Generator, Generator]:
    """Return the random numbers of an image: of its anatomy, and of its exposure."""
    return _stream(phantom, seed, "anatomy", patient), _stream(phantom, seed, "exposure", patient, image)


def _stream(phantom: Phantom, seed: int, purpose: str, *numbers: int) -> Generator:
    """Return random numbers that no other purpose, patient or image shares."""
    # NumPy pads short seeds with zeros, so [a] and [a, 0] would be one stream: all are equally long, and none ends in 0.
    padded = (*numbers, 0, 0)[:2]
    return np.random.default_rng([seed, phantom.stream, *padded, 1 + _PURPOSES.index(purpose)])


def _kind(kind: str) -> Phantom:
    if kind in KINDS:
        return KINDS[kind]
    near = difflib.get_close_matches(kind, KINDS, n=1, cutoff=0.3)
    names = ", ".join(f"phantom:{name}" for name in KINDS)
    hint = f"Did you mean phantom:{near[0]}?" if near else ""
    raise DataError(f"a phantom ({names})", received=f"phantom:{kind}", hint=hint)


def _render(phantom: Phantom, seed: int, count: int, target: Path) -> None:
    """Draw into a folder beside `target` and rename it, so that `target` is whole or absent."""
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        for label in phantom.labels:
            (partial / label).mkdir(parents=True, exist_ok=True)
        kind = next(name for name, known in KINDS.items() if known is phantom)
        for patient, image, label in _plan(phantom, seed, count):
            pixels = draw(kind, label, seed=seed, patient=patient, image=image)
            Image.fromarray(pixels).save(partial / label / f"p{patient:04d}_{image}.png", compress_level=1)
        _publish(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _publish(partial: Path, target: Path) -> None:
    try:
        partial.rename(target)
    except OSError:
        # Another process was faster; its folder holds the same images.
        if not target.is_dir():
            raise


def _plan(phantom: Phantom, seed: int, count: int) -> Iterator[tuple[int, int, str]]:
    """Yield `(patient, image, label)`: of every two patients one has each class, in random order."""
    drawn = 0
    for patient in range(count):
        first = int(_stream(phantom, seed, "pair", patient // 2).integers(2))
        label = phantom.labels[(first + patient) % 2]
        images = int(_stream(phantom, seed, "visits", patient).choice([1, 2, 3], p=[0.8, 0.15, 0.05]))
        for image in range(images):
            if drawn == count:
                return
            yield patient, image, label
            drawn += 1


__all__ = ["KINDS", "SIDE", "VERSION", "Phantom", "draw", "lesion", "phantom_folder"]
