"""Real images as DICOM, in several transfer syntaxes and depths, give the pixels of the same images as PNG."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from dicom_files import SYNTAXES, dicom_bytes
from PIL import Image

from mstl_edge.data.sources import open_source
from mstl_edge.preprocess import decode, load_image
from mstl_edge.recipe import PreprocessSpec

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif("MSTL_EDGE_REAL_DATA" not in os.environ, reason="MSTL_EDGE_REAL_DATA is not set"),
]
SPEC = PreprocessSpec()
SETS = ("head-ct-hemorrhage", "breast-ultrasound-busi", "brain-mri-tumor")
IMAGES = 48


def as_stored(grey: np.ndarray, number: int) -> bytes:
    """Return an image as DICOM: as it is, turned over, of 12 bits through a window, or signed through an exact one."""
    syntax = list(SYNTAXES)[number % len(SYNTAXES)]
    match number % 4:
        case 0:
            return dicom_bytes(grey, syntax)
        case 1:
            return dicom_bytes(255 - grey, syntax, PhotometricInterpretation="MONOCHROME1")
        case 2:
            hounsfield = grey.astype(np.float64) * 79 / 255
            stored = np.rint((hounsfield + 1024) * 2).astype(np.uint16)
            told = {"RescaleSlope": 0.5, "RescaleIntercept": -1024, "WindowCenter": 40, "WindowWidth": 80}
            return dicom_bytes(stored, syntax, bits=12, **told)
        case _:
            told = {"WindowCenter": -872.5, "WindowWidth": 255, "VOILUTFunction": "LINEAR_EXACT"}
            return dicom_bytes(grey.astype(np.int16) - 1000, syntax, RescaleSlope=1, RescaleIntercept=0, **told)


@pytest.mark.parametrize("name", SETS)
def test_dicom_gives_the_pixels_of_the_png_within_rounding(name: str) -> None:
    images = open_source(str(Path(os.environ["MSTL_EDGE_REAL_DATA"]) / "data" / name)).images
    apart = []
    for number, image in enumerate(images[:: max(1, len(images) // IMAGES)]):
        grey = np.asarray(decode(image.path, SPEC).convert("L"))
        buffer = io.BytesIO()
        Image.fromarray(grey).save(buffer, "PNG")
        wanted = load_image(buffer.getvalue(), 224, SPEC).astype(int)
        given = load_image(as_stored(grey, number), 224, SPEC).astype(int)
        apart.append(int(np.abs(wanted - given).max()))
        assert apart[-1] <= (1 if number % 4 == 2 else 0), image.name
    assert len(apart) >= IMAGES
