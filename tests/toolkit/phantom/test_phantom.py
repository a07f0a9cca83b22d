import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mstl_edge.data import phantom
from mstl_edge.errors import DataError

KINDS = sorted(phantom.KINDS)
EVERY_CLASS = [(kind, label) for kind in KINDS for label in phantom.KINDS[kind].labels]


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.png"))}


@pytest.mark.parametrize(("kind", "label"), EVERY_CLASS)
def test_a_drawing_is_grey_filled_and_uses_the_range(kind, label):
    pixels = phantom.draw(kind, label, seed=3, patient=5)
    assert pixels.shape == (phantom.SIDE, phantom.SIDE)
    assert pixels.dtype == np.uint8
    assert pixels.std() > 20


@pytest.mark.parametrize(("kind", "label"), EVERY_CLASS)
def test_the_same_numbers_draw_the_same_image_and_any_other_number_another(kind, label):
    same = phantom.draw(kind, label, seed=3, patient=5, image=1)
    assert np.array_equal(same, phantom.draw(kind, label, seed=3, patient=5, image=1))
    for other in ({"seed": 4}, {"patient": 6}, {"image": 0}):
        assert not np.array_equal(same, phantom.draw(kind, label, **{"seed": 3, "patient": 5, "image": 1, **other}))


@pytest.mark.parametrize("kind", KINDS)
def test_the_class_changes_a_part_of_the_image_only(kind):
    first, second = (phantom.draw(kind, label, seed=1, patient=2).astype(int) for label in phantom.KINDS[kind].labels)
    changed = np.abs(first - second) > 40
    assert 0 < changed.mean() < 0.35


@pytest.mark.parametrize("kind", KINDS)
def test_every_image_is_another(kind):
    drawn = {phantom.draw(kind, phantom.KINDS[kind].labels[0], patient=patient).tobytes() for patient in range(12)}
    assert len(drawn) == 12


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_holds_both_classes_and_each_patient_in_one_of_them(kind):
    folder = phantom.phantom_folder(kind, seed=2, count=40)
    files = files_of(folder)
    assert len(files) == 40
    assert {name.split("/")[0] for name in files} == set(phantom.KINDS[kind].labels)
    assert all(re.fullmatch(r"[a-z]+/p\d{4}_\d\.png", name) for name in files)
    patients = {(name.split("/")[1].split("_")[0], name.split("/")[0]) for name in files}
    assert len({patient for patient, _ in patients}) == len(patients) < 40
    share = sum(name.startswith(phantom.KINDS[kind].labels[0]) for name in files) / len(files)
    assert 0.3 < share < 0.7


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_holds_what_draw_draws(kind):
    folder = phantom.phantom_folder(kind, seed=2, count=4)
    for path in folder.rglob("*.png"):
        patient, image = map(int, re.findall(r"\d+", path.stem))
        with Image.open(path) as stored:
            assert stored.mode == "L"
            drawn = phantom.draw(kind, path.parent.name, seed=2, patient=patient, image=image)
            assert np.array_equal(np.asarray(stored), drawn)


def test_more_images_leave_the_first_ones_as_they_are():
    few = files_of(phantom.phantom_folder("chest", seed=1, count=6))
    many = files_of(phantom.phantom_folder("chest", seed=1, count=12))
    assert few.items() <= many.items()


def test_seeds_and_counts_do_not_share_a_folder():
    folders = {phantom.phantom_folder("chest", seed=seed, count=count) for seed in (0, 1) for count in (2, 3)}
    assert len(folders) == 4


def test_a_second_call_draws_nothing(monkeypatch):
    first = phantom.phantom_folder("head-ct", count=2)
    monkeypatch.setattr(phantom, "draw", None)
    assert phantom.phantom_folder("head-ct", count=2) == first


def test_a_drawing_that_is_interrupted_leaves_nothing(monkeypatch, empty_cache):
    real, calls = phantom.draw, []

    def interrupted(*args, **kwargs):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(phantom, "draw", interrupted)
    with pytest.raises(KeyboardInterrupt):
        phantom.phantom_folder("chest", count=6)
    assert list((empty_cache / "phantom").iterdir()) == []


def test_another_process_gets_the_same_bytes(tmp_path):
    mine = files_of(phantom.phantom_folder("head-ct", seed=9, count=3))
    code = "from mstl_edge.data.phantom import phantom_folder; print(phantom_folder('head-ct', seed=9, count=3))"
    environment = {"MSTL_EDGE_CACHE": str(tmp_path / "other")}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert files_of(type(tmp_path)(result.stdout.strip())) == mine


def test_an_unknown_phantom_names_the_nearest_one():
    with pytest.raises(DataError, match=r"Received: phantom:head_ct\. Did you mean phantom:head-ct\?"):
        phantom.phantom_folder("head_ct")


def test_an_unknown_class_and_a_count_of_one_are_clear_lines():
    with pytest.raises(DataError, match="normal, pneumonia"):
        phantom.draw("chest", "hemorrhage")
    with pytest.raises(DataError, match=r"at least 2 images of phantom:chest\. Received: 1"):
        phantom.phantom_folder("chest", count=1)


def test_drawing_imports_no_tensorflow():
    code = (
        "import sys, mstl_edge.data.phantom; sys.exit(any(n in sys.modules for n in ('tensorflow', 'keras', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_lesion_lies_where_the_classes_differ():
    pixels = {
        label: phantom.draw("head-ct", label, seed=4, patient=1).astype(int) for label in ("hemorrhage", "normal")
    }
    lesion = phantom.lesion("head-ct", "hemorrhage", seed=4, patient=1)
    brighter = pixels["hemorrhage"] - pixels["normal"]
    assert lesion.shape == (phantom.SIDE, phantom.SIDE)
    assert 0.002 < lesion.mean() < 0.2
    assert brighter[lesion].mean() > 20 > 5 > abs(brighter[~lesion].mean())
    assert not phantom.lesion("head-ct", "normal", seed=4, patient=1).any()
    with pytest.raises(DataError, match="whose lesions have a place"):
        phantom.lesion("chest", "pneumonia")
