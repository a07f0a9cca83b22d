from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mstl_edge.data.audit import audit_source
from mstl_edge.data.files.masks import find_masks
from mstl_edge.data.scan import scan_source
from mstl_edge.data.sources import open_source, source_folder
from mstl_edge.data.splits import split_source
from mstl_edge.errors import DataError
from mstl_edge.recipe import PreprocessSpec, SplitSpec


def two_levels(path: Path, seed: int, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 2, (8, 8), dtype=np.uint8) * 255
    Image.fromarray(np.kron(coarse, np.ones((6, 6), np.uint8))).save(path, **options)


@pytest.mark.parametrize(
    "name",
    ["cat/1_mask.png", "cat/1_mask_1.png", "cat/1-seg.tif", "cat/1 segmentation.png", "cat/1_gt.png", "cat/1_Mask.PNG"],
)
def test_a_file_that_is_named_as_the_mask_of_another_is_one(name):
    assert list(find_masks(["cat/1.png", name], 0)) == [name]


@pytest.mark.parametrize(
    "names",
    [
        ["cat/1_mask.png", "cat/2_mask.png"],  # no picture that they are masks of
        ["with_mask/1.png", "without_mask/1.png"],
        ["mask/1.png", "no_mask/1.png"],
        ["cat/unmask.png", "cat/un.png"],
        ["cat/1.png", "dog/1_mask.png"],  # the partner is of another class
    ],
)
def test_what_has_no_partner_is_a_picture_whatever_it_is_called(names):
    assert find_masks(names, 0) == {}


def test_folders_of_masks_in_a_class_beside_classes_and_mirroring_them_are_found():
    in_class = ["cat/images/1.png", "cat/masks/1.png", "dog/images/1.png", "dog/lung masks/x.png"]
    assert list(find_masks(in_class, 0)) == ["cat/masks/1.png", "dog/lung masks/x.png"]
    beside = ["cat/1.png", "dog/2.png", "masks/1.png", "masks/2_mask.png"]
    assert set(find_masks(beside, 0)) == {"masks/1.png", "masks/2_mask.png"}
    mirrored = ["images/cat/1.png", "images/dog/1.png", "Masks/cat/1.png", "Masks/dog/1.png"]
    assert set(find_masks(mirrored, 0)) == {"Masks/cat/1.png", "Masks/dog/1.png"}
    below_train = ["train/cat/1.png", "train/cat/1_mask.png", "test/cat/2.png"]
    assert list(find_masks(below_train, 1)) == ["train/cat/1_mask.png"]
    assert list(find_masks(["images/1.png", "masks/1.png"], None)) == ["masks/1.png"]


def test_masks_beside_images_are_left_out_counted_and_said(two_classes):
    for label, first in (("cat", 0), ("dog", 6)):
        for number in range(12):
            two_levels(two_classes / label / f"p{first + number // 2:02d}_{number % 2}_mask.png", number)
    source = open_source(str(two_classes))
    assert len(source.images) == len(source.left_out) == 24
    manifest = split_source(source, scan_source(source, PreprocessSpec()), SplitSpec(), seed=0)
    assert len(manifest.rows) == len(manifest.left_out) == 24
    assert manifest.remarks() == (
        "left out: 24 entries (a mask beside its picture): cat/p00_0_mask.png, cat/p00_1_mask.png, cat/p01_0_mask.png …",
    )


def test_pictures_and_masks_in_folders_that_mirror_each_other_are_opened_at_the_pictures(tmp_path, draw):
    for number in range(3):
        for label in ("cat", "dog"):
            draw(tmp_path / "set" / "images" / label / f"{number}.png", number + 10 * len(label))
            two_levels(tmp_path / "set" / "masks" / label / f"{number}.png", number)
    source = open_source(str(tmp_path / "set"))
    assert source.labels == ("cat", "dog")
    assert source.folder == source_folder(str(tmp_path / "set")) == tmp_path / "set" / "images"
    assert len(source.left_out) == 6


@pytest.mark.parametrize(("suffix", "options"), [("png", {}), ("jpg", {"quality": 75})])
def test_two_valued_pictures_among_others_are_left_out_as_masks_by_what_they_hold(two_classes, suffix, options):
    for number in range(3):
        two_levels(two_classes / "cat" / f"z{number}.{suffix}", number, **options)
    source = open_source(str(two_classes))
    scan = scan_source(source, PreprocessSpec())
    assert [entry.name for entry in scan.left_out] == [f"cat/z{number}.{suffix}" for number in range(3)]
    assert audit_source(source, scan).classes == {"cat": 12, "dog": 12}


def test_a_set_of_two_valued_pictures_is_not_masks_and_a_dark_picture_is_none(tmp_path, two_classes):
    for number in range(6):
        for label in ("a", "b"):
            two_levels(tmp_path / "drawn" / label / f"{label}{number}.png", number + 10 * ord(label))
    scan = scan_source(open_source(str(tmp_path / "drawn")), PreprocessSpec())
    assert len(scan.facts) == 12
    assert scan.left_out == ()
    nearly_black = np.zeros((48, 48), np.uint8)
    nearly_black[20:23, 20:23] = np.arange(100, 109, dtype=np.uint8).reshape(3, 3)
    Image.fromarray(nearly_black).save(two_classes / "cat" / "dark.png")
    Image.fromarray(nearly_black).save(two_classes / "cat" / "dark.jpg", quality=90)
    assert scan_source(open_source(str(two_classes)), PreprocessSpec()).left_out == ()


def test_a_class_of_nothing_but_masks_is_refused(two_classes):
    for number in range(5):
        two_levels(two_classes / "outlines" / f"{number}.png", number)
    source = open_source(str(two_classes))
    with pytest.raises(DataError, match=r"an image of class 'outlines' that can be used.*none of 5.*two grey levels"):
        split_source(source, scan_source(source, PreprocessSpec()), SplitSpec(), seed=0)
