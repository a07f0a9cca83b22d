from __future__ import annotations

import json
import shutil

from PIL import Image

from mstl_edge.data.audit import FEW_IN_A_PART, FEW_IN_ALL, FewImages, audit_source
from mstl_edge.data.scan import scan_source
from mstl_edge.data.sources import open_source
from mstl_edge.recipe import PreprocessSpec


def audit(folder, **arguments):
    source = open_source(str(folder), **arguments)
    return audit_source(source, scan_source(source, PreprocessSpec()))


def test_a_clean_set_is_counted_and_has_no_errors(two_classes):
    found = audit(two_classes, patient="^(p[0-9]+)_")
    assert found.classes == {"cat": 12, "dog": 12}
    assert found.modes == {"L": 24}
    assert [(size.width, size.height, size.n) for size in found.sizes] == [(48, 48, 24)]
    assert (found.patients_known, len(found.patients), found.patients_with_several_images) == (True, 12, 12)
    assert found.groups == 12
    assert found.errors == ()


def test_copies_near_duplicates_and_unreadable_files_are_named(two_classes):
    shutil.copy(two_classes / "cat" / "p00_0.png", two_classes / "cat" / "p00_8.png")
    Image.open(two_classes / "cat" / "p01_0.png").resize((40, 40)).save(two_classes / "dog" / "p07_9.png")
    (two_classes / "dog" / "empty.png").write_bytes(b"")
    found = audit(two_classes)
    assert found.exact_duplicates == (("cat/p00_0.png", "cat/p00_8.png"),)
    assert [(p.first, p.second, p.same_label) for p in found.near_duplicates] == [
        ("cat/p01_0.png", "dog/p07_9.png", False)
    ]
    assert [lost.name for lost in found.unreadable] == ["dog/empty.png"]
    assert not found.patients_known
    assert found.errors == ()


def test_one_image_under_two_labels_is_an_error(two_classes):
    shutil.copy(two_classes / "cat" / "p00_0.png", two_classes / "dog" / "p09_9.png")
    found = audit(two_classes)
    assert found.conflicts == (("cat/p00_0.png", "dog/p09_9.png"),)
    assert found.errors == ("1 image appears under two labels",)


def test_a_leak_between_declared_splits_is_an_error(tmp_path, draw):
    for number, part in enumerate(("train", "val", "test")):
        for label in ("a", "b"):
            draw(tmp_path / "set" / part / label / f"{part}_{label}.png", 10 * number + ord(label))
    shutil.copy(tmp_path / "set/train/a/train_a.png", tmp_path / "set/test/a/copy.png")
    found = audit(tmp_path / "set")
    assert found.declared["test"] == {"a": 2, "b": 1}
    assert [leak.images for leak in found.leaks] == [("test/a/copy.png", "train/a/train_a.png")]
    assert len(found.errors) == 1


def test_the_tree_is_plain_json(two_classes):
    tree = audit(two_classes).to_tree()
    assert tree["schema"] == "mstl-edge/audit/1"
    assert json.loads(json.dumps(tree)) == tree


def test_a_class_of_few_images_is_doubted_by_what_the_smallest_part_holds_of_it(two_classes):
    found = audit(two_classes)
    assert [(one.label, one.images, one.part) for one in found.warnings] == [
        ("cat", 12, "validation"),
        ("dog", 12, "validation"),
    ]
    assert found.warnings[0].in_part is not None
    assert found.warnings[0].in_part < FEW_IN_A_PART
    assert found.warnings[0].words == (
        f"class cat has 12 images, {found.warnings[0].in_part} of them for validation: its accuracy will say little"
    )


def test_few_in_all_are_doubted_where_no_parts_can_be_dealt_and_enough_are_not(draw_classes, tmp_path):
    few = FewImages("cat", FEW_IN_ALL - 1)
    assert few.words == "class cat has 49 images, fewer than 50: its accuracy will have a wide interval"
    assert FewImages("cat", 1, "test", 0).words.startswith("class cat has 1 image, 0 of them for test")
    assert audit(draw_classes(tmp_path / "many", count=70)).warnings == ()
