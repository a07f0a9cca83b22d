from __future__ import annotations

import json
import shutil
import subprocess
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from mstl_edge.artifact import Hashes, draw_golden_images, open_artifact, read_artifact, without_paths, write_artifact
from mstl_edge.artifact.card import decode_card, encode_card
from mstl_edge.errors import ArtifactError
from mstl_edge.runtime import record_golden

MakeCard = Callable[..., Any]


def test_what_was_written_is_what_is_read(exported: Callable[[str], Path], models: Path) -> None:
    artifact = open_artifact(exported("tiny_int8"))
    assert artifact.flatbuffer == (models / "tiny_int8.tflite").read_bytes()
    assert artifact.card is not None
    assert artifact.card.labels == ("normal", "hemorrhage")
    assert artifact.card.positive_index == 1
    assert len(artifact.golden) == 3
    assert artifact.golden[0].image.shape == (32, 32, 3)


def test_equal_input_gives_equal_bytes(tmp_path: Path, models: Path, tiny_card: MakeCard) -> None:
    flatbuffer = (models / "tiny_int8.tflite").read_bytes()
    written = []
    for name in ("a.tflite", "b.tflite"):
        write_artifact(tmp_path / name, flatbuffer, tiny_card(), record_golden(flatbuffer))
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]


def test_zip_tools_read_the_tail(exported: Callable[[str], Path]) -> None:
    path = exported("tiny_int8")
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["card.json", "labels.txt", *(f"golden/{n}.png" for n in range(3))]
        assert archive.read("labels.txt") == b"normal\nhemorrhage\n"
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert json.loads(archive.read("card.json"))["schema"] == "mstl-edge/card/1"
    unzip = subprocess.run(
        ["sh", "-c", 'command -v unzip >/dev/null || exit 99; unzip -l "$0"', path], capture_output=True
    )
    assert unzip.returncode in (0, 99)


@pytest.mark.parametrize("source", ["path", "bytes"])
def test_an_interpreter_loads_the_file_with_its_tail(exported: Callable[[str], Path], source: str) -> None:
    interpreters = pytest.importorskip("ai_edge_litert.interpreter")
    path = exported("tiny_int8")
    options = {"model_path": str(path)} if source == "path" else {"model_content": path.read_bytes()}
    interpreter = interpreters.Interpreter(**options)
    interpreter.allocate_tensors()
    assert interpreter.get_input_details()[0]["shape"].tolist() == [1, 32, 32, 3]


def test_no_path_of_this_machine_enters_the_card(tmp_path: Path, models: Path, tiny_card: MakeCard) -> None:
    from mstl_edge.recipe import load_recipe, to_tree

    recipe = load_recipe("phantom", data={"target": str(tmp_path / "patients")}, weights=str(tmp_path / "w.h5"))
    card = tiny_card(recipe=to_tree(recipe))
    write_artifact(tmp_path / "m.tflite", (models / "tiny_int8.tflite").read_bytes(), card)
    assert str(tmp_path).encode() not in (tmp_path / "m.tflite").read_bytes()
    written = open_artifact(tmp_path / "m.tflite").card
    assert written is not None
    assert [stage["data"] for stage in written.recipe["stages"]] == ["phantom:chest", "local"]
    assert written.recipe["backbone"]["weights"] == "local"
    assert without_paths({"stages": [{"data": "kaggle:a/b"}]}) == {"stages": [{"data": "kaggle:a/b"}]}


def test_a_card_survives_being_written(tiny_card: MakeCard) -> None:
    card = tiny_card(metrics={"int8": {"accuracy": {"value": 0.9, "low": 0.8, "high": 0.95}}}, versions={"numpy": "2"})
    assert decode_card(encode_card(card)) == card


def test_fields_of_a_later_version_are_passed_over(tiny_card: MakeCard) -> None:
    tree = json.loads(encode_card(tiny_card())) | {"later": {"a": 1}}
    assert decode_card(json.dumps(tree).encode()) == tiny_card()


def test_a_card_that_does_not_fit_is_not_written(tmp_path: Path, models: Path, tiny_card: MakeCard) -> None:
    card = tiny_card(labels=("a", "b", "hemorrhage"))
    with pytest.raises(ArtifactError, match="3 labels"):
        write_artifact(tmp_path / "m.tflite", (models / "tiny_int8.tflite").read_bytes(), card)
    assert list(tmp_path.iterdir()) == []


def test_a_card_says_how_many_bits_weights_have_and_an_old_one_means_eight(tiny_card: MakeCard) -> None:
    recipe = tiny_card().recipe
    seven = recipe | {"quantize": recipe["quantize"] | {"weight_bits": 7}}
    assert tiny_card(recipe=seven).weight_bits == 7
    assert tiny_card(recipe=seven, scheme="dynamic").weight_bits == 8
    assert tiny_card(recipe=recipe | {"quantize": {"epochs": 8}}).weight_bits == 8
    assert tiny_card(recipe={}).weight_bits == 8
    assert tiny_card(recipe={"quantize": {"weight_bits": "seven"}}).weight_bits == 8


def test_a_file_whose_weights_have_more_bits_than_its_card_says_is_not_written(
    tmp_path: Path, models: Path, tiny_card: MakeCard
) -> None:
    card = tiny_card(recipe={"quantize": {"weight_bits": 7}})
    with pytest.raises(ArtifactError, match="weights of 7 bits on the card, and more in"):
        write_artifact(tmp_path / "m.tflite", (models / "tiny_int8.tflite").read_bytes(), card)


def test_a_foreign_model_opens_without_a_card(models: Path) -> None:
    artifact = open_artifact(models / "three_classes.tflite")
    assert artifact.card is None
    assert artifact.golden == ()


def test_a_foreign_zip_of_associated_files_is_no_card(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "foreign.tflite"
    path.write_bytes((models / "three_classes.tflite").read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.txt", "a\nb\nc\n")
    assert open_artifact(path).card is None


def _added_by_zipfile(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("notes/read me (1).txt", "x" * 5000, zipfile.ZIP_DEFLATED)
        archive.writestr("notes/", "")
        archive.writestr("größe.txt", "stored")


def _commented(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"checked by somebody"


def _written_anew(path: Path, *, offsets_from: str = "file") -> None:
    """Write the whole zip again: foreign entries first, ours in reverse, with today's dates."""
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        start = min(info.header_offset for info in archive.infolist())
        entries = {info: archive.read(info) for info in archive.infolist()}
    path.write_bytes(content[:start] if offsets_from == "file" else b"")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("first.bin", b"\0" * 9)
        for info, data in reversed(entries.items()):
            archive.writestr(info.filename, data)
    if offsets_from == "zip":
        path.write_bytes(content[:start] + path.read_bytes())


def _by_info_zip(path: Path, *options: str) -> None:
    if shutil.which("zip") is None:
        pytest.skip("Info-ZIP is not installed")
    extra = path.with_name("extra.txt")
    extra.write_text("compressible " * 500)
    subprocess.run(["zip", "-q", "-j", *options, path, extra], check=True, input=b"a comment\n.\n")


def _anew_by_info_zip(path: Path) -> None:
    if shutil.which("zip") is None:
        pytest.skip("Info-ZIP is not installed")
    content, folder = path.read_bytes(), path.with_suffix("")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
        start = min(info.header_offset for info in archive.infolist())
    subprocess.run(["zip", "-q", "-0", "-r", "../anew.zip", "."], check=True, cwd=folder)
    path.write_bytes(content[:start] + path.with_name("anew.zip").read_bytes())
    subprocess.run(["zip", "-q", "-A", path], check=True)


@pytest.mark.parametrize(
    "extend",
    [
        _added_by_zipfile,
        _commented,
        _written_anew,
        lambda path: _written_anew(path, offsets_from="zip"),
        lambda path: (_added_by_zipfile(path), _commented(path), _written_anew(path)),
        _by_info_zip,
        lambda path: _by_info_zip(path, "-z"),
        lambda path: (_by_info_zip(path), _by_info_zip(path, "-A")),
        _anew_by_info_zip,
    ],
)
def test_a_zip_that_others_legally_extended_still_opens(
    exported: Callable[[str], Path], tmp_path: Path, extend: Callable[[Path], object]
) -> None:
    before = open_artifact(exported("tiny_int8"))
    path = tmp_path / "m.tflite"
    path.write_bytes(exported("tiny_int8").read_bytes())
    extend(path)
    assert path.read_bytes() != exported("tiny_int8").read_bytes()
    after = open_artifact(path)
    assert (after.flatbuffer, after.card, len(after.golden)) == (before.flatbuffer, before.card, 3)


@pytest.mark.parametrize(
    ("name", "content"), [("labels.txt", b"hemorrhage\nnormal\n"), ("card.json", b"{}"), ("golden/0.png", b"")]
)
def test_an_added_entry_that_takes_the_name_of_ours_is_refused(
    exported: Callable[[str], Path], tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(exported("tiny_int8").read_bytes())
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr(name, content)
    with pytest.raises(ArtifactError, match="two entries of one name"):
        open_artifact(path)


def test_our_entries_are_still_checked_in_an_extended_zip(exported: Callable[[str], Path], tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(exported("tiny_int8").read_bytes())
    _added_by_zipfile(path)
    content = bytearray(path.read_bytes())
    content[content.index(b'"threshold"') + 14] ^= 1
    with pytest.raises(ArtifactError):
        read_artifact(bytes(content))


def test_the_written_hash_is_the_flatbuffers(tmp_path: Path, models: Path, tiny_card: MakeCard) -> None:
    flatbuffer = (models / "tiny_int8.tflite").read_bytes()
    card = tiny_card(hashes=Hashes(data={"target": "d"}, weights="w", flatbuffer="made up"))
    written = write_artifact(tmp_path / "m.tflite", flatbuffer, card)
    assert len(written.hashes.flatbuffer) == 64
    assert written.hashes.data == {"target": "d"}
    assert msgspec.structs.replace(written, golden=()) == read_artifact((tmp_path / "m.tflite").read_bytes()).card


def test_golden_images_are_drawn_the_same_each_time_and_in_colour() -> None:
    first, second = draw_golden_images(48, 4), draw_golden_images(48, 4)
    for image, again in zip(first, second, strict=True):
        np.testing.assert_array_equal(image, again)
        assert image.shape == (48, 48, 3)
        assert image.dtype == np.uint8
        assert np.abs(image[..., 0].astype(int) - image[..., 2]).max() > 8
    assert not np.array_equal(first[0], first[1])


def test_a_card_of_three_classes_has_no_positive_class_and_no_threshold(
    exported: Callable[[str], Path], tiny_card: Callable[..., Any]
) -> None:
    card = tiny_card("three_classes", positive="c", threshold=0.3)
    assert (card.positive, card.positive_index, card.threshold) == (None, None, None)
    with zipfile.ZipFile(exported("three_classes")) as archive:
        tree = json.loads(archive.read("card.json"))
    assert (tree["schema"], tree["positive"], tree["threshold"]) == ("mstl-edge/card/2", None, None)
    older = json.dumps({**tree, "schema": "mstl-edge/card/1", "positive": "c", "threshold": 0.5}).encode()
    assert decode_card(older) == open_artifact(exported("three_classes")).card
