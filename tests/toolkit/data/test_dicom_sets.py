"""Sets of DICOM files: trees without suffixes, series, frames, tables of identifiers; and identifiers that go nowhere."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from dicom_files import dicom_bytes
from PIL import Image
from pydicom.uid import generate_uid

from mstl_edge.data.audit import audit_source
from mstl_edge.data.files.volumes import NOT_MIDDLE
from mstl_edge.data.pixels import load_pixels
from mstl_edge.data.scan import scan_source
from mstl_edge.data.sources import open_source
from mstl_edge.data.splits import ManifestRow, group_images, save_manifest, split_source
from mstl_edge.errors import DataError, MissingExtraError
from mstl_edge.preprocess import load_image
from mstl_edge.preprocess.dicom import picture
from mstl_edge.recipe import PreprocessSpec, SplitSpec

SPEC = PreprocessSpec()
Tree = Callable[..., Path]


def smooth(seed: int, size: int = 48) -> np.ndarray:
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (12, 12), dtype=np.uint8))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Write patients of two classes: a study each, a series of slices, files without suffixes, a DICOMDIR beside them."""

    def write(patients: int = 8, slices: int = 3, **elements: object) -> Path:
        for number in range(patients):
            label = "bleed" if number % 2 else "normal"
            series, study = generate_uid(), generate_uid()
            folder = tmp_path / "archive" / label / f"A{number:03}" / "ST000000" / "SE000000"
            folder.mkdir(parents=True)
            for place in range(slices):
                named = {
                    "PatientID": f"MRN-{number:05}",
                    "PatientName": "ROE^JANE",
                    "StudyInstanceUID": study,
                    "SeriesInstanceUID": series,
                    # The files lie the other way round.
                    "ImagePositionPatient": [0, 0, -5.0 * place],
                    "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
                    **elements,
                }
                content = dicom_bytes(smooth(100 * number + place), "rle" if place % 2 else "implicit", **named)
                (folder / f"IM{place:06}").write_bytes(content)
        (tmp_path / "archive" / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM" + bytes(300))
        return tmp_path / "archive"

    return write


def test_a_tree_without_suffixes_is_a_set_whose_patients_stay_together(tree: Tree) -> None:
    source = open_source(str(tree()))
    scan = scan_source(source, SPEC)
    assert source.labels == ("bleed", "normal")
    assert (len(scan.facts), scan.unreadable) == (24, ())
    groups, known = group_images(source, scan)
    assert known
    assert scan.notes() == ("patients by their DICOM tags: 8",)
    assert len(set(groups)) == 8
    by_folder = {image.name.split("/")[1]: group for image, group in zip(source.images, groups, strict=True)}
    assert all(by_folder[image.name.split("/")[1]] == group for image, group in zip(source.images, groups, strict=True))


def test_where_all_name_one_patient_their_studies_stay_together(tree: Tree) -> None:
    source = open_source(str(tree(PatientID="ANONYMOUS")))
    scan = scan_source(source, SPEC)
    groups, known = group_images(source, scan)
    assert not known
    assert len(set(groups)) == 8
    assert "8 studies by their DICOM tags; of patients all files name the same one" in scan.notes()[0]


def test_without_any_identifier_patients_are_unknown(tree: Tree) -> None:
    source = open_source(str(tree(PatientID="", StudyInstanceUID="", SeriesInstanceUID="")))
    groups, known = group_images(source, scan_source(source, SPEC))
    assert not known
    assert len(set(groups)) == 24


def test_identifiers_are_in_no_manifest_and_no_audit(tree: Tree, tmp_path: Path) -> None:
    source = open_source(str(tree()))
    scan = scan_source(source, SPEC)
    manifest = split_source(source, scan, SplitSpec(validation=0.25, test=0.25), seed=0)
    save_manifest(tmp_path / "manifest.json", manifest)
    written = (tmp_path / "manifest.json").read_text() + msgspec.json.encode(
        audit_source(source, scan).to_tree()
    ).decode()
    for held in ("MRN-", "ROE", "JANE", "1.2.826"):
        assert held not in written
    assert manifest.patients_known
    assert sorted(audit_source(source, scan).patients.values()) == [3] * 8


def test_the_middle_slice_of_each_series_by_its_place(tree: Tree) -> None:
    source = open_source(str(tree(slices=5)), slices="middle")
    assert len(source.images) == 8
    assert {image.path.name for image in source.images} == {"IM000002"}
    assert sum(entry.reason == NOT_MIDDLE for entry in source.left_out) == 32
    assert "8 series: the middle slice of each is an image" in source.notes
    assert "--slices middle" in source.check


def test_the_frames_of_a_file_are_images_that_stay_together(tmp_path: Path) -> None:
    for number in range(6):
        folder = tmp_path / ("a" if number % 2 else "b")
        folder.mkdir(exist_ok=True)
        frames = np.stack([smooth(10 * number + place) for place in range(4)])
        (folder / f"cine{number}.dcm").write_bytes(dicom_bytes(frames, "rle", NumberOfFrames=4))
    source = open_source(str(tmp_path))
    assert len(source.images) == 24
    assert source.images[0].name == "a/cine1.dcm#1"
    assert "6 files of 24 frames: each of them is an image" in source.notes
    scan = scan_source(source, SPEC)
    assert not scan.unreadable
    groups, known = group_images(source, scan)
    assert not known  # a series each, and nobody says whose
    assert len(set(groups)) == 6
    manifest = split_source(source, scan, SplitSpec(validation=0.34, test=0.34), seed=0)
    pixels = load_pixels(source.folder, manifest.rows, 32, SPEC)
    for position, row in enumerate(manifest.rows):
        np.testing.assert_array_equal(pixels[position], load_image(source.folder / row.name, 32, SPEC))
    middle = open_source(str(tmp_path), slices="middle")
    assert [image.name for image in middle.images][:2] == ["a/cine1.dcm#3", "a/cine3.dcm#3"]


@pytest.mark.parametrize("kind", ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"])
def test_a_table_may_name_slices_series_or_studies_by_their_identifiers(tmp_path: Path, kind: str) -> None:
    rows = []
    for number in range(6):
        told = {"SeriesInstanceUID": generate_uid(), "StudyInstanceUID": generate_uid()}
        for place in range(2):
            told["SOPInstanceUID"] = generate_uid()
            content = dicom_bytes(smooth(10 * number + place), **told)
            (tmp_path / f"{number}{place}.dcm").write_bytes(content)
            if place == 0 or kind == "SOPInstanceUID":
                rows.append((told[kind], "bleed" if number % 2 else "normal"))
    rows.append((generate_uid(), "normal"))
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([(kind, "label"), *rows])
    source = open_source(str(tmp_path))
    assert {image.name: image.label for image in source.images} == {
        f"{number}{place}.dcm": "bleed" if number % 2 else "normal" for number in range(6) for place in range(2)
    }
    assert source.missing == (f"(line {len(rows) + 1})",)
    word = {"SOPInstanceUID": "instance", "SeriesInstanceUID": "series", "StudyInstanceUID": "study"}[kind]
    assert any(f"column {kind!r} names DICOM files by their {word}" in note for note in source.notes)
    assert not any("1.2.826" in text for text in (*source.notes, *source.missing))


def test_files_called_by_their_identifier_are_found_by_name(tmp_path: Path) -> None:
    names = []
    for number in range(4):
        names.append(generate_uid())
        (tmp_path / f"{names[-1]}.dcm").write_bytes(dicom_bytes(smooth(number), SOPInstanceUID=names[-1]))
    rows = "".join(f"{name},{number % 2}\n" for number, name in enumerate(names))
    (tmp_path / "labels.csv").write_text(f"SOPInstanceUID,hemorrhage\n{rows}")
    source = open_source(str(tmp_path))
    assert sorted(image.label for image in source.images) == ["hemorrhage", "hemorrhage", "normal", "normal"]
    assert not any("instance" in note for note in source.notes)


def test_dicom_gives_the_pixels_of_its_png_in_training_and_on_the_device(tmp_path: Path) -> None:
    levels = smooth(3)
    (tmp_path / "a.dcm").write_bytes(dicom_bytes(levels, "jpeg2000"))
    Image.fromarray(levels).save(tmp_path / "a.png")
    for label in ("x", "y"):
        (tmp_path / "set" / label).mkdir(parents=True)
        (tmp_path / "set" / label / "a.dcm").write_bytes(dicom_bytes(smooth(3 if label == "x" else 4), "jpeg2000"))
    source = open_source(str(tmp_path / "set"))
    scan = scan_source(source, SPEC)
    first = source.images[0]
    row = ManifestRow(first.name, first.label, first.name, "train", scan.facts[first.name].sha256)
    trained = load_pixels(source.folder, [row], 32, SPEC)[0]
    np.testing.assert_array_equal(trained, load_image(tmp_path / "a.dcm", 32, SPEC))
    np.testing.assert_array_equal(trained, load_image(tmp_path / "a.png", 32, SPEC))


def test_without_pydicom_a_set_is_refused_once(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    picture.reads_dicom.cache_clear()
    folder = tree(patients=4)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    try:
        source = open_source(str(folder))
        with pytest.raises(
            MissingExtraError, match=r"pydicom, which reads DICOM files\. Received: 12 of them, such as bleed/A001"
        ) as caught:
            scan_source(source, SPEC)
        assert "[dicom]" in str(caught.value)
    finally:
        picture.reads_dicom.cache_clear()


def test_a_damaged_file_among_them_is_listed(tree: Tree) -> None:
    folder = tree()
    (victim := folder / "bleed" / "A001" / "ST000000" / "SE000000" / "IM000001").write_bytes(victim.read_bytes()[:700])
    source = open_source(str(folder))
    scan = scan_source(source, SPEC)
    assert [lost.name for lost in scan.unreadable] == ["bleed/A001/ST000000/SE000000/IM000001"]
    assert "DICOM" in scan.unreadable[0].reason


def test_a_table_of_series_counts_beside_the_folders_of_patients(tmp_path: Path) -> None:
    rows = ["SeriesInstanceUID,label"]
    for number in range(6):
        series = generate_uid()
        folder = tmp_path / f"DOE{number}" / "SE0"
        folder.mkdir(parents=True)
        for place in range(2):
            (folder / f"IM{place}").write_bytes(dicom_bytes(smooth(10 * number + place), SeriesInstanceUID=series))
        rows.append(f"{series},{'ab'[number % 2]}")
    (tmp_path / "train.csv").write_text("\n".join(rows) + "\n")
    assert open_source(str(tmp_path)).labels == ("a", "b")


def test_slices_that_a_table_of_slices_does_not_name_are_left_out(tmp_path: Path) -> None:
    rows = ["SOPInstanceUID,label"]
    for number in range(8):
        series = generate_uid()
        for place in range(5):
            slice_ = generate_uid()
            content = dicom_bytes(smooth(10 * number + place), SeriesInstanceUID=series, SOPInstanceUID=slice_)
            (tmp_path / f"{number}-{place}.dcm").write_bytes(content)
            if place == 2:
                rows.append(f"{slice_},{'ab'[number % 2]}")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    source = open_source(str(tmp_path))
    assert ([image.path.stem[-1] for image in source.images], source.unlabelled) == (["2"] * 8, ())
    assert sum(entry.reason == "a slice that the table does not name" for entry in source.left_out) == 32


def test_an_identifier_of_no_file_is_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "scan.dcm").write_bytes(dicom_bytes(smooth(1)))
    (tmp_path / "labels.csv").write_text("SeriesInstanceUID,label\n9.9.9.4711.1,a\n9.9.9.4711.2,b\n")
    with pytest.raises(DataError, match=r"begins with '\(line 2\)'") as caught:
        open_source(str(tmp_path))
    assert "4711" not in str(caught.value)


def test_files_called_by_their_identifier_without_a_suffix_are_no_series(tmp_path: Path) -> None:
    rows = ["SeriesInstanceUID,label"]
    for number in range(4):
        series = f"1.2.3.4.5.{number}"
        for place in range(3):
            content = dicom_bytes(smooth(10 * number + place), SeriesInstanceUID=series)
            (tmp_path / f"{series}.{place}").write_bytes(content)
        rows.append(f"{series},{'ab'[number % 2]}")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    assert len(open_source(str(tmp_path)).images) == 12


def test_a_file_of_absurdly_many_frames_is_one_unreadable_file(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / label).mkdir()
        for number in range(12):
            (tmp_path / label / f"{number}.dcm").write_bytes(dicom_bytes(smooth(100 * (label == "b") + number)))
    (tmp_path / "b" / "absurd.dcm").write_bytes(dicom_bytes(smooth(8)[None], NumberOfFrames=2_000_000_000))
    source = open_source(str(tmp_path))
    assert len(source.images) == 25
    scan = scan_source(source, SPEC)
    assert [lost.name for lost in scan.unreadable] == ["b/absurd.dcm"]


def test_frames_are_benched_and_found_again_where_they_have_moved(tmp_path: Path) -> None:
    from mstl_edge.moved import _sha256
    from mstl_edge_bench.scoring.images import images_of

    for label in "ab":
        (tmp_path / label).mkdir()
        frames = np.stack([smooth(50 * (label == "b") + place) for place in range(3)])
        (tmp_path / label / "cine.dcm").write_bytes(dicom_bytes(frames, "rle", NumberOfFrames=3))
    found = images_of(str(tmp_path), "all")
    assert [image.path.name for image in found.images] == [f"cine.dcm#{n}" for n in (1, 2, 3)] * 2
    source = open_source(str(tmp_path))
    scan = scan_source(source, SPEC)
    for image in source.images:
        assert _sha256(source.folder / image.name) == scan.facts[image.name].sha256
