"""Label files of public sets, as they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mstl_edge.data.labels.choosing import Choice
from mstl_edge.data.labels.columns import Wanted
from mstl_edge.data.scan import scan_source
from mstl_edge.data.sources import open_source
from mstl_edge.data.splits import split_source
from mstl_edge.errors import DataError
from mstl_edge.recipe import PreprocessSpec, SplitSpec

KINDS = ("epidural", "intraparenchymal", "subdural", "any")
Draw = Callable[..., Path]


@pytest.fixture
def rsna(tmp_path: Path, draw: Draw) -> Path:
    """Write RSNA 2019's table: six rows for each image, here four, the class behind the name."""
    rows = ["ID,Label"]
    for number in range(20):
        draw(tmp_path / "stage_2_train" / f"ID_{number:09x}.png", number)
        found = {"any", KINDS[number % 3]} if number % 2 else set()
        rows += [f"ID_{number:09x}_{kind},{int(kind in found)}" for kind in KINDS]
    (tmp_path / "stage_2_train.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_a_row_for_each_image_and_class_is_a_column_for_each_class(rsna: Path) -> None:
    with pytest.raises(
        DataError, match=r"one label column .*Received: image, any, epidural, intraparenchymal, subdural"
    ):
        open_source(str(rsna))
    source = open_source(str(rsna), Wanted(label="any"))
    assert len(source.images) == 20
    assert {image.label for image in source.images[1::2]} == {"any"}
    assert {image.label for image in source.images[::2]} == {"not any"}
    assert any(
        "a row for each image and class (any, epidural, intraparenchymal, subdural): 20 images" in note
        for note in source.notes
    )
    chosen = open_source(str(rsna), choice=Choice(("epidural=epidural", "subdural=subdural")))
    assert chosen.labels == ("epidural", "subdural")
    renamed = open_source(str(rsna), Wanted(label="any"), choice=Choice(("any=hemorrhage", "not any=normal")))
    assert renamed.labels == ("hemorrhage", "normal")


def test_a_table_that_lacks_a_class_of_an_image_is_not_taken_apart(rsna: Path) -> None:
    table = rsna / "stage_2_train.csv"
    table.write_text(table.read_text().replace("ID_000000003_subdural,0\n", ""))
    with pytest.raises(DataError, match=r"rows of stage_2_train\.csv that name image files"):
        open_source(str(rsna))


def test_names_that_end_in_words_are_names(tmp_path: Path, draw: Draw) -> None:
    for number in range(12):
        for side in ("left", "right"):
            draw(tmp_path / "eyes" / f"{number}_{side}.png", 2 * number + (side == "left"))
    rows = [f"{number}_{side},{number % 2}" for number in range(12) for side in ("left", "right")]
    (tmp_path / "labels.csv").write_text("\n".join(["id,disease", *rows]) + "\n")
    source = open_source(str(tmp_path))
    assert len(source.images) == 24
    assert source.labels == ("disease", "normal")


@pytest.mark.parametrize("folder", ["test", "stage_2_test_images", "Test-Set"])
def test_a_test_folder_without_labels_is_kept_back_and_said(tmp_path: Path, draw: Draw, folder: str) -> None:
    for number in range(40):
        draw(tmp_path / ("train" if number < 24 else folder) / f"S{number:03}.png", number)
    rows = [f"S{number:03},{'ab'[number % 2]}" for number in range(24)]
    (tmp_path / "train.csv").write_text("\n".join(["image_id,label", *rows]) + "\n")
    source = open_source(str(tmp_path))
    assert (len(source.images), source.unlabelled) == (24, ())
    assert sum(f"{folder}/ has no labels" in entry.reason for entry in source.left_out) == 16
    manifest = split_source(source, scan_source(source, PreprocessSpec()), SplitSpec(), seed=0)
    assert any("left out: 16 entries" in remark for remark in manifest.remarks())


def test_images_without_a_label_elsewhere_stay_unlabelled(tmp_path: Path, draw: Draw) -> None:
    for number in range(40):
        draw(tmp_path / ("latest" if number % 2 else "contest") / f"S{number:03}.png", number)
    rows = [f"S{number:03},{'ab'[number // 2 % 2]}" for number in range(0, 40, 2)]
    (tmp_path / "labels.csv").write_text("\n".join(["image_id,label", *rows]) + "\n")
    assert len(open_source(str(tmp_path)).unlabelled) == 20


def test_the_table_counts_where_folders_lie_beside_it_and_no_cell_is_a_file(rsna: Path, draw: Draw) -> None:
    draw(rsna / "stage_2_test" / "ID_999.png", 99)
    with pytest.raises(DataError, match="one label column"):
        open_source(str(rsna))
    assert open_source(str(rsna), Wanted(label="any")).labels == ("any", "not any")


def test_the_first_images_of_such_a_table_may_be_absent(rsna: Path) -> None:
    (rsna / "stage_2_train" / "ID_000000000.png").unlink()
    assert len(open_source(str(rsna), Wanted(label="any")).images) == 19


def test_rows_of_such_a_table_that_contradict_each_other_are_refused(rsna: Path) -> None:
    table = rsna / "stage_2_train.csv"
    table.write_text(table.read_text() + "ID_000000001_any,0\n")
    with pytest.raises(
        DataError, match=r"one label for each image and class .*Received: ID_000000001_any as 1 and as 0"
    ):
        open_source(str(rsna), Wanted(label="any"))
