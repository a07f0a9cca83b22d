"""Small pictures of the images behind mistakes. They may be patients' images: they are made only where asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mstl_edge.artifact.golden import encode_image
from mstl_edge.data.sources import source_folder
from mstl_edge.data.splits import Manifest, load_manifest
from mstl_edge.data_address import png_address
from mstl_edge.moved import read_places
from mstl_edge.preprocess import load_image
from mstl_edge.recipe import PreprocessSpec, StageSpec
from mstl_edge.runs import RunFolder
from mstl_edge.schemas.study_plan import STUDY_PLAN

THUMBNAIL_PIXELS = 128
PLAN_FILE = "plan.json"
IMAGES_FILE = "images.json"
PLACES_FILE = "data.json"

Thumbnails = Mapping[str, str]
"""Name of an image → `data:` address of a small PNG. Empty where names may be shown and there are no pictures."""


def run_thumbnails(folder: RunFolder, wanted: set[str]) -> Thumbnails:
    """Return small pictures of test images of a run's last stage.

    Raises:
        DataError: The data set is gone, or an image cannot be read.
    """
    images = ((name, path) for path, name, _ in test_images(folder))
    return _draw(images, wanted, folder.recipe().preprocess)


def study_thumbnails(folder: Path, wanted: set[str]) -> Thumbnails:
    """Return small pictures of a study's images; none where the study's result lies without its folder.

    Raises:
        RunError: The study's plan is damaged.
        DataError: The data set is gone, or an image cannot be read.
    """
    if not (folder / PLAN_FILE).is_file() or not (folder / IMAGES_FILE).is_file():
        return {}
    recipe = STUDY_PLAN.read(folder / PLAN_FILE, hint="Start a new study: mstl-edge study RECIPE").recipe
    manifest = load_manifest(folder / IMAGES_FILE)
    base = _folder(manifest, recipe.stages[-1], folder)
    return _draw(((row.name, base / row.name) for row in manifest.rows), wanted, recipe.preprocess)


def test_images(folder: RunFolder) -> list[tuple[Path, str, str]]:
    """Return the test images of a run's last stage: file, name, label.

    Raises:
        DataError: The manifest or the data set is gone.
    """
    stage = folder.recipe().stages[-1]
    manifest = load_manifest(folder.manifest(stage.name))
    base = _folder(manifest, stage, folder.path)
    return [(base / row.name, row.name, row.label) for row in manifest.part("test")]


def _folder(manifest: Manifest, stage: StageSpec, made: Path) -> Path:
    """Return what the names of a manifest are relative to; `made` is the run or study, which knows of data that has moved."""
    return source_folder(read_places(made / PLACES_FILE).get(stage.name, manifest.source))


def _draw(images: Iterable[tuple[str, Path]], wanted: set[str], spec: PreprocessSpec) -> Thumbnails:
    found = {}
    for name, path in images:
        if name in wanted:
            found[name] = data_address(load_image(path, THUMBNAIL_PIXELS, spec))
    return found


def data_address(pixels: NDArray[np.uint8]) -> str:
    """Return `(height, width, 3) uint8` as a `data:` address of a PNG."""
    return png_address(encode_image(pixels))
