from __future__ import annotations

import io
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from mstl_edge.preprocess import UnreadableImageError, decode, load_image
from mstl_edge.preprocess import picture as picture_module
from mstl_edge.recipe import PreprocessSpec

SPEC = PreprocessSpec()
SIDE = 3000
BANDS = 40 << 20
PEAK = """
import re, sys
from pathlib import Path
from mstl_edge.preprocess import load_image
from mstl_edge.recipe import PreprocessSpec
def peak():
    # Not getrusage, whose peak may be that of the process that started this one.
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

load_image(Path(sys.argv[1]), 32, PreprocessSpec())
before = peak()
load_image(Path(sys.argv[2]), 32, PreprocessSpec())
print(peak() - before)
"""


def noise(side: int, channels: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, channels), dtype=np.uint8)


@pytest.mark.parametrize(
    ("mode", "form", "bytes_per_pixel"),
    [("RGBA", "png", 8), ("LA", "png", 8), ("I;16", "png", 3), ("I;16", "tif", 5), ("F", "tif", 9)],
)
def test_a_large_picture_costs_what_it_holds_and_its_result(mode, form, bytes_per_pixel, tmp_path: Path):
    """In bands: at once, transparency took 20 bytes a pixel and 16 bits 18. A TIFF's bytes are held, too."""
    row = noise(1, SIDE)[0, 0]
    levels = np.broadcast_to(row, (SIDE, SIDE))
    if mode == "I;16":
        image = Image.fromarray(levels.astype(np.uint16) * 200)
    elif mode == "F":
        image = Image.fromarray(levels.astype(np.float32))
    else:
        image = Image.fromarray(np.stack([levels] * len(mode), axis=2), mode if mode == "LA" else None)
    large, small = tmp_path / f"large.{form}", tmp_path / f"small.{form}"
    image.save(large)
    image.crop((0, 0, 32, 32)).save(small)
    done = subprocess.run([sys.executable, "-c", PEAK, small, large], capture_output=True, text=True, check=True)
    assert int(done.stdout) < bytes_per_pixel * SIDE**2 + BANDS


def test_a_large_tiff_is_held_against_the_recipes_limit_alone(saved, monkeypatch):
    levels = noise(40, 1)[..., 0]
    content = saved(Image.fromarray(levels), "TIFF", compression="tiff_lzw")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    monkeypatch.setattr(picture_module, "LARGE_PIXELS", 1000)
    np.testing.assert_array_equal(load_image(content, 40, SPEC)[..., 0], levels)
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L"])
def test_transparency_in_bands_gives_the_pixels_of_the_whole(saved, monkeypatch, mode):
    rgba = Image.fromarray(noise(50, 4))
    options = {"P": {"transparency": 3}, "RGB": {"transparency": (1, 2, 3)}, "L": {"transparency": 7}}.get(mode, {})
    content = saved(rgba.convert(mode), **options)
    whole = np.asarray(decode(content, SPEC))
    over = Image.open(io.BytesIO(content)).convert("RGBA")
    expected = Image.alpha_composite(Image.new("RGBA", over.size, (0, 0, 0, 255)), over).convert("RGB")
    np.testing.assert_array_equal(whole, np.asarray(expected))
    monkeypatch.setattr(picture_module, "_BAND_PIXELS", 50 * 7)
    np.testing.assert_array_equal(np.asarray(decode(content, SPEC)), whole)


@pytest.mark.parametrize(
    "raised",
    [
        AssertionError(), AttributeError("none"), EOFError(), Image.DecompressionBombError("large"), IndexError("4"),
        KeyError("tag"), NotImplementedError(), OSError("broken"), OverflowError("large"), RecursionError("deep"),
        struct.error("short"), SyntaxError("broken"), TypeError("int"), UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"),
        ValueError("negative"), ZeroDivisionError(), RuntimeError("thread"),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
@pytest.mark.parametrize("where", [(ImageFile.ImageFile, "load"), (Image, "open")], ids=["loading", "opening"])
def test_whatever_a_decoder_raises_is_that_files_error(saved, monkeypatch, raised, where):
    content = b"\x01" * 5 + saved(Image.new("L", (8, 8))) if where[1] == "open" else saved(Image.new("L", (8, 8)))

    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(*where, fail)
    with pytest.raises(UnreadableImageError, match=r"an image file") as caught:
        load_image(content, 8, SPEC)
    assert caught.value.reason


@pytest.mark.parametrize(
    "where", [(ImageFile.ImageFile, "load"), (Image, "open"), (Path, "open")], ids=["load", "open", "read"]
)
def test_too_little_memory_is_that_files_error_and_an_interrupt_is_not(saved, monkeypatch, tmp_path: Path, where):
    path = tmp_path / "panorama.png"
    path.write_bytes(saved(Image.new("L", (8, 8))))
    raised: BaseException = MemoryError()

    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(*where, fail)
    with pytest.raises(UnreadableImageError, match=r"fits into memory. Received: panorama.png .*preprocess.max_pixels"):
        load_image(path, 8, SPEC)
    raised = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        load_image(path, 8, SPEC)
