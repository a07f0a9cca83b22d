from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mstl_edge.data.dealing import deal
from mstl_edge.errors import DataError

SHARES = (0.65, 0.15, 0.2)


@st.composite
def grouped_images(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Images as (label, group): at least four pure groups per class, and some that hold several classes."""
    classes = draw(st.integers(2, 4))
    images = []
    for label in range(classes):
        for number, size in enumerate(draw(st.lists(st.integers(1, 6), min_size=4, max_size=15))):
            images += [(f"class {label}", f"patient {label}-{number}")] * size
    mixed = draw(st.lists(st.tuples(st.integers(0, classes - 1), st.integers(0, 3)), max_size=10))
    return images + [(f"class {label}", f"mixed {number}") for label, number in mixed]


@settings(max_examples=150, deadline=None)
@given(images=grouped_images(), seed=st.integers(0, 5), shuffle=st.randoms(use_true_random=False))
def test_every_image_is_dealt_once_no_group_is_cut_and_order_does_not_matter(images, seed, shuffle):
    labels, groups = [label for label, _ in images], [group for _, group in images]
    parts = deal(labels, groups, SHARES, seed=seed)
    assert len(parts) == len(images)
    assert set(parts) == {0, 1, 2}
    part_of = dict(zip(groups, parts, strict=True))
    assert [part_of[group] for group in groups] == parts
    assert {(part, label) for part, label in zip(parts, labels, strict=True)} == {
        (part, label) for part in range(3) for label in labels
    }
    shuffled = list(images)
    shuffle.shuffle(shuffled)
    again = deal([label for label, _ in shuffled], [group for _, group in shuffled], SHARES, seed=seed)
    assert [part_of[group] for _, group in shuffled] == again


@settings(max_examples=50, deadline=None)
@given(sizes=st.lists(st.integers(3, 60), min_size=2, max_size=4), seed=st.integers(0, 5))
def test_images_that_stand_alone_are_dealt_within_one_image_of_the_shares(sizes, seed):
    labels = [f"class {number}" for number, size in enumerate(sizes) for _ in range(size)]
    parts = deal(labels, [str(number) for number in range(len(labels))], SHARES, seed=seed)
    counts = Counter(zip(labels, parts, strict=True))
    for number, size in enumerate(sizes):
        for part, share in enumerate(SHARES):
            assert abs(counts[f"class {number}", part] - share * size) <= 1.5


def test_another_seed_deals_otherwise():
    labels, groups = ["a", "b"] * 20, [str(number) for number in range(40)]
    assert deal(labels, groups, SHARES, seed=0) == deal(labels, groups, SHARES, seed=0)
    assert deal(labels, groups, SHARES, seed=0) != deal(labels, groups, SHARES, seed=1)


def test_ten_equal_parts_serve_cross_validation():
    parts = deal(["a"] * 50 + ["b"] * 50, [str(n) for n in range(100)], [0.1] * 10, seed=0)
    assert set(Counter(parts).values()) == {10}


def test_fewer_groups_than_parts_is_one_clear_line():
    with pytest.raises(DataError, match=r"at least 3 images of every class .*Received: 5 images of 'b' in 2 groups"):
        deal(["a"] * 9 + ["b"] * 5, [*"123456789", *"xxxyy"], SHARES, seed=0)
