"""What a file that gives no image is instead, told by its content, and what to do about it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from mstl_edge.preprocess.tiff import describe_samples, is_tiff

_CONVERT_MEDICAL = "convert it to 16-bit PNG or TIFF, one picture a file (ImageJ, DCMTK), and state preprocess.window"
_CONVERT = "save it as PNG first"
_FETCH = "download it again: the address asks for a login, or gives an error"
_UNPACK = "unpack it first"
_AGAIN = "fetch or export it again"
_REMOVE = "it can be deleted, or left out"
_FRAMES = "extract its frames: ffmpeg"
_HEAD = 4096


@dataclass(frozen=True)
class Kind:
    """What a file is, as `a DICOM file`, and its remedy, as `unpack it first`."""

    name: str
    remedy: str

    @property
    def reason(self) -> str:
        """Both, for an error."""
        return f"{self.name}; {self.remedy}" if self.remedy else self.name


UNKNOWN = Kind("not an image", "")
_BEGINNINGS: tuple[tuple[bytes, Kind], ...] = (
    (b"version https://git-lfs", Kind("a Git LFS pointer, not the file it stands for", "fetch that: git lfs pull")),
    (b"/annex/objects/", Kind("a git-annex pointer, not the file it stands for", "fetch that: git annex get")),
    (b"%PDF-", Kind("a PDF document", "extract its pictures: pdfimages -png")),
    (b"%!PS", Kind("a PostScript drawing", _CONVERT)),
    (b"\xc5\xd0\xd3\xc6", Kind("a PostScript drawing", _CONVERT)),
    (b"\xd7\xcd\xc6\x9a", Kind("a Windows metafile", _CONVERT)),
    (b"\0\0\0\x0cJXL ", Kind("a JPEG XL image", _CONVERT)),
    (b"\xff\x0a", Kind("a JPEG XL image", _CONVERT)),
    (b"\0\0\0\x0cjP  ", Kind("a JPEG 2000 image that is damaged, or that Pillow here has no decoder for", _CONVERT)),
    (b"\xff\x4f\xff\x51", Kind("a JPEG 2000 image that is damaged, or that Pillow here has no decoder for", _CONVERT)),
    (b"II\xbc", Kind("a JPEG XR image", _CONVERT)),
    (b"gimp xcf", Kind("a GIMP project", _CONVERT)),
    (b"FUJIFILMCCD-RAW", Kind("a camera's raw file", _CONVERT)),
    (b"PK\x03\x04", Kind("a zip archive", _UNPACK)),
    (b"PK\x05\x06", Kind("a zip archive", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", Kind("a 7-Zip archive", _UNPACK)),
    (b"Rar!\x1a\x07", Kind("a RAR archive", _UNPACK)),
    (b"BZh", Kind("a bzip2 archive", _UNPACK)),
    (b"\xfd7zXZ\0", Kind("an xz archive", _UNPACK)),
    (b"\x28\xb5\x2f\xfd", Kind("a Zstandard archive", _UNPACK)),
    (b"\x89HDF\r\n\x1a\n", Kind("an HDF5 file", "export its pictures as PNG, one a file")),
    (b"MATLAB 5.0 MAT-file", Kind("a MATLAB file", "export its pictures as PNG: imwrite")),
    (b"\x93NUMPY", Kind("a NumPy array", "save it as PNG: PIL.Image.fromarray(numpy.load(…)).save(…)")),
    (b"NRRD0", Kind("an NRRD volume", _CONVERT_MEDICAL)),
    (b"ObjectType", Kind("a MetaImage header", _CONVERT_MEDICAL)),
    (b"SIMPLE  =", Kind("a FITS file", _CONVERT)),
    (b"\0\x05\x16\x07", Kind("an AppleDouble file that macOS leaves beside another", _REMOVE)),
    (b"\0\x05\x16\0", Kind("an AppleSingle file of macOS", _REMOVE)),
    (b"\0\0\0\x01Bud1", Kind("a folder's settings of macOS", _REMOVE)),
    (b"\xd0\xcf\x11\xe0", Kind("an old Office document or thumbnail store", _REMOVE)),
    (b"\x1aE\xdf\xa3", Kind("a video (Matroska or WebM)", _FRAMES)),
    (b"\0\0\x01\xba", Kind("a video (MPEG)", _FRAMES)),
    (b"SQLite format 3", Kind("an SQLite database", _REMOVE)),
    (b"\x7fELF", Kind("a program", _REMOVE)),
)
_WHOLE_FORMATS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"RIFF", "WebP"),
)
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1")
_JPEG_LS = 0xF7
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_LOSSLESS_OR_HIERARCHICAL = frozenset({0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF})


def identify(content: bytes) -> Kind:
    """Return what `content`, which Pillow does not take for an image, is; `UNKNOWN` where nothing tells."""
    head = content[:_HEAD]
    return (
        _medical(content)
        or _by_beginning(head)
        or _text(head)
        or _iso_media(head)
        or _jpeg(content)
        or _tiff(content)
        or _damaged(head)
        or UNKNOWN
    )


def unusual_jpeg(content: bytes) -> Kind | None:
    """Return what kind of JPEG `content` is, if Pillow does not read it: told by the marker of its frame (ITU-T T.81, B.1.1.3)."""
    position = 2
    while position + 5 <= len(content) and content[position] == 0xFF:
        marker = content[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if marker == _JPEG_LS:
            return Kind("a JPEG-LS image", _CONVERT)
        if marker in _JPEG_FRAMES:
            bits = content[position + 4]
            if bits != 8:
                return Kind(
                    f"a JPEG of {bits} bits a sample, which Pillow does not read", "save it as 16-bit PNG first"
                )
            if marker in _LOSSLESS_OR_HIERARCHICAL:
                return Kind("a lossless or hierarchical JPEG, which Pillow does not read", _CONVERT)
            return None
        position += 2 + int.from_bytes(content[position + 2 : position + 4], "big")
    return None


def _medical(content: bytes) -> Kind | None:
    packed = content[:2] == b"\x1f\x8b"
    inner = _unpacked(content) if packed else content
    size = inner[:4]
    if inner[344:347] in (b"n+1", b"ni1") or size in (b"\x5c\1\0\0", b"\0\0\1\x5c", b"\x1c\2\0\0", b"\0\0\2\x1c"):
        return Kind("a NIfTI or Analyze volume", _CONVERT_MEDICAL)
    if packed:
        return Kind("a gzip archive", _UNPACK)
    return None


def _unpacked(content: bytes) -> bytes:
    try:
        return zlib.decompressobj(31).decompress(content, 352)
    except zlib.error:
        return b""


def _by_beginning(head: bytes) -> Kind | None:
    if not head.strip(b"\0"):
        return Kind("nothing but zero bytes", _AGAIN)
    for beginning, kind in _BEGINNINGS:
        if head.startswith(beginning):
            return kind
    if head[257:262] == b"ustar":
        return Kind("a tar archive", _UNPACK)
    return None


def _text(head: bytes) -> Kind | None:
    text = head.decode("utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", "ignore").lstrip().lower()
    if text.startswith("data:image/"):
        return Kind("a picture written as text (a data: address)", "decode its base64 first")
    if text.startswith("<svg") or (text.startswith(("<?xml", "<!--")) and "<svg" in text):
        return Kind("an SVG drawing", _CONVERT)
    if text.startswith(("<!doctype html", "<html", "<head", "<body", "<script")) or "<html" in text[:1000]:
        return Kind("a web page (HTML)", _FETCH)
    if text.startswith("<?xml") or (text.startswith("<") and "<error" in text):
        return Kind("an XML document", _FETCH)
    if text.startswith(("{", "[")) and ('"' in text[:200] or text[1:2] in "]}"):
        return Kind("a JSON document", _FETCH)
    return None


def _iso_media(head: bytes) -> Kind | None:
    if head[4:8] != b"ftyp":
        return None
    size = int.from_bytes(head[:4], "big")
    brands = {head[start : start + 4] for start in (8, *range(16, min(size, 256), 4))}
    if brands & {b"avif", b"avis"}:
        return Kind("an AVIF image that is damaged, or that Pillow here has no decoder for", _CONVERT)
    if brands.intersection(_HEIF_BRANDS):
        return Kind("a HEIC image, as phones take them", "save it as JPEG or PNG first: heif-convert")
    if head[8:11] == b"crx":
        return Kind("a camera's raw file", _CONVERT)
    return Kind("a video (MP4 or QuickTime)", _FRAMES)


def _jpeg(content: bytes) -> Kind | None:
    if not content.startswith(b"\xff\xd8"):
        return None
    return unusual_jpeg(content) or Kind("a JPEG that is damaged or cut off in its header", _AGAIN)


def _tiff(content: bytes) -> Kind | None:
    if not is_tiff(content):
        return None
    samples = describe_samples(content) if len(content) > 16 else ""
    if not samples:
        return Kind("a TIFF that is damaged, or cut off before its directory", _AGAIN)
    return Kind(
        f"a TIFF of {samples}, in a layout that Pillow does not read",
        "save it as PNG, or as TIFF of 16-bit unsigned or 32-bit floating-point samples",
    )


def _damaged(head: bytes) -> Kind | None:
    for beginning, name in _WHOLE_FORMATS:
        if head.startswith(beginning):
            return Kind(f"a {name} file that is damaged or cut off in its header", _AGAIN)
    return None
