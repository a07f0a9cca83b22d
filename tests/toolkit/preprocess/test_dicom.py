from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import SYNTAXES, dicom_bytes
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from mstl_edge.preprocess import UnreadableImageError, decode, heard, load_image, open_image, read_stored
from mstl_edge.preprocess.dicom import NOT_INSTALLED, DicomPicture, decoding, picture, read_header
from mstl_edge.recipe import PreprocessSpec

SPEC = PreprocessSpec()
HELD = "ROE^JANE"


def scan(size: int = 64, seed: int = 0) -> np.ndarray:
    """Hounsfield units of something round, −1000 to 2000."""
    rows, columns = np.mgrid[:size, :size]
    distance = np.hypot(rows - size / 2, columns - size / 2) / size
    noise = np.random.default_rng(seed).normal(0, 20, (size, size))
    return np.where(distance < 0.4, 40 + noise, np.where(distance < 0.45, 1500 + noise, -1000)).astype(np.int16)


def grey(content: bytes, **spec: object) -> np.ndarray:
    return np.asarray(decode(content, PreprocessSpec(**spec)))[..., 0]


def as_png(levels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("syntax", list(SYNTAXES))
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16])
def test_every_transfer_syntax_and_depth_gives_the_same_picture(syntax: str, kind: type) -> None:
    levels = (scan().astype(np.int32) + 1000) * (255 if kind is np.uint8 else 4000) // 3000
    levels = np.clip(levels, 0, np.iinfo(kind).max).astype(kind)
    window = (0.0, float(levels.max()))
    wanted = np.rint(levels.astype(np.float64) * 255 / window[1])
    content = dicom_bytes(
        levels, syntax, bits={np.uint8: 0, np.uint16: 12, np.int16: 13}[kind], WindowCenter=1, WindowWidth=2
    )
    np.testing.assert_allclose(grey(content, window=window), wanted, atol=0.51)


def test_a_file_of_eight_bits_is_shown_as_it_is_stored_and_equals_its_png() -> None:
    levels = (scan().astype(np.int32) + 1000).clip(0, 255).astype(np.uint8)
    for content in (dicom_bytes(levels), dicom_bytes(levels, "rle"), dicom_bytes(levels, preamble=False)):
        np.testing.assert_array_equal(load_image(content, 32, SPEC), load_image(as_png(levels), 32, SPEC))
    lossy = np.abs(grey(dicom_bytes(levels, "jpeg")).astype(int) - levels)
    assert lossy.mean() < 4


@pytest.mark.parametrize("stored_as", [np.uint16, np.int16])
def test_rescaling_and_a_window_give_the_pixels_of_the_picture_they_were_made_from(stored_as: type) -> None:
    shown = np.random.default_rng(1).integers(0, 256, (40, 30)).astype(np.uint8)
    # Twelve bits, of which the file says: HU = 0.5 · stored − 500, seen through level 40, width 80.
    hounsfield = shown.astype(np.float64) * 79 / 255 + 40 - 0.5 - 79 / 2
    stored = np.rint((hounsfield + 500) * 2).astype(stored_as)
    content = dicom_bytes(
        stored, bits=12, RescaleSlope=0.5, RescaleIntercept=-500, WindowCenter=[40, 400], WindowWidth=[80, 1800]
    )
    np.testing.assert_allclose(grey(content).astype(int), shown, atol=1)
    np.testing.assert_allclose(
        grey(content, window="brain").astype(int), np.rint((hounsfield) * 255 / 80).clip(0, 255), atol=1
    )


def test_windows_by_name_are_those_by_numbers_and_three_are_three_channels() -> None:
    content = dicom_bytes(scan(), bits=16)
    for name, pair in (("brain", (0.0, 80.0)), ("bone", (-800.0, 2000.0)), ("subdural", (-20.0, 180.0))):
        np.testing.assert_array_equal(grey(content, window=name), grey(content, window=pair))
    three = np.asarray(decode(content, PreprocessSpec(window=("brain", "subdural", "bone"))))
    for channel, name in enumerate(("brain", "subdural", "bone")):
        np.testing.assert_array_equal(three[..., channel], grey(content, window=name))


def test_a_png_and_a_tiff_of_sixteen_bits_are_seen_through_the_same_windows() -> None:
    levels = (scan() + 1000).astype(np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "TIFF")
    for window in ((0.0, 1500.0), ("brain", "lung", "bone"), "bone", "auto"):
        spec = PreprocessSpec(window=window)
        dicom = np.asarray(decode(dicom_bytes(levels), spec))
        np.testing.assert_array_equal(dicom, np.asarray(decode(as_png(levels), spec)))
        np.testing.assert_array_equal(dicom, np.asarray(decode(buffer.getvalue(), spec)))


def test_monochrome1_is_turned_over_and_padding_is_black_and_no_part_of_the_range() -> None:
    levels = scan().clip(0, None).astype(np.uint16)
    plain = grey(dicom_bytes(levels), window=(0.0, 1600.0))
    turned = grey(dicom_bytes(levels, PhotometricInterpretation="MONOCHROME1"), window=(0.0, 1600.0))
    np.testing.assert_array_equal(turned, 255 - plain)
    padded = levels.copy()
    padded[:4] = 65_000
    seen = grey(dicom_bytes(padded, PixelPaddingValue=65_000))
    assert seen[:4].max() == 0
    np.testing.assert_array_equal(seen[4:], grey(dicom_bytes(levels[4:])))
    both = grey(dicom_bytes(padded, PixelPaddingValue=65_000, PhotometricInterpretation="MONOCHROME1"))
    assert both[:4].max() == 0


def test_without_a_window_its_own_range_is_taken_without_strays_and_that_is_said() -> None:
    levels = scan(100)
    levels[5, 5] = 32_000
    with heard() as remarks:
        seen = grey(dicom_bytes(levels))
    assert seen.min() == 0
    assert 250 <= seen[levels < 3000].max() <= 255
    assert any(re.search(r"states no window: its own range is taken, -1,000 to 1,5\d\d", remark) for remark in remarks)
    with heard() as remarks:
        grey(dicom_bytes(scan(), WindowCenter=40, WindowWidth=80))
    assert not remarks


@pytest.mark.parametrize(
    ("function", "told"),
    [("LINEAR_EXACT", lambda x: (x - 40) / 80 + 0.5), ("SIGMOID", lambda x: 1 / (1 + np.exp(-4 * (x - 40) / 80)))],
)
def test_the_functions_of_a_window_are_those_of_the_standard(function: str, told) -> None:
    levels = np.arange(-100, 156, dtype=np.int16).reshape(16, 16)
    content = dicom_bytes(levels, WindowCenter=40, WindowWidth=80, VOILUTFunction=function)
    np.testing.assert_allclose(grey(content), np.clip(told(levels) * 255, 0, 255), atol=0.51)


def test_a_lookup_table_of_values_of_interest_is_followed() -> None:
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [256, 0, 8], np.arange(255, -1, -1, np.uint16).tobytes()
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    content = dicom_bytes(levels, VOILUTSequence=Sequence([table]))
    np.testing.assert_array_equal(grey(content), 255 - levels)


def test_colour_and_palettes_become_rgb() -> None:
    colours = np.random.default_rng(2).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    for syntax in ("explicit", "rle", "jpeg2000"):
        seen = decode(dicom_bytes(colours, syntax), SPEC)
        np.testing.assert_array_equal(np.asarray(seen), colours)
    path = Path(pydicom.__file__).parent / "data" / "test_files" / "examples_palette.dcm"
    opened = open_image(path, SPEC)
    assert opened.mode == "RGB"
    assert np.asarray(decode(path, SPEC)).shape == (opened.height, opened.width, 3)


def test_several_frames_are_refused_unless_one_is_named(tmp_path: Path) -> None:
    frames = np.stack([np.full((8, 8), 10 * number, np.uint8) for number in range(5)])
    path = tmp_path / "cine.dcm"
    path.write_bytes(dicom_bytes(frames, NumberOfFrames=5))
    with pytest.raises(
        UnreadableImageError, match=r"cine\.dcm \(5 frames\)\. Name one of them: cine\.dcm#1 to cine\.dcm#5"
    ):
        load_image(path, 8, SPEC)
    for number in range(5):
        seen = load_image(path.with_name(f"cine.dcm#{number + 1}"), 8, SPEC)
        assert set(seen.flat) == {10 * number}
    hashes = {read_stored(path.with_name(f"cine.dcm#{number}"), SPEC).sha256 for number in range(1, 6)}
    assert len(hashes) == 5
    with pytest.raises(UnreadableImageError, match=r"a frame from 1 to 5\. Received: .*frame 6"):
        load_image(path.with_name("cine.dcm#6"), 8, SPEC)
    (tmp_path / "odd#7").write_bytes(as_png(frames[1]))
    assert set(load_image(tmp_path / "odd#7", 8, SPEC).flat) == {10}
    with pytest.raises(UnreadableImageError, match="a DICOM file where a frame is named"):
        load_image(tmp_path / "odd#7#1", 8, SPEC)


def test_a_header_tells_series_frames_and_where_the_slice_lies(tmp_path: Path) -> None:
    path = tmp_path / "IM0001"
    position = {"ImagePositionPatient": [0, 0, -12.5], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
    path.write_bytes(dicom_bytes(scan(), SeriesInstanceUID="1.2.3", InstanceNumber=7, **position))
    header = read_header(path)
    assert header is not None
    assert (header.series, header.frames, header.place) == ("1.2.3", 1, -12.5)
    path.write_bytes(dicom_bytes(scan(), InstanceNumber=7))
    assert read_header(path).place == 7
    (tmp_path / "a.png").write_bytes(as_png(scan().astype(np.uint8)))
    assert read_header(tmp_path / "a.png") is None
    assert read_header(tmp_path / "nothing") is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\0" * 128 + b"DICM" + bytes(300), "a DICOM file"),
        (b"\x08\0\x05\0CS\x0a\0ISO_IR 100", "a DICOM file without a picture"),
        (dicom_bytes(scan())[:-2000], r"cannot be decoded \(Explicit VR Little Endian; \w+\)"),
        (dicom_bytes(scan(), Rows=0), "no possible size"),
        (dicom_bytes(scan(), PatientName=HELD)[:400], "a DICOM file"),
    ],
)
def test_what_gives_no_picture_is_refused_in_one_line(content: bytes, said: str) -> None:
    with pytest.raises(UnreadableImageError, match=rf"Received: scan\.dcm \(.*{said}") as caught:
        load_image(content, 32, SPEC, name="scan.dcm")
    assert "\n" not in str(caught.value)
    assert HELD not in str(caught.value)


def test_values_of_a_damaged_file_are_in_no_message(capfd: pytest.CaptureFixture[str]) -> None:
    content = dicom_bytes(
        scan(), PatientName=HELD, PatientID="MRN-77", AccessionNumber="ACC-9", PatientBirthDate="19700101"
    )
    said = ""
    for place in range(300, min(len(content), 900), 3):
        damaged = content[:place] + bytes([content[place] ^ 0x15]) + content[place + 1 :]
        with heard() as remarks:
            try:
                load_image(damaged, 16, SPEC)
            except UnreadableImageError as error:
                said += str(error)
        said += "".join(remarks)
    shown = capfd.readouterr()
    for held in (HELD, "ROE", "MRN-77", "ACC-9", "19700101"):
        assert held not in said + shown.out + shown.err
    assert shown.err == ""


def test_a_deflated_file_that_becomes_far_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = dicom_bytes(np.zeros((2000, 2000), np.uint8), "deflated")
    assert len(content) < 20_000
    assert grey(content).max() == 0
    monkeypatch.setattr(decoding, "MOST_INFLATED", 1_000_000)
    with pytest.raises(UnreadableImageError, match="a deflated DICOM file of more than 1,000,000 bytes"):
        load_image(content, 32, SPEC)


def test_a_picture_beyond_the_pixel_limit_is_refused_before_it_is_decoded() -> None:
    opened = open_image(dicom_bytes(scan()), SPEC)
    assert isinstance(opened, DicomPicture)
    with pytest.raises(UnreadableImageError, match="above the limit of 100"):
        load_image(dicom_bytes(scan()), 32, PreprocessSpec(max_pixels=100))


def test_without_pydicom_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    picture.reads_dicom.cache_clear()
    monkeypatch.setitem(sys.modules, "pydicom", None)
    try:
        with pytest.raises(
            UnreadableImageError, match=r"which the extra \[dicom\] reads\)\. Install it: .*pip install"
        ) as caught:
            load_image(dicom_bytes(scan()), 32, SPEC)
        assert caught.value.reason == NOT_INSTALLED
    finally:
        picture.reads_dicom.cache_clear()


def test_of_pydicoms_own_files_each_is_answered_or_refused_for_a_reason() -> None:
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    answered, refused = [], {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            try:
                answered.append((path.name, load_image(path, 32, SPEC)))
            except UnreadableImageError as error:
                refused[path.name] = error.reason
    assert len(answered) >= 75
    # Slices outside the body and boards of one colour are among them, but most pictures show something.
    assert sum(pixels.std() > 1 for _, pixels in answered) > 0.9 * len(answered)
    known = (
        r"without a picture|frames|cannot be decoded|no possible size|not an image|JSON document|gzip archive|damaged"
    )
    assert [f"{name}: {reason}" for name, reason in refused.items() if not re.search(known, reason)] == []


@pytest.mark.parametrize("syntax", ["jpeg", "jpeg2000"])
def test_a_stream_of_another_size_than_the_file_says_is_refused_before_it_is_decoded(syntax: str) -> None:
    large = dicom_bytes(np.zeros((2000, 1500), np.uint8), syntax)
    said = pydicom.dcmread(io.BytesIO(large))
    said.Rows, said.Columns = 20, 15
    buffer = io.BytesIO()
    said.save_as(buffer)
    assert load_image(large, 32, SPEC).shape == (32, 32, 3)
    with pytest.raises(UnreadableImageError, match=r"cannot be decoded \(JPEG.*; ValueError\)"):
        load_image(buffer.getvalue(), 32, PreprocessSpec(max_pixels=1000))


def test_bytes_that_look_like_a_header_are_none_in_another_syntax() -> None:
    levels = np.frombuffer(b"\xff\x4f\xff\x51" * 256, np.uint8).reshape(32, 32)
    np.testing.assert_array_equal(grey(dicom_bytes(levels, "rle")), levels)


def test_a_long_header_hides_no_deflated_bomb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(decoding, "MOST_INFLATED", 1_000_000)
    content = dicom_bytes(np.zeros((2000, 2000), np.uint8), "deflated")
    whole = pydicom.dcmread(io.BytesIO(content))
    whole.file_meta.ImplementationVersionName = "X" * 3000
    buffer = io.BytesIO()
    whole.save_as(buffer)
    with pytest.raises(UnreadableImageError, match="a deflated DICOM file of more than"):
        load_image(buffer.getvalue(), 32, SPEC)
    (tmp_path / "bomb").write_bytes(content)
    assert read_header(tmp_path / "bomb") is None


def test_damaged_tables_and_groups_quote_nothing() -> None:
    damaged = Dataset()
    damaged.LUTDescriptor, damaged.ModalityLUTType, damaged.LUTData = [256, 0, 16], "HU", b"SECRET77\0"
    content = dicom_bytes(scan(), ModalityLUTSequence=Sequence([damaged]))
    with pytest.raises(UnreadableImageError, match="cannot be decoded") as caught:
        load_image(content, 32, SPEC)
    assert "SECRET" not in str(caught.value)
    unknown = dicom_bytes(scan()).replace(b"1.2.840.10008.1.2.1\0", b"1.2.DOE^JANE^SECRET\0")
    with pytest.raises(UnreadableImageError) as caught:
        load_image(unknown, 32, SPEC)
    assert "SECRET" not in str(caught.value)
