"""Patients of well-known public sets are recognised and said; nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from mstl_edge.data.sources import open_source


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("00001280_004.png", "00001280"),
        ("person1_bacteria_2.jpeg", "person1_bacteria"),
        ("person1_virus_6.jpeg", "person1_virus"),
        ("IM-0115-0001.jpeg", "IM-0115"),
        ("NORMAL2-IM-1427-0001.jpeg", "NORMAL2-IM-1427"),
        ("IM-0543-0001-0002.jpeg", "IM-0543"),
        ("BACTERIA-1008087-0001.jpeg", "1008087"),
        ("CNV-1016042-12.jpeg", "1016042"),
        ("SOB_M_DC-14-2523-100-001.png", "14-2523"),
        ("SOB_B_TA-14-16184CD-40-007.png", "14-16184CD"),
        ("20260101_001.png", None),  # a date
        ("00001280.png", None),
        ("img_00001280_004.png", None),
        ("person1.png", None),
        ("IM-0115.png", None),
        ("benign (1).png", None),
        ("ISIC_0024306.jpg", None),  # the table of its set names lesions
    ],
)
def test_a_name_tells_its_patient_or_none(tmp_path: Path, name: str, patient: str | None) -> None:
    for label, file in (("a", name), ("b", "other.png")):
        (tmp_path / label).mkdir()
        (tmp_path / label / file).write_bytes(b"")
    source = open_source(str(tmp_path))
    by_name = {image.path.name: image.patient for image in source.images}
    assert by_name == {name: patient, "other.png": None}
    said = [note for note in source.notes if "patients" in note]
    assert len(said) == (patient is not None)
    if patient is not None:
        assert "of 1 of 2 images by the file names of" in said[0]
        assert f"({name} is patient {patient})" in said[0]


def test_an_expression_of_the_user_counts(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / label).mkdir()
        (tmp_path / label / f"0000128{label == 'a'}_004.png").write_bytes(b"")
    source = open_source(str(tmp_path), patient=r"_(\d+)")
    assert {image.patient for image in source.images} == {"004"}
    assert not [note for note in source.notes if "patients" in note]


@pytest.mark.parametrize(
    ("header", "row", "column"),
    [
        ("Image Index,Finding Labels,Patient ID", "{i}.png,{label},{patient}", "Patient ID"),
        ("lesion_id,image_id,dx", "{patient},{i},{label}", "lesion_id"),
    ],
)
def test_the_tables_of_public_sets_name_patients_without_being_asked(
    tmp_path: Path, header: str, row: str, column: str
) -> None:
    (tmp_path / "images").mkdir()
    rows = [header]
    for i in range(12):
        (tmp_path / "images" / f"{i}.png").write_bytes(b"")
        rows.append(row.format(i=i, label="ab"[i % 2], patient=f"p{i // 3}"))
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    source = open_source(str(tmp_path))
    assert {image.patient for image in source.images} == {"p0", "p1", "p2", "p3"}
    named = "lesions" if column == "lesion_id" else "patients"
    assert [f"column {column!r} names the {named}" in note for note in source.notes].count(True) == 1


def test_a_patient_column_of_any_other_table_is_asked_for(tmp_path: Path) -> None:
    rows = ["image,label,patient_id"]
    for i in range(4):
        (tmp_path / f"{i}.png").write_bytes(b"")
        rows.append(f"{i}.png,{'ab'[i % 2]},p{i}")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    source = open_source(str(tmp_path))
    assert {image.patient for image in source.images} == {None}
    assert any("--column patient_id" in note for note in source.notes)
