from __future__ import annotations

import hashlib
import os
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageEnhance

from mstl_edge.data.duplicates import fingerprint, near_duplicates
from mstl_edge.data.scan import scan_source
from mstl_edge.data.sources import open_source
from mstl_edge.recipe import PreprocessSpec


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 9)) + chunk(b"IEND", b"")


def test_each_file_gets_its_hash_size_and_mode(two_classes, draw):
    wide = draw(two_classes / "cat" / "rgba.png", 7, side=20, mode="RGBA")
    done: list[int] = []
    scan = scan_source(open_source(str(two_classes)), PreprocessSpec(), advance=done.append)
    facts = scan.facts["cat/rgba.png"]
    assert (facts.width, facts.height, facts.mode) == (20, 20, "RGBA")
    assert facts.sha256 == hashlib.sha256(wide.read_bytes()).hexdigest()
    assert len(scan.facts) == sum(done) == 25
    assert scan.unreadable == ()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("zero.png", b"", "0 bytes"),
        ("notes.txt", b"just words", "not an image"),
        ("huge.png", png_header(40_000, 40_000), "40000×40000 pixels, above the limit of 64,000,000"),
        ("damaged.png", png_header(40, 40), None),
    ],
)
def test_a_file_that_gives_no_image_is_listed_by_name_and_reason(two_classes, name, content, reason):
    (two_classes / "dog" / name).write_bytes(content)
    scan = scan_source(open_source(str(two_classes)), PreprocessSpec())
    assert [lost.name for lost in scan.unreadable] == [f"dog/{name}"]
    assert scan.unreadable[0].reason == reason or (reason is None and scan.unreadable[0].reason)
    assert len(scan.facts) == 24


def test_a_pipe_put_in_a_files_place_and_a_file_of_many_gigabytes_do_not_stop_the_scan(two_classes):
    source = open_source(str(two_classes))
    (two_classes / "cat" / "p00_0.png").unlink()
    os.mkfifo(two_classes / "cat" / "p00_0.png")
    os.truncate(two_classes / "dog" / "p06_0.png", 5 * 10**9)
    assert [(lost.name, lost.reason) for lost in scan_source(source, PreprocessSpec()).unreadable] == [
        ("cat/p00_0.png", "a named pipe, no file"),
        ("dog/p06_0.png", "5.0 GB, above the limit of 1 GB"),
    ]


def test_a_truncated_file_is_listed_by_name(two_classes):
    victim = two_classes / "dog" / "p06_0.png"
    victim.write_bytes(victim.read_bytes()[:-200])
    scan = scan_source(open_source(str(two_classes)), PreprocessSpec())
    assert [lost.name for lost in scan.unreadable] == ["dog/p06_0.png"]


def test_a_file_that_vanished_is_listed(two_classes):
    source = open_source(str(two_classes))
    (two_classes / "dog" / "p06_0.png").unlink()
    assert [lost.name for lost in scan_source(source, PreprocessSpec()).unreadable] == ["dog/p06_0.png"]


def test_reencoded_resized_and_brightened_copies_are_near_duplicates_and_other_pictures_are_not(tmp_path: Path, draw):
    paths = [draw(tmp_path / f"{seed}.png", seed, side=128) for seed in range(30)]
    pictures = [Image.open(path) for path in paths]
    first = pictures[0]
    first.save(tmp_path / "copy.jpg", quality=40)
    copies = [Image.open(tmp_path / "copy.jpg"), first.resize((64, 64)), ImageEnhance.Brightness(first).enhance(0.7)]
    pairs = near_duplicates([fingerprint(picture) for picture in [*pictures, *copies]])
    assert {(pair.first, pair.second) for pair in pairs} == {
        (first, second) for first in (0, 30, 31, 32) for second in (0, 30, 31, 32) if first < second
    }
    assert all(0.9 <= pair.similarity <= 1 for pair in pairs)


def test_flat_pictures_are_nobodys_duplicates():
    flat = [fingerprint(Image.new("L", (50, 50), level)) for level in (0, 0, 128, 255)]
    assert near_duplicates(flat) == ()


def test_no_pictures_have_no_duplicates():
    assert near_duplicates([]) == ()


def test_pairs_are_found_across_blocks(monkeypatch, tmp_path, draw):
    monkeypatch.setattr("mstl_edge.data.duplicates._BLOCK", 4)
    prints = [fingerprint(Image.open(draw(tmp_path / f"{seed}.png", seed))) for seed in range(10)]
    pairs = near_duplicates([*prints, prints[1], prints[9]])
    assert {(pair.first, pair.second) for pair in pairs} == {(1, 10), (9, 11)}
