from __future__ import annotations

import io
import json
import random
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mstl_edge.artifact import open_artifact, read_artifact
from mstl_edge.artifact.archive import split_entries, zip_tail
from mstl_edge.artifact.tflite_graph import parse_graph
from mstl_edge.errors import ArtifactError

MODELS = Path(__file__).parents[2] / "data" / "models"
FLATBUFFERS = [path.read_bytes() for path in sorted(MODELS.glob("*.tflite"))]


@contextmanager
def one_clear_line() -> Iterator[None]:
    with pytest.raises(ArtifactError) as caught:
        yield
    message = str(caught.value)
    assert message.startswith("expected ")
    assert "Received: " in message
    assert "\n" not in message


def test_a_missing_file_and_a_folder_are_one_clear_line(tmp_path: Path) -> None:
    with one_clear_line():
        open_artifact(tmp_path / "nothing.tflite")
    with one_clear_line():
        open_artifact(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"TFL3", b"\0" * 4096, b"not a model " * 99, random.Random(1).randbytes(9000)]
)
def test_an_empty_or_random_file_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.tflite").write_bytes(content)
    with one_clear_line():
        open_artifact(tmp_path / "m.tflite")


def test_a_truncated_file_is_one_clear_line_wherever_it_ends(exported: Callable[[str], Path]) -> None:
    content = exported("tiny_int8").read_bytes()
    for length in range(0, len(content), 97):
        with one_clear_line():
            read_artifact(content[:length])


def test_every_flipped_bit_of_an_exported_file_is_noticed(exported: Callable[[str], Path]) -> None:
    content = exported("tiny_int8").read_bytes()
    draw = random.Random(2)
    for place in range(0, len(content), 5):
        damaged = bytearray(content)
        damaged[place] ^= 1 << draw.randrange(8)
        with one_clear_line():
            read_artifact(bytes(damaged))


def test_every_bit_of_the_last_entry_and_of_the_end_of_a_zip_is_noticed(exported: Callable[[str], Path]) -> None:
    content = exported("tiny_int8").read_bytes()
    for place in range(content.rindex(b"PK\x01\x02"), len(content)):
        for bit in range(8):
            damaged = bytearray(content)
            damaged[place] ^= 1 << bit
            with one_clear_line():
                read_artifact(bytes(damaged))


def test_bytes_behind_the_file_are_noticed(exported: Callable[[str], Path]) -> None:
    with one_clear_line():
        read_artifact(exported("tiny_int8").read_bytes() + b"more")


def _split(exported: Path) -> tuple[bytes, dict[str, bytes]]:
    content = exported.read_bytes()
    length, entries = split_entries(content)
    return content[:length], entries


def _joined(flatbuffer: bytes, entries: dict[str, bytes]) -> bytes:
    return flatbuffer + zip_tail(len(flatbuffer), entries)


def _with_card(change: Callable[[dict[str, Any]], None], exported: Path) -> bytes:
    flatbuffer, entries = _split(exported)
    tree = json.loads(entries["card.json"])
    change(tree)
    return _joined(flatbuffer, entries | {"card.json": json.dumps(tree).encode()})


def _set(*path: str, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(tree: dict[str, Any]) -> None:
        *parents, leaf = path
        for parent in parents:
            tree = tree[parent]
        tree[leaf] = to

    return change


def _drop(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda tree: tree.pop(key)


@pytest.mark.parametrize(
    "change",
    [
        *(_drop(key) for key in ("name", "recipe", "labels", "positive", "input", "scheme", "hashes")),
        _set("schema", to="mstl-edge/card/9"),
        _set("labels", to=["normal", "normal"]),
        _set("labels", to=["normal", "hemorrhage", "third"]),
        _set("labels", to=["hemorrhage", "normal"]),
        _set("labels", to=["nor\nmal", "hemorrhage"]),
        _set("labels", to=[]),
        _set("labels", to="normal"),
        _set("positive", to="fracture"),
        _set("threshold", to=0),
        _set("threshold", to=1.5),
        _set("threshold", to="half"),
        _set("threshold", to=None),
        _set("temperature", to=-1),
        _set("input", "height", to=64),
        _set("input", "dtype", to="float32"),
        _set("input", "scale", to=1 / 255),
        _set("input", "zero_point", to=-128),
        _set("input", "normalization", to="p / 255"),
        _set("input", "preprocess", to={"resize": "magic"}),
        _set("hashes", "flatbuffer", to="0" * 64),
        _set("golden", to=[{"file": "golden/9.png", "outputs": [1, 2]}]),
        _set("golden", to=[{"file": "golden/0.png", "outputs": [1, 2, 3]}]),
        _set("golden", to=[{"file": "golden/0.png", "outputs": ["a", "b"]}]),
        _set("golden", to=[{"file": "golden/0.png", "outputs": [1, 2], "answers": {"litert": [1]}}]),
        _set("golden", to=[{"file": "labels.txt", "outputs": [1, 2]}]),
        _set("golden", to=7),
    ],
)
def test_a_card_with_missing_or_wrong_fields_is_one_clear_line(change: Any, exported: Callable[[str], Path]) -> None:
    content = _with_card(change, exported("tiny_int8"))
    with one_clear_line():
        read_artifact(content)


@pytest.mark.parametrize("card", [b"", b"null", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"schema": 1}'])
def test_a_card_that_is_no_card_is_one_clear_line(card: bytes, exported: Callable[[str], Path]) -> None:
    flatbuffer, entries = _split(exported("tiny_int8"))
    with one_clear_line():
        read_artifact(_joined(flatbuffer, entries | {"card.json": card}))


def _zipped(build: Callable[[zipfile.ZipFile], None]) -> bytes:
    target = io.BytesIO(FLATBUFFERS[-1])
    target.seek(0, io.SEEK_END)
    with warnings.catch_warnings(), zipfile.ZipFile(target, "a") as archive:
        warnings.simplefilter("ignore")  # zipfile warns of a name that is there twice, which is what is wanted
        build(archive)
    return target.getvalue()


@pytest.mark.parametrize(
    "name", ["../card.json", "/etc/passwd", "golden/../../x.png", "C:\\x", "a\\..\\b", "a/", "a//b", "~/x"]
)
def test_an_entry_that_names_a_path_outside_is_refused(name: str) -> None:
    with one_clear_line():
        read_artifact(_zipped(lambda archive: archive.writestr(name, b"x")))


def test_an_entry_that_expands_without_end_is_refused() -> None:
    def bomb(archive: zipfile.ZipFile) -> None:
        archive.writestr("card.json", b"\0" * 50_000_000, zipfile.ZIP_DEFLATED)

    with one_clear_line():
        read_artifact(_zipped(bomb))


def test_too_many_entries_and_equal_names_are_refused() -> None:
    with one_clear_line():
        read_artifact(_zipped(lambda archive: [archive.writestr(f"{n}", b"") for n in range(99)]))
    with one_clear_line():
        read_artifact(_zipped(lambda archive: [archive.writestr("card.json", b"{}") for _ in range(2)]))


@pytest.mark.parametrize("field", [20, 24, 42])
@pytest.mark.parametrize("value", [0, 1, 99, 2**24, 2**31, 2**32 - 2])
def test_a_directory_that_lies_about_sizes_or_places_is_refused(
    field: int, value: int, exported: Callable[[str], Path]
) -> None:
    content = bytearray(exported("tiny_int8").read_bytes())
    entry = content.rindex(b"PK\x01\x02", 0, content.rindex(b"golden/1.png"))
    struct.pack_into("<I", content, entry + field, value)
    with one_clear_line():
        read_artifact(bytes(content))


def test_two_entries_over_the_same_bytes_are_refused(exported: Callable[[str], Path]) -> None:
    content = bytearray(exported("tiny_int8").read_bytes())
    places = [content.index(b"PK\x01\x02", 0)]
    while (following := content.find(b"PK\x01\x02", places[-1] + 1)) > 0:
        places.append(following)
    content[places[3] + 42 : places[3] + 46] = content[places[2] + 42 : places[2] + 46]
    with one_clear_line():
        read_artifact(bytes(content))


def _accepts_or_explains(content: bytes) -> None:
    """Nothing but `ArtifactError` may come out of the reader."""
    with suppress(ArtifactError):
        read_artifact(content)


FUZZ = settings(
    max_examples=1500, deadline=2000, suppress_health_check=list(HealthCheck), database=None, derandomize=True
)


@FUZZ
@given(
    st.sampled_from(FLATBUFFERS),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=8),
    st.integers(0, 6000),
)
def test_thousands_of_changed_bytes_bring_no_traceback(
    content: bytes, changes: list[tuple[int, int]], end: int
) -> None:
    changed = bytearray(content)
    for place, value in changes:
        changed[place % len(changed)] = value
    _accepts_or_explains(bytes(changed[: max(end, 8)]))


@FUZZ
@given(
    st.sampled_from(FLATBUFFERS),
    st.lists(
        st.tuples(st.integers(0, 1250), st.integers(-4, 4) | st.integers(-(2**31), 2**31 - 1)), min_size=1, max_size=3
    ),
)
def test_thousands_of_changed_offsets_bring_no_traceback(content: bytes, changes: list[tuple[int, int]]) -> None:
    changed = bytearray(content)
    for place, value in changes:
        at = place % (len(changed) // 4) * 4
        near = struct.unpack_from("<i", changed, at)[0] + value if abs(value) <= 4 else value
        struct.pack_into("<I", changed, at, near & 0xFFFFFFFF)
    _accepts_or_explains(bytes(changed))


@FUZZ
@given(
    changes=st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 255)), min_size=1, max_size=6),
    end=st.integers(0, 9000),
)
def test_thousands_of_changed_zip_tails_bring_no_traceback(
    exported: Callable[[str], Path], changes: list[tuple[int, int]], end: int
) -> None:
    content = exported("tiny_int8").read_bytes()
    tail, _ = split_entries(content)
    changed = bytearray(content)
    for place, value in changes:
        changed[tail + place % (len(changed) - tail)] = value
    _accepts_or_explains(bytes(changed))
    _accepts_or_explains(bytes(changed[: tail + end]))


@settings(FUZZ, max_examples=500)
@given(card=st.binary(max_size=300) | st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5).map(
    lambda tree: json.dumps(tree).encode()
))  # fmt: skip
def test_hundreds_of_random_cards_bring_no_traceback(exported: Callable[[str], Path], card: bytes) -> None:
    flatbuffer, entries = _split(exported("tiny_int8"))
    _accepts_or_explains(_joined(flatbuffer, entries | {"card.json": card}))


def test_a_vector_of_a_million_equal_tables_does_not_hang() -> None:
    # A root table whose operator codes (field 1) are a vector of offsets that all lead to one table.
    count = 1_000_000
    vtable = struct.pack("<6H", 12, 16, 4, 8, 0, 0)
    head = struct.pack("<I", 8 + len(vtable)) + b"TFL3" + vtable
    root = struct.pack("<iII I", len(vtable), 3, 8, 0)
    start = len(head) + len(root) + 4
    target = start + 4 * count + 4
    offsets = b"".join(struct.pack("<I", target - (start + 4 * number)) for number in range(count))
    shared = struct.pack("<HHi", 4, 4, 4)
    content = head + root + struct.pack("<I", count) + offsets + shared
    with pytest.raises(ArtifactError, match="more than 200,000 tables"):
        parse_graph(content)
