"""Some findings become classes, under names of one's own; the rest is left out, listed and counted, never lost in silence."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from mstl_edge.data.labels.choosing import ANOTHER, MIXED, Choice, parsed
from mstl_edge.data.scan import scan_source
from mstl_edge.data.sources import open_source, open_stage
from mstl_edge.data.splits import split_source
from mstl_edge.errors import DataError
from mstl_edge.recipe import PreprocessSpec, SplitSpec, resolve

FINDINGS = ("No Finding", "Pneumonia", "Pneumonia|Effusion", "Effusion", "Mass", "Mass|Effusion")


def _files(folder: Path, count: int) -> None:
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / "images" / f"s{number:03d}.png").write_bytes(b"x")


@pytest.fixture
def nih(tmp_path: Path) -> Path:
    """Thirty images, the findings of each in one cell."""
    _files(tmp_path, 30)
    rows = [f"s{n:03d}.png,{FINDINGS[n % 6]}" for n in range(30)]
    (tmp_path / "labels.csv").write_text("\n".join(["Image Index,Finding Labels", *rows]) + "\n")
    return tmp_path


def test_findings_become_classes_and_the_rest_is_left_out_with_its_reason(nih: Path) -> None:
    source = open_source(str(nih), choice=Choice(("Pneumonia=ill", "No Finding=well")))
    assert Counter(image.label for image in source.images) == {"ill": 10, "well": 5}
    assert source.labels == ("ill", "well")
    assert Counter(entry.reason for entry in source.left_out) == {ANOTHER: 15}
    assert source.unlabelled == ()
    assert "--map 'Pneumonia=ill,No Finding=well'" in source.check


def test_an_image_of_two_chosen_classes_is_of_neither(nih: Path) -> None:
    source = open_source(str(nih), choice=Choice(("Mass=a", "Effusion=b", "Pneumonia=a")))
    assert Counter(image.label for image in source.images) == {"a": 10, "b": 5}
    reasons = Counter(entry.reason for entry in source.left_out)
    assert reasons == {MIXED: 10, ANOTHER: 5}


def test_several_findings_without_a_choice_are_an_error_that_names_the_option(nih: Path) -> None:
    with pytest.raises(DataError, match=r"several ones \(multi-label\).*--map 'FINDING=CLASS"):
        open_source(str(nih))


def test_only_some_classes_are_told_apart(nih: Path) -> None:
    source = open_source(str(nih), choice=Choice(only=("mass", "No finding")))
    assert Counter(image.label for image in source.images) == {"Mass": 10, "No Finding": 5}


def test_folders_are_findings_too_and_several_become_one_class(tmp_path: Path) -> None:
    for label in ("benign", "malignant", "normal"):
        (tmp_path / label).mkdir()
        for number in range(4):
            (tmp_path / label / f"{number}.png").write_bytes(b"x")
    merged = open_source(str(tmp_path), choice=Choice(("benign=no cancer", "normal=no cancer", "malignant=cancer")))
    assert Counter(image.label for image in merged.images) == {"no cancer": 8, "cancer": 4}
    two = open_source(str(tmp_path), choice=Choice(only=("benign", "malignant")))
    assert two.labels == ("benign", "malignant")
    assert Counter(entry.reason for entry in two.left_out) == {ANOTHER: 4}


def test_rows_of_one_image_are_taken_together(tmp_path: Path) -> None:
    _files(tmp_path, 6)
    rows = ["image,label"]
    for number in range(6):
        rows += [f"s{number:03d}.png,{'mass' if number % 2 else 'clear'}"] * 2  # as many rows as boxes
    rows.append("s001.png,nodule")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    source = open_source(str(tmp_path), choice=Choice(("mass=mass", "clear=clear")))
    assert Counter(image.label for image in source.images) == {"mass": 3, "clear": 3}


def test_columns_of_findings_may_overlap(tmp_path: Path) -> None:
    _files(tmp_path, 9)
    rows = [f"s{n:03d}.png,{int(n % 3 == 0)},{int(n % 3 == 1)},{int(n > 5)}" for n in range(9)]
    (tmp_path / "labels.csv").write_text("\n".join(["image,edema,mass,device", *rows]) + "\n")
    source = open_source(str(tmp_path), choice=Choice(only=("edema", "mass")))
    assert Counter(image.label for image in source.images) == {"edema": 3, "mass": 3}


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (Choice(("Pneumonia",)), "FINDING=CLASS"),
        (Choice(("Pnuemonia=ill", "No Finding=well")), "Did you mean Pneumonia"),
        (Choice(only=("ill",)), r"There are: No Finding|There are: "),
        (Choice(("Pneumonia=ill",)), "at least two classes"),
        (Choice(("Pneumonia=ill", "No Finding=well"), ("sick",)), "a class that an image has"),
    ],
)
def test_a_choice_that_cannot_be_made_is_one_clear_line(nih: Path, choice: Choice, said: str) -> None:
    with pytest.raises(DataError, match=said):
        open_source(str(nih), choice=choice)


def test_what_is_left_out_by_choice_is_not_lost(nih: Path) -> None:
    import numpy as np
    from PIL import Image

    for number, path in enumerate(sorted((nih / "images").iterdir())):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 32), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    table = {"labels": {"map": ["Pneumonia=ill", "No Finding=well"]}}
    recipe = resolve(
        {
            "name": "own",
            "stages": [{"name": "t", "data": str(nih), "unfreeze_from": "head", "epochs": 1, "batch_size": 4, **table}],
        }
    )
    source = open_stage(recipe.stages[0])
    manifest = split_source(source, scan_source(source, PreprocessSpec()), SplitSpec(), seed=0)
    assert len(manifest.rows) == 15
    assert len(manifest.left_out) == 15
    assert any(ANOTHER in remark for remark in manifest.remarks())


def test_options_hold_several_entries_and_may_be_repeated() -> None:
    assert parsed(None) == ()
    assert parsed(["a=b, c=d", "e=f"]) == ("a=b", "c=d", "e=f")
