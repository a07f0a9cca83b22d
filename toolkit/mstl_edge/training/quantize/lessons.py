"""What quantization learns from: training images and views of them, never an image that judges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mstl_edge.counted import counted
from mstl_edge.training.asking import answers
from mstl_edge.training.fitting.augment import DrawnViews, view_key
from mstl_edge.training.fitting.features import Images
from mstl_edge.training.quantize import qat
from mstl_edge.training.trained import Trained, taking_turns

LEARNED = 1_000
"""Images, views among them, whose answers fine-tuning learns from the float model; all training images, where they are more."""
MOST_VIEWS = 16
"""Of one image."""
CORRECTION = 128
"""Views that bias correction and equalization look at, beside the calibration images themselves."""


def lessons_of(trained: Trained, float_flatbuffer: bytes, threads: int) -> list[qat.Lesson]:
    """Return training images and their views, each with the answer of the float twin."""
    images = learned_images(trained)
    answer = answers(float_flatbuffer, images.pixels, threads=threads)
    return [qat.Lesson(images, answer.argmax(axis=1).astype(np.int64), answer)]


def learned_images(trained: Trained) -> Images:
    """Return the training images and so many views of each that there are about `LEARNED`."""
    images, _ = trained.data.part("train")
    views = int(np.clip(round(LEARNED / max(len(images), 1)), 1, MOST_VIEWS))
    return _viewed(trained, images, [(image, view) for view in range(views) for image in range(len(images))])


def correction_views(trained: Trained) -> NDArray[np.uint8]:
    """Return `(n, height, width, 3) uint8`: views of training images, the classes in turns, for the mean errors of rounding."""
    images, classes = trained.data.part("train")
    order = taking_turns(classes, trained.seed)
    wanted = [(int(order[i % len(order)]), 1 + i // len(order)) for i in range(CORRECTION)]
    views = _viewed(trained, images, wanted).pixels
    return np.asarray(views[np.arange(len(views))], dtype=np.uint8)


def calibration_warnings(
    pixels: NDArray[np.uint8], classes: NDArray[np.int64], keys: tuple[bytes, ...], judged: set[bytes]
) -> list[str]:
    """Name the likely mistakes in a set of calibration images.

    Args:
        pixels: `(n, height, width, 3) uint8`.
        classes: `(n,)` class numbers.
        keys: One key per image.
        judged: Keys of the images that will judge the result.
    """
    warnings = []
    if len(pixels) < 50:
        warnings.append(
            f"only {counted(len(pixels), 'calibration image')}: ranges of activations may be too narrow; 100 or more are usual"
        )
    if len(np.unique(classes)) < 2:
        warnings.append("calibration images of one class only: the other class may leave the ranges")
    if int(pixels.max()) - int(pixels.min()) < 16:
        warnings.append(f"calibration pixels span {pixels.min()} to {pixels.max()}: were they scaled twice?")
    overlap = sum(key in judged for key in keys)
    if overlap:
        warnings.append(
            f"{overlap} calibration images are also validation or test images: the gate would flatter itself"
        )
    return warnings


def _viewed(trained: Trained, images: Images, wanted: list[tuple[int, int]]) -> Images:
    augment = trained.stage.augment
    keys = tuple(view_key(images.keys[image], view, augment) for image, view in wanted)
    return Images(DrawnViews(images.pixels, images.keys, augment, wanted), keys)
