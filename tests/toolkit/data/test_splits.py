from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace

import pytest
from PIL import Image

from mstl_edge.data.scan import scan_source
from mstl_edge.data.sources import SPLITS, open_source
from mstl_edge.data.splits import group_images, load_manifest, save_manifest, split_source
from mstl_edge.errors import DataError
from mstl_edge.recipe import PreprocessSpec, SplitSpec

PATIENT = "^(p[0-9]+)_"


def opened(folder, **arguments):
    source = open_source(str(folder), **arguments)
    return source, scan_source(source, PreprocessSpec())


def test_patients_stay_together_and_every_class_is_in_every_part(two_classes):
    manifest = split_source(*opened(two_classes, patient=PATIENT), SplitSpec(), seed=0)
    assert manifest.patients_known
    assert len(manifest.rows) == 24
    by_patient = {}
    for row in manifest.rows:
        assert by_patient.setdefault(row.group, row.split) == row.split
    for split in SPLITS:
        assert {row.label for row in manifest.part(split)} == {"cat", "dog"}


def test_the_split_depends_on_the_seed_and_not_on_the_order_of_files(two_classes):
    source, scan = opened(two_classes)
    backwards = replace(source, images=source.images[::-1])
    first = split_source(source, scan, SplitSpec(), seed=1)
    assert split_source(backwards, scan, SplitSpec(), seed=1) == first
    assert split_source(source, scan, SplitSpec(), seed=2).rows != first.rows


def test_near_duplicates_join_the_patients_they_come_from(two_classes):
    Image.open(two_classes / "cat" / "p00_0.png").resize((40, 40)).save(two_classes / "cat" / "p05_9.png")
    source, scan = opened(two_classes, patient=PATIENT)
    groups, known = group_images(source, scan)
    assert known
    group_of = {image.name: group for image, group in zip(source.images, groups, strict=True)}
    assert group_of["cat/p05_0.png"] == group_of["cat/p00_1.png"] == "p00"
    assert len(set(groups)) == 11


def test_without_patients_clusters_of_near_duplicates_are_the_groups(two_classes):
    shutil.copy(two_classes / "cat" / "p00_0.png", two_classes / "cat" / "copy.png")
    source, scan = opened(two_classes)
    groups, known = group_images(source, scan)
    assert not known
    assert len(groups) == 25
    assert len(set(groups)) == 24


@pytest.fixture
def declared(tmp_path, draw):
    """Return a folder that declares its splits: 4 to train, 26 to validate, 2 to test, of each class."""
    seed = 0
    for part, count in (("train", 4), ("val", 26), ("test", 2)):
        for label in ("a", "b"):
            for number in range(count):
                seed += 1
                draw(tmp_path / "set" / part / label / f"{part}{number}_{label}.png", seed, side=32)
    return tmp_path / "set"


def test_declared_splits_are_kept_when_they_are_sound(declared):
    manifest = split_source(*opened(declared), SplitSpec(), seed=0)
    assert Counter(row.split for row in manifest.rows) == {"train": 8, "validation": 52, "test": 4}
    assert all(row.name.startswith({"validation": "val"}.get(row.split, row.split)) for row in manifest.rows)


def test_a_declared_validation_folder_that_is_too_small_offers_resplit(declared):
    for number in range(20):
        (declared / "val" / "a" / f"val{number}_a.png").unlink()
    source, scan = opened(declared)
    with pytest.raises(DataError, match=r"at least 50 validation images .*Received: 32.*--resplit"):
        split_source(source, scan, SplitSpec(), seed=0)
    manifest = split_source(source, scan, SplitSpec(resplit=True), seed=0)
    assert len(manifest.part("train")) > 20


def test_a_leak_between_declared_splits_is_an_error_that_names_both_files(declared):
    Image.open(declared / "train" / "a" / "train0_a.png").resize((48, 48)).save(declared / "test" / "a" / "again.png")
    with pytest.raises(DataError, match=r"1 groups across splits, such as .*again.png and .*train0_a.png.*--resplit"):
        split_source(*opened(declared), SplitSpec(), seed=0)


def test_a_patient_in_two_declared_splits_is_a_leak(declared):
    with pytest.raises(DataError, match="share no patient"):
        split_source(*opened(declared, patient=r"(\d+)_"), SplitSpec(), seed=0)


def test_a_class_absent_from_a_declared_split_is_an_error(declared):
    shutil.rmtree(declared / "test" / "b")
    with pytest.raises(DataError, match="images of 'b' in the declared test split"):
        split_source(*opened(declared), SplitSpec(), seed=0)


def test_unreadable_files_below_the_limit_are_listed_in_the_manifest_and_above_it_an_error(two_classes):
    for number in range(2):
        (two_classes / "cat" / f"bad{number}.png").write_bytes(b"")
    source, scan = opened(two_classes)
    manifest = split_source(source, scan, SplitSpec(limit_unreadable=0.1), seed=0)
    assert [lost.name for lost in manifest.unreadable] == ["cat/bad0.png", "cat/bad1.png"]
    assert len(manifest.rows) == 24
    with pytest.raises(DataError, match=r"at most 5% unreadable files. Received: 2 of 26 \(cat/bad0.png: 0 bytes"):
        split_source(source, scan, SplitSpec(limit_unreadable=0.05), seed=0)


def test_too_many_labels_without_images_and_images_without_labels_are_errors(two_classes):
    source, scan = opened(two_classes)
    lost = tuple(str(number) for number in range(9))
    with pytest.raises(DataError, match=r"labels without an image. Received: 9 of 33"):
        split_source(replace(source, missing=lost), scan, SplitSpec(), seed=0)
    with pytest.raises(DataError, match=r"images without a label. Received: 9 of 33"):
        split_source(replace(source, unlabelled=lost), scan, SplitSpec(), seed=0)
    assert split_source(replace(source, missing=("7",)), scan, SplitSpec(), seed=0).missing == ("7",)


def test_one_content_under_two_labels_is_an_error(two_classes):
    shutil.copy(two_classes / "cat" / "p00_0.png", two_classes / "dog" / "p99_0.png")
    with pytest.raises(DataError, match=r"one label for one image. .*cat/p00_0.png \(cat\), dog/p99_0.png \(dog\)"):
        split_source(*opened(two_classes), SplitSpec(), seed=0)


def test_too_few_images_of_a_class_is_an_error(two_classes):
    for path in sorted((two_classes / "cat").iterdir())[2:]:
        path.unlink()
    with pytest.raises(DataError, match=r"at least 3 images of every class .*Received: 2 images of 'cat'"):
        split_source(*opened(two_classes), SplitSpec(), seed=0)


def test_a_subset_thins_only_training_stays_balanced_and_grows_by_inclusion(two_classes):
    source, scan = opened(two_classes)
    whole, eight, four = (split_source(source, scan, SplitSpec(subset=n), seed=0) for n in (0, 8, 4))
    assert Counter(row.label for row in eight.part("train")) == {"cat": 4, "dog": 4}
    assert set(four.part("train")) < set(eight.part("train")) < set(whole.part("train"))
    assert four.part("test") == whole.part("test")
    with pytest.raises(DataError, match="a subset of at least 2"):
        split_source(source, scan, SplitSpec(subset=1), seed=0)


def test_a_manifest_comes_back_as_it_was_saved(two_classes, tmp_path):
    manifest = split_source(*opened(two_classes), SplitSpec(), seed=0)
    save_manifest(tmp_path / "splits.json", manifest)
    assert load_manifest(tmp_path / "splits.json") == manifest


@pytest.mark.parametrize(
    "content", [None, b"", b"{}", b"[]", b'{"schema": "mstl-edge/manifest/9", "source": "", "labels": [], "rows": []}']
)
def test_a_damaged_or_foreign_manifest_is_one_clear_line(tmp_path, content):
    path = tmp_path / "splits.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match="a split manifest"):
        load_manifest(path)
