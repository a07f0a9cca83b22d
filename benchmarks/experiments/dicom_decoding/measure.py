r"""Compressed DICOM against pydicom's own decoding, and over cores: writes benchmarks/results/dicom-decoding.json.

    python benchmarks/experiments/dicom_decoding/measure.py --out benchmarks/results/dicom-decoding.json

Slices of 512×512 and 16 bits, smooth with noise as a CT is, in transfer syntaxes that can be written here, and as PNG.
In each round, one after the other: pydicom reads and decodes all files; `load_image` makes 224-pixel arrays of them in one process;
the same on all cores, as a data set is read.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import pixel_array
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless, generate_uid

from mstl_edge.data.workers import in_order, usable_cores
from mstl_edge.preprocess import load_image
from mstl_edge.recipe import PreprocessSpec
from mstl_edge.storage import write_text
from mstl_edge_bench.machine.host import describe_host

SCHEMA = "mstl-edge/dicom-decoding/1"
SIDE, SIZE = 512, 224
DIFFERENT = 16
SYNTAXES = {"JPEG 2000, lossless": JPEG2000Lossless, "RLE, lossless": RLELossless}
PNG = "PNG of 16 bits"


def main() -> None:
    """Measure in turns, and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = []
    for name in (*SYNTAXES, PNG):
        few = [_file(name, number) for number in range(DIFFERENT)]
        files = [few[number % DIFFERENT] for number in range(options.slices)]
        rounds = [_round(name, files) for _ in range(options.rounds)]
        rows.append(
            {"form": name, "bytes": int(np.mean([len(one) for one in few])), "rounds": rounds, **_ratios(rounds)}
        )
        sys.stderr.write(json.dumps(rows[-1]) + "\n")
    tree = {
        "schema": SCHEMA,
        "host": msgspec.to_builtins(describe_host()),
        "pydicom": pydicom.__version__,
        "slices": options.slices,
        "cores": usable_cores(),
        "forms": rows,
    }
    write_text(options.out, json.dumps(tree, indent=1) + "\n")


def _round(name: str, files: list[bytes]) -> dict[str, float]:
    spec = PreprocessSpec()
    plugin = "pydicom" if name.startswith("RLE") else ""
    found = {}
    if name != PNG:
        found["pydicom"] = _seconds(
            lambda: [pixel_array(pydicom.dcmread(io.BytesIO(content)), decoding_plugin=plugin) for content in files]
        )
    found["one_process"] = _seconds(lambda: [load_image(content, SIZE, spec) for content in files])
    found["all_cores"] = _seconds(lambda: list(in_order(lambda content: load_image(content, SIZE, spec), files)))
    return found


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _ratios(rounds: list[dict[str, float]]) -> dict[str, float | None]:
    own = [one["one_process"] / one["pydicom"] for one in rounds if "pydicom" in one]
    return {
        "of_pydicom": statistics.median(own) if own else None,
        "speed_up": statistics.median(one["one_process"] / one["all_cores"] for one in rounds),
    }


def _file(name: str, number: int) -> bytes:
    levels = _slice(number)
    buffer = io.BytesIO()
    if name == PNG:
        Image.fromarray(levels).save(buffer, "PNG")
        return buffer.getvalue()
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, generate_uid()
    dataset.Rows = dataset.Columns = SIDE
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    dataset.WindowCenter, dataset.WindowWidth = 40, 400
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.PixelData = levels.tobytes()
    dataset.compress(SYNTAXES[name], encoding_plugin="pydicom" if name.startswith("RLE") else "")
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _slice(number: int) -> NDArray[np.uint16]:
    draw = np.random.default_rng(number)
    coarse = Image.fromarray(draw.integers(0, 255, (64, 64), dtype=np.uint8)).resize(
        (SIDE, SIDE), Image.Resampling.BICUBIC
    )
    return (np.asarray(coarse).astype(np.uint16) * 8 + draw.integers(0, 30, (SIDE, SIDE))).astype(np.uint16)


if __name__ == "__main__":
    main()
