"""Tables of labels as public sets and spreadsheets write them."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from mstl_edge.artifact import Card
from mstl_edge.data.labels.classes import LONGEST, check_names
from mstl_edge.data.labels.columns import Wanted
from mstl_edge.data.scan import scan_source
from mstl_edge.data.sources import open_source, open_stage, source_folder
from mstl_edge.data.splits import group_images, split_source
from mstl_edge.errors import DataError
from mstl_edge.recipe import PreprocessSpec, SplitSpec, resolve

Make = Callable[..., Path]
N = 12


def truth(number: int) -> str:
    return "bleed" if (number * 7) % 11 < 5 else "normal"


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write empty image files, and a table of labels beside their folder; nothing is decoded."""

    def write(
        rows: Iterable[str], *, names: str = "s{:03d}.png", folder: str = "images", count: int = N,
        table: str = "labels.csv", encoding: str = "utf-8", end: str = "\n",
    ) -> Path:  # fmt: skip
        root = tmp_path / "set"
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            (root / folder / names.format(number)).write_bytes(b"x")
        (root / table).write_bytes((end.join(rows) + end).encode(encoding))
        return root

    return write


def labels_of(folder: Path, columns: Wanted = Wanted()) -> dict[str, str]:
    return {image.path.stem: image.label for image in open_source(str(folder), columns).images}


TRUTH = {f"s{number:03d}": truth(number) for number in range(N)}
PLAIN = ["image,label", *(f"s{number:03d}.png,{truth(number)}" for number in range(N))]


def test_a_running_number_beside_file_names_does_not_name_the_image(make):
    rows = ["id,filename,label", *(f"{number},{number + 1:04d}.png,{truth(number)}" for number in range(N))]
    found = labels_of(make(rows, names="{:04d}.png", count=N + 1))
    assert found == {f"{number + 1:04d}": truth(number) for number in range(N)}


def test_two_columns_that_name_different_images_are_asked_about(make):
    rows = ["scan a,scan b,label", *(f"s{n:03d}.png,s{(n + 1) % N:03d}.png,{truth(n)}" for n in range(N))]
    folder = make(rows)
    with pytest.raises(DataError, match=r"'scan a' and 'scan b'.*--image-column 'scan a'"):
        open_source(str(folder))
    assert labels_of(folder, Wanted(image="scan a")) == TRUTH
    assert labels_of(folder, Wanted(image="scan b"))["s001"] == truth(0)


def test_two_numbers_that_name_different_images_are_asked_about_unless_one_is_called_so(make):
    rows = [f"{number},{(number + 3) % N},{truth(number)}" for number in range(N)]
    with pytest.raises(DataError, match=r"one column of labels.csv that names the image"):
        open_source(str(make(["id,image_id,label", *rows], names="{:03d}.png")))
    assert labels_of(make(["id,age,label", *rows], names="{:03d}.png"))["000"] == truth(0)


def test_columns_that_name_the_same_image_need_no_choice(make):
    rows = ["id,path,label", *(f"{n},images/{n:03d}.png,{truth(n)}" for n in range(N))]
    assert labels_of(make(rows, names="{:03d}.png")) == {f"{n:03d}": truth(n) for n in range(N)}


@pytest.mark.parametrize(
    ("first", "names"), [("s{:03d}.png,{}", "s{:03d}.png"), ("s{:03d},{}", "s{:03d}.png"), ("{},{}", "{:03d}.png")]
)
def test_a_table_without_a_header_loses_no_image_and_swaps_no_class(make, first, names):
    source = open_source(str(make([first.format(n, int(n >= 6)) for n in range(N)], names=names)))
    assert source.labels == ("0", "1")
    assert [image.label for image in source.images] == ["0"] * 6 + ["1"] * 6
    assert "has no header" in source.notes[0]


def test_a_header_that_is_the_name_of_a_file_by_chance_stays_a_header(make):
    folder = make(PLAIN)
    for name in ("image.png", "label.png", "normal.png"):
        (folder / "images" / name).write_bytes(b"x")
    assert labels_of(folder) == TRUTH


@pytest.mark.parametrize("column", ["split", "Subset", "partition", "fold", "where to"])
def test_a_column_of_train_val_and_test_declares_the_split(make, column):
    parts = ("train", "Val", "TEST")
    rows = [f"image,label,{column}", *(f"s{n:03d}.png,{truth(n)},{parts[n % 3]}" for n in range(N))]
    source = open_source(str(make(rows)))
    assert [image.declared for image in source.images] == ["train", "validation", "test"] * (N // 3)
    assert f"column {column!r} of labels.csv declares" in source.notes[0]


@pytest.mark.parametrize(("column", "values"), [("fold", "012"), ("is_valid", ("False", "True")), ("Test", "01")])
def test_numbered_folds_and_yes_or_no_are_no_split_and_no_label_and_that_is_said(make, column, values):
    rows = [f"image,sort,{column}", *(f"s{n:03d}.png,{truth(n)},{values[n % len(values)]}" for n in range(N))]
    source = open_source(str(make(rows)))
    assert {image.declared for image in source.images} == {None}
    assert source.labels == ("bleed", "normal")
    assert f"column {column!r} of labels.csv is ignored: its values (" in source.notes[0]


def test_folders_that_declare_the_split_do_so_under_a_table_too(make):
    rows = ["image,label", *(f"s{n:03d}.png,{truth(n)}" for n in range(N))]
    folder = make(rows, count=0)
    for number in range(N):
        path = folder / "images" / ("train", "test")[number % 2] / f"s{number:03d}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    assert {image.declared for image in open_source(str(folder)).images} == {"train", "test"}


def test_a_declared_split_is_kept_and_too_few_validation_images_offer_resplit(make, draw):
    counts = {"train": 8, "val": 52, "test": 8}
    rows, number = ["image,label,split"], 0
    for part, count in counts.items():
        for one in range(count):
            rows.append(f"d{number:03d}.png,{'ab'[one % 2]},{part}")
            number += 1
    folder = make(rows, count=0)
    for seed in range(number):
        draw(folder / "images" / f"d{seed:03d}.png", seed, side=32)
    source = open_source(str(folder))
    scan = scan_source(source, PreprocessSpec())
    manifest = split_source(source, scan, SplitSpec(), seed=0)
    assert [len(manifest.part(split)) for split in ("train", "validation", "test")] == [8, 52, 8]
    few = [row.replace(",val", ",train") if row.startswith("d01") else row for row in rows]
    (folder / "labels.csv").write_text("\n".join(few))
    with pytest.raises(DataError, match=r"at least 50 validation images in the splits .*Received: 42.*--resplit"):
        split_source(open_source(str(folder)), scan, SplitSpec(), seed=0)
    assert len(split_source(open_source(str(folder)), scan, SplitSpec(resplit=True), seed=0).rows) == 68
    (folder / "labels.csv").write_text("\n".join(rows).replace(",test", ",later"))
    with pytest.raises(DataError, match=r"every image in one of the declared splits.*8 of 68 in none.*--resplit"):
        split_source(open_source(str(folder)), scan, SplitSpec(), seed=0)


@pytest.mark.parametrize("gap", ["NA", "nan", "N/A", "null", "", "None"])
def test_a_missing_label_is_no_class_and_is_listed(make, gap):
    rows = ["image,label", *(f"s{n:03d}.png,{gap if n == 3 else n % 2}" for n in range(N))]
    source = open_source(str(make(rows)))
    assert source.labels == ("0", "1")
    assert source.unlabelled == ("images/s003.png",)
    assert "1 row of labels.csv without a label" in source.notes[0]


def test_numbers_of_one_value_are_one_class_and_that_is_said(make):
    rows = ["image,label", *(f"s{n:03d}.png,{('0', '1.0', '0.0', '1')[n % 4]}" for n in range(N))]
    source = open_source(str(make(rows)))
    assert source.labels == ("0", "1")
    assert "the labels 0, 0.0 are one number, and so one class: 0" in source.notes


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("normal", "NORMAL"),
        ("normal", "Normal"),
        ("Schädel", unicodedata.normalize("NFD", "Schädel")),
        ("no finding", "no_finding"),
        ("no-finding", "No  Finding"),
    ],
)
def test_two_spellings_of_one_class_are_asked_about(make, one, other):
    rows = ["image,label", *(f"s{n:03d}.png,{(one, other, 'bleed')[n % 3]}" for n in range(N))]
    with pytest.raises(DataError, match=r"one spelling for each class. Received: .*\(4\), .*\(4\)"):
        open_source(str(make(rows)))


def test_class_folders_that_differ_in_case_alone_are_asked_about(two_classes, draw):
    draw(two_classes / "CAT" / "x.png", 400)
    with pytest.raises(DataError, match=r"CAT \(1\), cat \(12\)"):
        open_source(str(two_classes))


def test_none_is_a_class_beside_one_other_a_gap_among_numbers_and_else_asked_about(make):
    def rows(values):
        return ["image,label", *(f"s{n:03d}.png,{values[n % len(values)]}" for n in range(N))]

    assert open_source(str(make(rows(("bleed", "none"))))).labels == ("bleed", "none")
    assert open_source(str(make(rows(("0", "1", "none"))))).labels == ("0", "1")
    with pytest.raises(DataError, match=r"surely classes or surely missing. Received: 4 rows with none beside a, b"):
        open_source(str(make(rows(("a", "b", "none")))))


def test_a_column_of_zero_and_one_called_normal_has_two_classes(make):
    rows = ["image,normal", *(f"s{n:03d}.png,{n % 2}" for n in range(N))]
    assert open_source(str(make(rows))).labels == ("normal", "not normal")


def test_several_findings_in_a_cell_are_refused_as_multi_label_with_a_way_out(make):
    values = ("No Finding", "Effusion", "Effusion|Mass")
    rows = ["Image Index,Finding Labels", *(f"s{n:03d}.png,{values[n % 3]}" for n in range(N))]
    with pytest.raises(DataError, match=r"multi-label\) in 4 rows, such as 'Effusion\|Mass'.*--label-column"):
        open_source(str(make(rows)))
    rows = [f"{row},{number % 2}" for number, row in enumerate(rows)]
    rows[0] = "Image Index,Finding Labels,effusion"
    assert set(labels_of(make(rows), Wanted(label="effusion")).values()) == {"effusion", "not effusion"}


def test_columns_of_the_best_known_public_sets_are_read_as_they_are(make):
    isic = ["image,MEL,NV,UNK", *(f"s{n:03d},{n % 2}.0,{1 - n % 2}.0,0.0" for n in range(N))]
    assert labels_of(make(isic))["s001"] == "MEL"
    ham = ["lesion_id,image_id,dx,dx_type,age", *(f"L{n},s{n:03d},{('nv', 'mel')[n % 2]},histo,60.0" for n in range(N))]
    assert labels_of(make(ham))["s001"] == "mel"
    header = "Image Index,Finding Labels,Follow-up #,Patient ID,OriginalImage[Width,Height],"
    nih = [header, *(f"s{n:03d}.png,{('No Finding', 'Mass')[n % 2]},0,{n // 2},2682,2749," for n in range(N))]
    source = open_source(str(make(nih)))
    assert source.labels == ("Mass", "No Finding")
    assert any("column 'Patient ID' names the patients" in note for note in source.notes)
    rsna = ["patientId,x,y,width,height,Target"]
    for n in range(N):
        rsna += [f"s{n:03d},1.0,2.0,3.0,4.0,1", f"s{n:03d},5.0,2.0,3.0,4.0,1"] if n % 2 else [f"s{n:03d},,,,,0"]
    assert labels_of(make(rsna))["s001"] == "1"


def test_several_ones_in_a_row_are_no_class_columns(make):
    rows = ["image,MEL,NV,BKL", *(f"s{n:03d},{n % 2},{1 - n % 2},1" for n in range(N))]
    with pytest.raises(DataError, match=r"12 rows have a 1 in several of MEL, NV, BKL.*--label-column MEL"):
        open_source(str(make(rows)))
    assert set(labels_of(make(rows), Wanted(label="MEL")).values()) == {"MEL", "not MEL"}


def test_a_recipe_chooses_columns_as_the_command_line_does(make):
    rows = ["a,b,sick,sex,who", *(f"s{n:03d},s{(n + 1) % N:03d},{n % 2},{n % 2},p{n // 2}" for n in range(N))]
    stage = {"name": "one", "data": str(make(rows)), "unfreeze_from": "conv_dw_12", "split": {"column": "who"}}
    recipe = resolve({"name": "mine", "stages": [stage | {"labels": {"image": "b", "label": "sick"}}]})
    images = open_stage(recipe.stages[0]).images
    assert [(image.path.stem, image.label, image.patient) for image in images[1:3]] == [
        ("s001", "not sick", "p0"),
        ("s002", "sick", "p0"),
    ]
    assert source_folder(str(make(rows))) == make(rows)


def test_two_columns_of_labels_are_asked_about(make):
    rows = ["image,diagnosis,target", *(f"s{n:03d},{truth(n)},{n % 2}" for n in range(N))]
    with pytest.raises(DataError, match=r"one label column .*--label-column diagnosis"):
        open_source(str(make(rows)))
    assert labels_of(make(rows), Wanted(label="diagnosis")) == TRUTH


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("/home/anna/set/images/s{:03d}.png", "s{:03d}.png"),
        ("C:\\data\\images\\s{:03d}.png", "s{:03d}.png"),
        ("Set-v1.0/images/s{:03d}.png", "s{:03d}.png"),
        ("./images/s{:03d}.png", "s{:03d}.png"),
        ("/elsewhere/pngs/s{:03d}.png", "s{:03d}.png"),
        ("s{:03d}.png", "s{:03d}.PNG"),
        ("S{:03d}", "s{:03d}.png"),
        ("s{:03d}.dcm", "s{:03d}.png"),
        ("{}.0", "{:03d}.png"),
        ("Schädel{:03d}.png", unicodedata.normalize("NFD", "Schädel{:03d}.png")),
        ("1.2.840.{:03d}", "1.2.840.{:03d}"),
    ],
)
def test_cells_find_their_files_however_they_are_written(make, cell, names):
    rows = ["path,label", *(f"{cell.format(n)},{truth(n)}" for n in range(N))]
    source = open_source(str(make(rows, names=names)))
    assert {image.name: image.label for image in source.images} == {
        f"images/{names.format(n)}": truth(n) for n in range(N)
    }
    assert source.missing == source.unlabelled == ()


def test_a_file_of_another_folder_is_not_taken_where_names_repeat_in_the_table(make):
    rows = ["path,label", *(f"patient{p}/s{n:03d}.png,{'ab'[p]}" for n in range(N) for p in (0, 1))]
    source_rows = [*rows, "images/s000.png,a", "images/s001.png,b"]
    source = open_source(str(make(source_rows)))
    assert [image.name for image in source.images] == ["images/s000.png", "images/s001.png"]
    assert len(source.missing) == 2 * N


def test_names_that_differ_in_case_or_zeros_alone_find_their_own_files(make):
    folder = make(["image,label", "a.png,x", "A.png,y", "1,x", "01,y"], count=0)
    for name in ("a.png", "A.png", "1.png", "01.png"):
        (folder / "images" / name).write_bytes(b"x")
    assert labels_of(folder) == {"a": "x", "A": "y", "1": "x", "01": "y"}


def test_rows_that_match_no_file_say_how_many_there_are_and_what_was_looked_for_where(make):
    rows = ["path,label", *(f"ID_{n:03d}_any,{truth(n)}" for n in range(N))]
    with pytest.raises(DataError, match=r"below .*set. Received: 12 rows.*'path' begins with 'ID_000_any'.*12 images"):
        open_source(str(make(rows)))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_encodings_and_line_ends_of_every_spreadsheet_are_read(make, encoding, delimiter, end):
    rows = [f'"{cells[0]}"{delimiter} "{cells[1]}"' for cells in (row.split(",") for row in PLAIN)]
    assert labels_of(make([*rows, "", delimiter], encoding=encoding, end=end)) == TRUTH


def test_the_line_that_tells_excel_of_the_delimiter_is_no_row(make):
    assert labels_of(make(["sep=;", *(row.replace(",", ";") for row in PLAIN)])) == TRUTH


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*PLAIN[:4], 's003.png,"bleed', *PLAIN[5:]], r"a CSV file of labels \(unexpected end of data\).*line 13"),
        (["image,label", "s\0.png,a"], "zero bytes"),
        (["image,label", "s000.png,a,b,c"], r"2 cells \(image, label\) in every row.*Received: 4 cells in row 2"),
        (["label,label,image", *(f"a,{n},s{n:03d}.png" for n in range(N))], "one label column"),
    ],
)
def test_a_damaged_table_is_one_clear_line(make, rows, message):
    with pytest.raises(DataError, match=message) as caught:
        open_source(str(make(rows)))
    assert "\n" not in str(caught.value)


def test_a_table_that_is_far_too_large_is_not_read(make):
    folder = make(PLAIN)
    os.truncate(folder / "labels.csv", 10**10)
    with pytest.raises(DataError, match=r"of at most 64 MB. Received: .*labels.csv with 10,000 MB"):
        open_source(str(folder))


def test_a_table_in_another_encoding_is_refused_with_the_command_that_converts_it(make):
    folder = make(["image,label", *(f"s{n:03d}.png,{('nö', 'ja')[n % 2]}" for n in range(N))], encoding="cp1252")
    spaced = folder.rename(folder.parent / "my set")
    with pytest.raises(DataError, match=r"iconv -f cp1252 -t utf-8 '.*my set/labels.csv' > labels-utf8.csv"):
        open_source(str(spaced))


def test_a_table_beside_folders_that_declare_splits_without_classes_labels_their_images(make):
    folder = make(PLAIN, folder="train", count=6, table="truth.csv")
    (folder / "test").mkdir()
    for number in range(6, N):
        (folder / "test" / f"s{number:03d}.png").write_bytes(b"x")
    source = open_source(str(folder))
    assert {image.path.stem: image.label for image in source.images} == TRUTH
    assert [image.declared for image in source.images] == ["test"] * 6 + ["train"] * 6


def test_parts_of_a_download_are_no_classes(make):
    rows = ["image_id,dx", *(f"s{n:03d},{truth(n)}" for n in range(N))]
    folder = make(rows, folder="HAM_images_part_1", table="metadata.csv")
    (folder / "HAM_images_part_2").mkdir()
    (folder / "HAM_images_part_2" / "t.png").write_bytes(b"x")
    source = open_source(str(folder))
    assert source.labels == ("bleed", "normal")
    assert "parts of one set" in source.notes[0]
    (folder / "HAM_images_part_1").rename(folder / "left")
    (folder / "HAM_images_part_2").rename(folder / "right")
    with pytest.raises(DataError, match=r"one origin of labels.*metadata.csv, which names 12 images.*left, right"):
        open_source(str(folder))
    (folder / "metadata.csv").write_text("\n".join(["image_id,age", *(f"s{n:03d},{50 + n}" for n in range(N))]))
    assert open_source(str(folder)).notes == ("metadata.csv is not used: the folders are the classes",)


def test_of_several_tables_the_one_that_labels_the_images_is_taken(make):
    folder = make(["image_id,dx", *PLAIN[1:]], table="truth.csv")
    (folder / "pixels.csv").write_text("pixel0,pixel1\n0,1\n2,3\n")
    (folder / "boxes.csv").write_text("box,x,y\na,1,2\nb,3,4\n")
    assert labels_of(folder) == TRUTH


def test_rows_without_a_patient_are_patients_of_their_own(make, draw):
    rows = ["image,label,who", *(f"d{n}.png,{'ab'[n % 2]},{'ann' if n < 4 else ('', 'NA')[n % 2]}" for n in range(N))]
    folder = make(rows, count=0)
    for number in range(N):
        draw(folder / "images" / f"d{number}.png", number)
    source = open_source(str(folder), Wanted(patient="who"))
    assert "8 images of 12 in labels.csv without a patient: each counts as a patient of its own" in source.notes
    groups, known = group_images(source, scan_source(source, PreprocessSpec()))
    assert not known
    assert len(set(groups)) == 9


def test_a_patient_expression_whose_match_is_empty_names_nobody(two_classes):
    with pytest.raises(DataError, match="misses 24 of 24"):
        open_source(str(two_classes), patient="^(x*)")
    with pytest.raises(DataError, match="misses 24 of 24"):
        open_source(str(two_classes), patient="^(q)?p")


@pytest.mark.parametrize("name", ["a\nb", "h" * (LONGEST + 1), "a\rb", "tab\there", " ", "a\u2028b"])
def test_a_class_name_that_no_card_takes_is_refused_before_anything_is_trained(name):
    with pytest.raises(DataError, match="names of classes"):
        check_names(["fine", name], "somewhere")


@pytest.mark.parametrize("name", ["h" * LONGEST, "Schädel-Hirn (links)", "0", "a|b", "脑出血", "ill, very"])
def test_a_class_name_that_is_let_through_is_one_that_a_card_takes(name, tiny_card):
    check_names([name], "somewhere")
    card: Card = tiny_card(labels=("x", name), positive="x")
    assert card.labels[1] == name


@pytest.mark.parametrize("label", ["h" * 210, "two\nlines"])
def test_a_folder_with_such_a_name_is_refused(two_classes, label):
    (two_classes / "cat").rename(two_classes / label)
    with pytest.raises(DataError, match="Rename that class") as caught:
        open_source(str(two_classes))
    assert "\n" not in str(caught.value)


def test_a_folder_without_an_image_is_no_class_and_one_without_a_readable_one_is_refused(two_classes):
    (two_classes / "docs").mkdir()
    (two_classes / "docs" / "README.txt").write_text("hello")
    (two_classes / "empty").mkdir()
    source = open_source(str(two_classes))
    assert source.labels == ("cat", "dog")
    assert [entry.name for entry in source.left_out] == ["docs/", "empty/"]
    (two_classes / "broken").mkdir()
    (two_classes / "broken" / "x.png").write_bytes(b"")
    source = open_source(str(two_classes))
    with pytest.raises(DataError, match=r"an image of class 'broken' that can be used. Received: none of 1.*0 bytes"):
        split_source(source, scan_source(source, PreprocessSpec()), SplitSpec(), seed=0)


def test_images_outside_the_classes_of_a_declared_part_are_listed(tmp_path, draw):
    for part in ("train", "val"):
        for label in ("a", "b"):
            draw(tmp_path / part / label / f"{part}{label}.png", ord(label) + len(part))
    draw(tmp_path / "test" / "loose.png", 5)
    assert open_source(str(tmp_path)).unlabelled == ("test/loose.png",)
