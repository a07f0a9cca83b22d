"""One picture under two labels: refused where a recipe says so, else left out, counted and listed."""

from __future__ import annotations

import shutil

import pytest

from mstl_edge.data.audit import audit_source
from mstl_edge.data.contradictions import CONTRADICTORY
from mstl_edge.data.scan import scan_source
from mstl_edge.data.sources import open_source
from mstl_edge.data.splits import split_source
from mstl_edge.errors import DataError
from mstl_edge.recipe import PreprocessSpec, SplitSpec

DROP = SplitSpec(conflicts="drop", limit_unreadable=0.2)


def opened(folder):
    source = open_source(str(folder))
    return source, scan_source(source, PreprocessSpec())


@pytest.fixture
def contradictory(two_classes):
    shutil.copy(two_classes / "cat" / "p00_0.png", two_classes / "dog" / "same as a cat.png")
    return two_classes


def test_a_recipe_refuses_it_and_names_both_ways_out(contradictory):
    with pytest.raises(DataError) as refused:
        split_source(*opened(contradictory), SplitSpec(), seed=0)
    assert "1 contents under two labels, such as cat/p00_0.png (cat), dog/same as a cat.png (dog)" in str(refused.value)
    assert "--set stages.NAME.split.conflicts=drop" in str(refused.value)


def test_every_copy_is_left_out_and_listed(contradictory):
    manifest = split_source(*opened(contradictory), DROP, seed=0)
    assert len(manifest.rows) == 23
    assert [(entry.name, entry.reason) for entry in manifest.left_out] == [
        ("cat/p00_0.png", CONTRADICTORY),
        ("dog/same as a cat.png", CONTRADICTORY),
    ]
    (remark,) = manifest.remarks()
    assert remark.startswith("left out: 2 entries (the same picture under another label too): cat/p00_0.png, ")


def test_copies_under_one_label_stay(two_classes):
    shutil.copy(two_classes / "cat" / "p00_0.png", two_classes / "cat" / "again.png")
    assert len(split_source(*opened(two_classes), DROP, seed=0).rows) == 25


def test_more_than_the_limit_of_them_is_refused(two_classes):
    for number in range(4):
        shutil.copy(two_classes / "cat" / f"p0{number}_0.png", two_classes / "dog" / f"copy {number}.png")
    with pytest.raises(DataError, match=r"at most 20% copies of a picture under another label\. Received: 8 of 28"):
        split_source(*opened(two_classes), DROP, seed=0)


def test_a_class_of_which_nothing_is_left_is_refused(two_classes):
    (two_classes / "twin").mkdir()
    shutil.copy(two_classes / "cat" / "p00_0.png", two_classes / "twin" / "one.png")
    with pytest.raises(
        DataError, match=r"an image of class 'twin' that can be used\. Received: none of 1, such as twin/one.png"
    ):
        split_source(*opened(two_classes), DROP, seed=0)


def test_the_audit_lists_them_either_way_and_counts_what_training_would_use(contradictory):
    refusing = audit_source(*opened(contradictory), SplitSpec())
    assert "1 image appears under two labels" in refusing.errors
    dropping = audit_source(*opened(contradictory), DROP)
    assert dropping.errors == ()
    assert dropping.conflicts == refusing.conflicts == (("cat/p00_0.png", "dog/same as a cat.png"),)
    assert (refusing.images, dropping.images) == (25, 23)
