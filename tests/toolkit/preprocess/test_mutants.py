from __future__ import annotations

import io
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import SYNTAXES, dicom_bytes
from PIL import Image

from mstl_edge.preprocess import UnreadableImageError, heard, load_image
from mstl_edge.recipe import PreprocessSpec

MUTANTS = int(os.environ.get("MSTL_EDGE_MUTANTS", "600"))
"""100,000 take some ten minutes."""
SEED = 2026
PEAK_BYTES = 400 << 20
SPEC = PreprocessSpec(max_pixels=16_000_000)
KINDS = {"byte": 50, "edge": 15, "bit": 10, "cut": 8, "insert": 8, "number": 4, "end": 3, "other head": 2}
"""How a file is damaged, and how often."""


def encode(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def whole_files() -> dict[str, bytes]:
    pixels = np.kron(np.random.default_rng(0).integers(0, 256, (8, 8, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    colour, grey, second = Image.fromarray(pixels), Image.fromarray(pixels[..., 0]), Image.fromarray(pixels[::-1])
    seen_through = colour.convert("RGBA")
    deep = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    real = Image.fromarray(pixels[..., 0].astype(np.float32))
    exif = Image.Exif()
    exif[0x0112], exif[0x0131], exif[0x011A] = 6, "x", 72.0
    block = exif.tobytes()
    files = {
        "png": encode(colour, "PNG"),
        "png exif": encode(grey, "PNG", exif=block),
        "png 16 bit": encode(deep, "PNG"),
        "png palette": encode(colour.convert("P"), "PNG", transparency=3),
        "png transparent": encode(seen_through, "PNG"),
        "png animated": encode(colour, "PNG", save_all=True, append_images=[second]),
        "jpeg": encode(colour, "JPEG"),
        "jpeg exif": encode(colour, "JPEG", exif=block),
        "jpeg progressive": encode(grey, "JPEG", progressive=True),
        "jpeg cmyk": encode(colour.convert("CMYK"), "JPEG"),
        "mpo": encode(colour, "MPO", save_all=True, append_images=[second]),
        "webp": encode(colour, "WEBP"),
        "webp lossless": encode(seen_through, "WEBP", lossless=True, exif=block),
        "bmp": encode(colour, "BMP"),
        "bmp palette": encode(colour.convert("P"), "BMP"),
        "gif": encode(colour, "GIF"),
        "gif animated": encode(colour, "GIF", save_all=True, append_images=[second]),
        "ppm": encode(colour, "PPM"),
        "pgm 16 bit": encode(deep, "PPM"),
        "tga": encode(colour, "TGA", compression="tga_rle"),
        "tiff fax": encode(grey.convert("1"), "TIFF", compression="group4"),
        "tiff jpeg": encode(colour, "TIFF", compression="jpeg"),
        "tiff stack": encode(grey, "TIFF", save_all=True, append_images=[grey, grey]),
    }
    for name, image in (("8 bit", grey), ("rgb", colour), ("16 bit", deep), ("float", real), ("rgba", seen_through)):
        files[f"tiff {name}"] = encode(image, "TIFF", exif=block)
        for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
            files[f"tiff {name} {compression}"] = encode(image, "TIFF", compression=compression)
    return files


def mutant(files: dict[str, bytes], chance: random.Random) -> bytes:
    content = bytearray(files[chance.choice(sorted(files))])
    reach = chance.choice((128, len(content)))
    for _ in range(chance.choice((1, 1, 2, 4, 8, 32))):
        place = chance.randrange(min(len(content), reach)) if content else 0
        kind = chance.choices(tuple(KINDS), tuple(KINDS.values()))[0]
        match kind:
            case "byte":
                content[place : place + 1] = chance.randbytes(1)
            case "edge":
                content[place : place + 1] = bytes([chance.choice((0, 1, 0x7F, 0x80, 0xFF))])
            case "bit" if content:
                content[place] ^= 1 << chance.randrange(8)
            case "cut":
                del content[place : place + chance.randrange(1, 17)]
            case "insert":
                content[place:place] = chance.randbytes(chance.randrange(1, 17))
            case "number":
                content[place : place + 4] = chance.choice((b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\0\0\0\x80"))
            case "end":
                del content[place:]
            case "other head":
                content[:64] = files[chance.choice(sorted(files))][:64]
    return bytes(content)


def whole_dicom_files() -> dict[str, bytes]:
    """Return small files in every transfer syntax, those that cannot be written here among pydicom's own."""
    levels = np.kron(np.random.default_rng(0).integers(0, 256, (8, 8)), np.ones((4, 4))).astype(np.uint8)
    colours = np.stack([levels, levels[::-1], levels.T], axis=-1)
    deep = (levels.astype(np.uint16) * 16, {"bits": 12, "RescaleSlope": 1, "RescaleIntercept": -1024})
    files = {}
    for syntax in SYNTAXES:
        side = 4 if syntax == "jpeg2000" else 1
        files[syntax] = dicom_bytes(np.tile(levels, (side, side)), syntax)
        files[f"{syntax} 12 bits"] = dicom_bytes(np.tile(deep[0], (side, side)), syntax, **deep[1])
        files[f"{syntax} colour"] = dicom_bytes(np.tile(colours, (side, side, 1)), syntax)
    files["jpeg"] = dicom_bytes(levels, "jpeg")
    files["windowed"] = dicom_bytes(
        deep[0], WindowCenter=[40, 300], WindowWidth=[80, 900], PixelPaddingValue=0, **deep[1]
    )
    files["turned over"] = dicom_bytes(levels, PhotometricInterpretation="MONOCHROME1")
    files["frames"] = dicom_bytes(np.stack([levels, levels.T]), "rle", NumberOfFrames=2)
    files["without preamble"] = dicom_bytes(levels, "implicit", preamble=False)
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    for name in (
        "MR_small_jpeg_ls_lossless.dcm", "SC_rgb_jpeg_gdcm.dcm", "SC_rgb_small_odd_jpeg.dcm", "JPEGLSNearLossless_16.dcm",
        "MR_small_bigendian.dcm", "JPGExtended.dcm", "SC_rgb_dcmtk_+eb+cy+s4.dcm", "rtdose_1frame.dcm",
    ):  # fmt: skip
        files[name] = (folder / name).read_bytes()
    return files


def examine(count: int, seed: int, files: dict[str, bytes]) -> tuple[int, int]:
    """Load so many mutants; return how many were read and how many refused. Any other outcome is raised."""
    chance = random.Random(seed)
    read = refused = 0
    for number in range(count):
        content = mutant(files, chance)
        try:
            with heard():
                assert load_image(content, 32, SPEC).shape == (32, 32, 3)
            read += 1
        except UnreadableImageError as error:
            if "\n" in str(error):
                raise AssertionError(f"mutant {number} of seed {seed} on several lines") from error
            refused += 1
        except BaseException as error:
            raise AssertionError(f"mutant {number} of seed {seed}: {error!r}") from error
    return read, refused


def test_every_whole_file_is_read_or_is_refused_for_its_frames():
    for name, content in whole_files().items():
        if "animated" in name or "stack" in name:
            with pytest.raises(UnreadableImageError, match="one picture"):
                load_image(content, 32, SPEC)
        else:
            assert load_image(content, 32, SPEC).shape == (32, 32, 3), name


@pytest.mark.slow
@pytest.mark.parametrize(("files", "share"), [("whole_files", 1.0), ("whole_dicom_files", 0.1)])
def test_mutants_give_an_image_or_the_one_error_within_bounded_memory_and_without_a_word(
    tmp_path: Path, files: str, share: float
):
    count = max(600, round(MUTANTS * share))
    code = f"""
import re, sys
sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[2] / "helpers")]!r}
from test_mutants import examine, {files}
print(*examine({count}, {SEED}, {files}()))
from pathlib import Path
print(1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    counts, peak = done.stdout.splitlines()
    read, refused = map(int, counts.split())
    assert read + refused == count
    assert min(read, refused) > count // 10
    assert int(peak) < PEAK_BYTES
