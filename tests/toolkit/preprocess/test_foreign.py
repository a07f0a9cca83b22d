from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mstl_edge.preprocess import UnreadableImageError, load_image
from mstl_edge.recipe import PreprocessSpec

SPEC = PreprocessSpec()


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("scan.png", "x")
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("scan.png"), io.BytesIO())
    return buffer.getvalue()


def jpeg_of(bits: int, marker: int = 0xC1) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "JPEG")
    content = bytearray(buffer.getvalue())
    start = content.index(b"\xff\xc0")
    content[start + 1], content[start + 4] = marker, bits
    return bytes(content)


def box(brand: bytes) -> bytes:
    return struct.pack(">L", 24) + b"ftyp" + brand + b"\0\0\0\0mif1" + brand + b"\0" * 100


NIFTI = b"\x5c\1\0\0" + b"\0" * 340 + b"n+1\0"
FOREIGN = {
    "nifti": (NIFTI, "NIfTI or Analyze volume; convert"),
    "nifti without magic": (b"\x5c\1\0\0" + b"\0" * 344, "NIfTI"),
    "nifti of the other byte order": (b"\0\0\1\x5c" + b"\0" * 344, "NIfTI"),
    "nifti 2": (b"\x1c\2\0\0n+2\0\r\n\x1a\n" + b"\0" * 530, "NIfTI"),
    "packed nifti": (gzip.compress(NIFTI), "NIfTI"),
    "packed png": (gzip.compress(b"\x89PNG\r\n\x1a\n" + bytes(400)), "gzip archive; unpack"),
    "git lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "Git LFS pointer.*git lfs pull"),
    "git annex": (b"/annex/objects/MD5E-s12--0.png\n", "git-annex pointer.*git annex get"),
    "login page": (b"<!DOCTYPE html><html>Sign in</html>", r"web page \(HTML\); download it again"),
    "login page with mark and spaces": (b"\xef\xbb\xbf\n  <HTML lang='en'>", "web page"),
    "xhtml": (b"<?xml version='1.0'?><!DOCTYPE html PUBLIC ''><html>", "web page"),
    "json error": (b'{"error": {"code": 403}}', "JSON document; download it again"),
    "xml error": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "XML document; download"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG drawing; save it as PNG"),
    "svg with head": (b"<?xml version='1.0'?>\n<!-- made -->\n<svg/>", "SVG drawing"),
    "data address": (b"data:image/png;base64,iVBORw0KGgo=", "written as text"),
    "pdf": (b"%PDF-1.7\n", "PDF document; extract"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n", "PostScript drawing"),
    "heic": (box(b"heic"), "HEIC image"),
    "avif that is damaged": (box(b"avif"), "AVIF image that is damaged"),
    "video": (box(b"isom").replace(b"mif1", b"mp42"), "video"),
    "jpeg xl": (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    "jpeg 2000 that is damaged": (b"\xff\x4f\xff\x51" + b"\0" * 40, "JPEG 2000 image"),
    "jpeg of 12 bits": (jpeg_of(12), "JPEG of 12 bits a sample.*save it as 16-bit PNG"),
    "lossless jpeg": (jpeg_of(8, 0xC3), "lossless or hierarchical JPEG"),
    "jpeg-ls": (b"\xff\xd8\xff\xf7\0\x0b\x08\0\x08\0\x08\x01\0", "JPEG-LS"),
    "jpeg cut off in its header": (b"\xff\xd8\xff\xe0\0\x10JF", "JPEG that is damaged or cut off.*fetch"),
    "png cut off in its header": (b"\x89PNG\r\n\x1a\n\0\0", "PNG file that is damaged or cut off.*fetch"),
    "tiff cut off": (b"II*\0\x08\0\0\0", "TIFF that is damaged, or cut off"),
    "zip": (zipped(), "zip archive; unpack"),
    "tar": (tarred(), "tar archive; unpack"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5 file"),
    "numpy": (b"\x93NUMPY\x01\0", "NumPy array"),
    "nrrd": (b"NRRD0004\ntype: short\n", "NRRD volume; convert"),
    "appledouble": (b"\0\x05\x16\x07\0\2\0\0Mac OS X", "AppleDouble"),
    "zeros": (bytes(5000), "nothing but zero bytes; fetch"),
}


@pytest.mark.parametrize("name", list(FOREIGN))
def test_a_foreign_file_is_named_with_its_remedy_in_one_line(name, tmp_path):
    content, said = FOREIGN[name]
    path = tmp_path / "scan.png"
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match=rf"Received: scan\.png \(.*{said}") as caught:
        load_image(path, 32, SPEC)
    assert "not an image" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert ";" in caught.value.reason


@pytest.mark.parametrize(("kind", "said"), [(np.float64, "64-bit floating-point"), (np.uint64, "64-bit unsigned")])
def test_a_tiff_of_samples_that_pillow_does_not_read_says_which(tiff, kind, said):
    with pytest.raises(UnreadableImageError, match=rf"a TIFF of {said} samples.*save it as PNG, or as TIFF of"):
        load_image(tiff(np.ones((8, 8), kind)), 32, SPEC)


def test_a_file_far_above_the_pixel_limit_is_named_without_reading_it(tmp_path):
    path = tmp_path / "volume.nii"
    with path.open("wb") as file:
        file.write(NIFTI)
        file.truncate(2 << 30)  # sparse
    with pytest.raises(UnreadableImageError, match=r"at most 1,091,108,864 bytes.*2,147,483,648 bytes, a NIfTI"):
        load_image(path, 32, SPEC)


@pytest.mark.parametrize("name", ["scan\0.png", "."])
def test_a_path_that_is_no_file_is_that_files_error(name, tmp_path):
    with pytest.raises(UnreadableImageError):
        load_image(tmp_path / name, 32, SPEC)


def test_a_device_is_no_image():
    with pytest.raises(UnreadableImageError, match="a device"):
        load_image(Path("/dev/zero"), 32, SPEC)
