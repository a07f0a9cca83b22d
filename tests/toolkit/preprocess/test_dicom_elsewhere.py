"""Compressed DICOM, decoded in processes beside this one."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from dicom_files import dicom_bytes

from mstl_edge.data.workers import in_order
from mstl_edge.preprocess import UnreadableImageError, load_image
from mstl_edge.preprocess.dicom import elsewhere, many_files
from mstl_edge.recipe import PreprocessSpec

SPEC = PreprocessSpec()


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[elsewhere._Pool]:
    """A pool of its own that starts at once, on two cores."""
    found = elsewhere._Pool()
    monkeypatch.setattr(elsewhere, "_POOL", found)
    monkeypatch.setattr(elsewhere, "FIRST_HERE", 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    yield found
    found.stop()


def pictures(count: int = 8) -> list[bytes]:
    draw = np.random.default_rng(0)
    return [
        dicom_bytes(draw.integers(0, 4000, (64, 80)).astype(np.uint16), ("rle", "jpeg2000")[number % 2], bits=12)
        for number in range(count)
    ]


def test_pictures_are_those_of_this_process_and_in_order(pool: elsewhere._Pool) -> None:
    files = pictures()
    here = [load_image(content, 32, SPEC) for content in files]
    assert pool._started == 0  # a single picture starts nothing
    there = list(in_order(lambda content: load_image(content, 32, SPEC), files))
    assert 1 <= pool._started <= 2
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_not_compressed_starts_nothing(pool: elsewhere._Pool) -> None:
    with many_files():
        load_image(dicom_bytes(np.zeros((8, 8), np.uint8)), 8, SPEC)
    assert pool._started == 0


def test_the_first_few_start_nothing(pool: elsewhere._Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "FIRST_HERE", 3)
    started = []
    with many_files():
        for content in pictures(5):
            load_image(content, 8, SPEC)
            started.append(pool._started)
    assert started == [0, 0, 0, 1, 1]


def test_a_damaged_file_says_what_it_would_say_here(pool: elsewhere._Pool) -> None:
    damaged = pictures(2)[1]
    place = damaged.index(b"\xff\x4f\xff\x51")
    damaged = damaged[: place + 60] + bytes(200) + damaged[place + 260 :]
    said = []
    for around in (nullcontext, many_files):
        with around(), pytest.raises(UnreadableImageError) as caught:
            load_image(damaged, 32, SPEC, name="scan.dcm")
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert "cannot be decoded (JPEG 2000" in said[0]
    with many_files():
        assert load_image(pictures(2)[1], 32, SPEC).shape == (32, 32, 3)


def test_a_decoder_that_crashes_costs_its_file_alone(pool: elsewhere._Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    files = pictures(3)
    whole = elsewhere._ask

    def crashing(worker: object, content: bytes, frame: int) -> object:
        if content is files[1]:
            os.kill(worker.pid, signal.SIGKILL)  # type: ignore[attr-defined]
        return whole(worker, content, frame)  # type: ignore[arg-type]

    monkeypatch.setattr(elsewhere, "_ask", crashing)
    with many_files():
        assert load_image(files[0], 32, SPEC).shape == (32, 32, 3)
        with pytest.raises(UnreadableImageError, match=r"cannot be decoded .*the decoder crashed"):
            load_image(files[1], 32, SPEC)
        np.testing.assert_array_equal(load_image(files[2], 32, SPEC), load_image(pictures(3)[2], 32, SPEC))
    assert pool._started == 1


def test_where_no_process_can_be_started_pictures_are_decoded_here(
    pool: elsewhere._Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> None:
        raise OSError("no memory")

    monkeypatch.setattr(elsewhere, "_start", refused)
    with many_files():
        assert load_image(pictures(1)[0], 32, SPEC).shape == (32, 32, 3)


def test_the_process_ends_with_its_input() -> None:
    told = io.BytesIO()
    asked = io.BytesIO(elsewhere._HEADER.pack(0, 4) + b"junk")
    elsewhere.serve(asked, told)
    ready, answer = told.getvalue()[: elsewhere._HEADER.size], told.getvalue()[elsewhere._HEADER.size :]
    assert elsewhere._HEADER.unpack(ready) == (elsewhere._GOOD, 0)
    kind, size = elsewhere._HEADER.unpack(answer[: elsewhere._HEADER.size])
    assert kind == elsewhere._BAD
    assert len(answer) == elsewhere._HEADER.size + size


def test_nothing_of_the_working_folder_is_run(
    pool: elsewhere._Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("open('ran', 'w').close()\nraise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path)
    with many_files():
        assert load_image(pictures(1)[0], 32, SPEC).shape == (32, 32, 3)
    assert pool._started == 1
    assert not (tmp_path / "ran").exists()


def test_a_process_that_does_not_begin_leaves_the_work_to_this_one(
    pool: elsewhere._Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", "pass"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    monkeypatch.setattr(elsewhere, "_start", broken)
    with many_files():
        for content in pictures(3):
            assert load_image(content, 32, SPEC).shape == (32, 32, 3)
    assert pool._started == 0


def test_a_picture_that_takes_far_too_long_is_given_up(pool: elsewhere._Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "LONGEST_S", 0.2)
    monkeypatch.setattr(elsewhere, "_ask", lambda worker, *_: (worker.wait(20), elsewhere._exactly(worker.stdout, 1)))
    with many_files(), pytest.raises(UnreadableImageError, match="the decoder crashed"):
        load_image(pictures(1)[0], 32, SPEC)
