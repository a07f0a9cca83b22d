from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from mstl_edge.data.labels.columns import Wanted
from mstl_edge.data.sources import open_source
from mstl_edge.errors import DataError, MissingExtraError, MstlEdgeError


def test_a_folder_per_class_gives_sorted_labels_and_posix_names(two_classes):
    source = open_source(str(two_classes))
    assert source.labels == ("cat", "dog")
    assert len(source.images) == 24
    assert source.images[0].name == "cat/p00_0.png"
    assert source.images[0].patient is None
    assert [image.name for image in source.images] == sorted(image.name for image in source.images)


def test_hidden_files_and_archive_litter_are_left_out_but_foreign_files_in_a_class_are_kept_for_the_scan(two_classes):
    for litter in ("cat/.DS_Store", "cat/Thumbs.db", "__MACOSX/cat/._p00_0.png", ".git/config"):
        (two_classes / litter).parent.mkdir(parents=True, exist_ok=True)
        (two_classes / litter).write_bytes(b"x")
    (two_classes / "cat" / "notes.txt").write_text("not an image")
    names = {image.name for image in open_source(str(two_classes)).images}
    assert len(names) == 25
    assert "cat/notes.txt" in names


def test_images_in_folders_below_a_class_belong_to_the_class(two_classes, draw):
    draw(two_classes / "cat" / "series_1" / "a.png", 500)
    assert [i.label for i in open_source(str(two_classes)).images if i.name == "cat/series_1/a.png"] == ["cat"]


@pytest.mark.parametrize("validation", ["val", "valid", "Validation"])
@pytest.mark.parametrize("nested", [False, True])
def test_the_layout_of_the_kaggle_chest_set_declares_its_splits(tmp_path, draw, validation, nested):
    root = tmp_path / "download" / "chest_xray" if nested else tmp_path / "download"
    for number, part in enumerate(("train", validation, "test")):
        draw(root / part / "NORMAL" / f"n{number}.jpeg", number)
        draw(root / part / "PNEUMONIA" / f"p{number}.jpeg", 10 + number)
    draw(root / "chest_xray" / "train" / "NORMAL" / "copy.jpeg", 0)
    (root / "__MACOSX").mkdir()
    source = open_source(str(tmp_path / "download"))
    assert source.labels == ("NORMAL", "PNEUMONIA")
    assert sorted({str(image.declared) for image in source.images}) == ["test", "train", "validation"]
    assert len(source.images) == 6


def head_ct(folder: Path, draw, table: str, images=range(4)) -> Path:
    for number in images:
        draw(folder / "head_ct" / "head_ct" / f"{number:03d}.png", number)
    (folder / "labels.csv").write_text(table)
    return folder


def test_the_layout_of_the_head_ct_set_is_recognised(tmp_path, draw):
    source = open_source(str(head_ct(tmp_path / "ct", draw, "id, hemorrhage\n0,1\n1,1\n2,0\n3,0\n")))
    assert source.labels == ("hemorrhage", "normal")
    assert [(image.path.name, image.label) for image in source.images] == [
        ("000.png", "hemorrhage"),
        ("001.png", "hemorrhage"),
        ("002.png", "normal"),
        ("003.png", "normal"),
    ]


def test_a_csv_path_is_a_source_and_its_column_names_the_patient(tmp_path, draw):
    folder = head_ct(tmp_path / "ct", draw, "file;diagnosis;who\n000.png;bleed;ann\n001.png;none;bob\n")
    source = open_source(str(folder / "labels.csv"), Wanted(patient="who"))
    assert source.labels == ("bleed", "none")
    assert [image.patient for image in source.images] == ["ann", "bob"]
    assert source.unlabelled == ("head_ct/head_ct/002.png", "head_ct/head_ct/003.png")


def test_labels_without_an_image_and_images_without_a_label_are_listed(tmp_path, draw):
    source = open_source(str(head_ct(tmp_path / "ct", draw, "id, hemorrhage\n0,1\n1,0\n2,\n77,1\n")))
    assert source.missing == ("77",)
    assert source.unlabelled == ("head_ct/head_ct/002.png", "head_ct/head_ct/003.png")


def test_zero_and_one_keep_their_names_under_a_header_that_says_nothing(tmp_path, draw):
    assert open_source(str(head_ct(tmp_path, draw, "id,label\n0,1\n1,0\n"))).labels == ("0", "1")


def test_a_patient_expression_takes_its_group_or_the_whole_match(two_classes):
    by_group = open_source(str(two_classes), patient="^(p[0-9]+)_")
    whole = open_source(str(two_classes), patient="^p[0-9]+")
    assert by_group.images == whole.images
    assert by_group.images[0].patient == "p00"


def test_phantoms_are_drawn_with_the_seed_and_grouped_by_their_patients(two_classes, monkeypatch):
    asked = []

    def phantom_folder(kind: str, *, seed: int = 0, count: int | None = None) -> Path:
        asked.append((kind, seed, count))
        return two_classes

    fake = types.ModuleType("mstl_edge.data.phantom")
    fake.phantom_folder = phantom_folder
    monkeypatch.setitem(sys.modules, "mstl_edge.data.phantom", fake)
    assert open_source("phantom:head-ct", seed=3).images[0].patient == "p00"
    open_source("phantom:chest?count=300&seed=4")
    assert asked == [("head-ct", 3, None), ("chest", 4, 300)]
    with pytest.raises(DataError, match=r"count and seed .*size.*For example"):
        open_source("phantom:chest?size=3")


def test_kaggle_downloads_through_kagglehub(two_classes, monkeypatch):
    kagglehub = pytest.importorskip("kagglehub")
    monkeypatch.setattr(kagglehub, "dataset_download", lambda handle: str(two_classes))
    assert len(open_source("kaggle:owner/pets").images) == 24


def test_kaggle_without_network_is_one_line_that_names_the_alternative(monkeypatch):
    kagglehub = pytest.importorskip("kagglehub")

    def refuse(handle: str) -> str:
        raise ConnectionError("no route")

    monkeypatch.setattr(kagglehub, "dataset_download", refuse)
    with pytest.raises(DataError, match=r"owner/pets.*no route.*--data STAGE=PATH"):
        open_source("kaggle:owner/pets")


def test_kaggle_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(MissingExtraError, match=r"Install it with pip install .*\[train\].*--data STAGE=PATH"):
        open_source("kaggle:owner/pets")


def test_kaggle_without_a_home_folder_is_one_line(monkeypatch):
    class Homeless:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "kagglehub":
                raise RuntimeError("Could not determine home directory.")

    for name in [name for name in sys.modules if name.split(".")[0] == "kagglehub"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Homeless(), *sys.meta_path])
    with pytest.raises(DataError, match=r"neither HOME nor an entry for this user\. Set HOME .*--data STAGE=PATH"):
        open_source("kaggle:owner/pets")


def test_the_home_folder_of_nobody_is_one_line():
    with pytest.raises(MstlEdgeError, match=r"Received: ~nobody9/x\. Write the whole path"):
        open_source("~nobody9/x")


def test_a_kaggle_handle_needs_owner_and_name():
    with pytest.raises(DataError, match=r"kaggle:owner/name.*Received: kaggle:pets"):
        open_source("kaggle:pets")


def build(tmp_path: Path, draw, what: str) -> dict[str, str]:
    folder = tmp_path / "set"
    folder.mkdir()
    arguments = {"source": str(folder)}
    match what:
        case "missing":
            arguments["source"] = str(tmp_path / "nowhere")
        case "text file":
            (tmp_path / "a.txt").write_text("x")
            arguments["source"] = str(tmp_path / "a.txt")
        case "one class":
            draw(folder / "only" / "a.png", 0)
        case "loose images":
            draw(folder / "a.png", 0)
        case "two tables":
            draw(folder / "images" / "a.png", 0)
            (folder / "one.csv").write_text("id,label\na,1\n")
            (folder / "two.csv").write_text("id,label\na,1\n")
        case "column of folders":
            draw(folder / "a" / "1.png", 0)
            draw(folder / "b" / "2.png", 1)
            arguments["columns"] = Wanted(patient="patient")
        case "strange patients" | "bad expression":
            draw(folder / "a" / "1.png", 0)
            draw(folder / "b" / "2.png", 1)
            arguments["patient"] = "(1)" if what == "strange patients" else "("
        case "empty":
            pass
        case table:
            head_ct(folder, draw, table)
            draw(folder / "other" / "000.png", 9)
    return arguments


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("missing", r"a data source that exists .*Received: .*nowhere"),
        ("empty", r"images with labels. Received: none in .*one folder per class"),
        ("text file", r"a folder or a CSV file"),
        ("one class", r"at least two classes. Received: only only"),
        ("loose images", r"labels for the images. Received: images directly in"),
        ("two tables", r"one CSV of labels in the folder. Received: one.csv, two.csv"),
        ("column of folders", r"a CSV of labels with the patient column. Received: 'patient'"),
        ("strange patients", r"misses 1 of 2, such as b/2.png"),
        ("bad expression", r"a regular expression for patients \("),
        ("id,label\n", r"a header and at least one row"),
        ("id,label\n1,0,3\n", r"2 cells \(id, label\) in every row of labels.csv. Received: 3 cells in row 2"),
        ("id,age,sex\n1,0,3\n", r"one label column .*Received: id, age, sex"),
        ("id,label\n0,a\n1,b\n", r"one image file for the label of '0'. Received: .*000.png, .*000.png"),
        ("id,label\n1,a\n1,b\n", r"one label and one patient for each image .* as a and as b"),
    ],
)
def test_a_source_that_cannot_be_used_is_one_clear_line(tmp_path, draw, what, message):
    with pytest.raises(DataError, match=message) as caught:
        open_source(**build(tmp_path, draw, what))
    assert "\n" not in str(caught.value)


def test_a_table_that_is_no_text_is_one_clear_line(tmp_path):
    (tmp_path / "labels.csv").write_bytes(b"id,label\n\xff\xfe\x00,1\n")
    with pytest.raises(DataError, match="a CSV file of labels"):
        open_source(str(tmp_path / "labels.csv"))


def test_an_unknown_patient_column_names_those_there_are(tmp_path, draw):
    folder = head_ct(tmp_path, draw, "id,label\n0,1\n1,0\n")
    with pytest.raises(DataError, match=r"a patient column of labels.csv \(id, label\). Received: who"):
        open_source(str(folder), Wanted(patient="who"))
