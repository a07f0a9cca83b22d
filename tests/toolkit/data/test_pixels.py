from __future__ import annotations

import dataclasses
import hashlib
import threading

import numpy as np
import pytest

from mstl_edge.data import pixels as pixels_module
from mstl_edge.data.pixels import load_pixels
from mstl_edge.data.scan import scan_source
from mstl_edge.data.sources import open_source
from mstl_edge.data.splits import split_source
from mstl_edge.data.workers import in_order
from mstl_edge.errors import DataError
from mstl_edge.preprocess import load_image
from mstl_edge.recipe import PreprocessSpec, SplitSpec

SPEC = PreprocessSpec()


@pytest.fixture
def dealt(two_classes):
    source = open_source(str(two_classes))
    return source, split_source(source, scan_source(source, SPEC), SplitSpec(), seed=0)


def test_rows_hold_what_load_image_gives_in_the_order_asked_for(dealt):
    source, manifest = dealt
    rows = manifest.rows[::-1]
    done: list[int] = []
    stored = load_pixels(source.folder, rows, 32, SPEC, advance=done.append)
    assert stored.shape == (24, 32, 32, 3)
    assert sum(done) == 24
    for position, row in enumerate(rows):
        np.testing.assert_array_equal(stored[position], load_image(source.folder / row.name, 32, SPEC))


def test_the_second_call_decodes_nothing(dealt, monkeypatch):
    source, manifest = dealt
    first = load_pixels(source.folder, manifest.rows, 32, SPEC)[:]

    def refuse(*_: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(pixels_module, "load_image", refuse)
    done: list[int] = []
    np.testing.assert_array_equal(load_pixels(source.folder, manifest.rows, 32, SPEC, advance=done.append)[:], first)
    assert sum(done) == 24


def test_another_size_or_preprocessing_is_another_store(dealt):
    source, manifest = dealt
    assert load_pixels(source.folder, manifest.rows, 32, SPEC).shape[1] == 32
    assert load_pixels(source.folder, manifest.rows, 40, SPEC).shape[1] == 40
    nearest = load_pixels(source.folder, manifest.rows, 32, PreprocessSpec(resize="box"))[:]
    assert (nearest != load_pixels(source.folder, manifest.rows, 32, SPEC)[:]).any()


def test_a_file_that_changed_since_the_split_is_an_error_and_spoils_no_cache(dealt, draw):
    source, manifest = dealt
    row = manifest.rows[3]
    kept = (source.folder / row.name).read_bytes()
    draw(source.folder / row.name, 999)
    with pytest.raises(DataError, match=f"Received: {row.name} with other content"):
        load_pixels(source.folder, manifest.rows, 32, SPEC)
    (source.folder / row.name).write_bytes(kept)
    stored = load_pixels(source.folder, manifest.rows, 32, SPEC)
    np.testing.assert_array_equal(stored[3], load_image(kept, 32, SPEC))


def test_a_file_that_is_gone_is_an_error(dealt):
    source, manifest = dealt
    (source.folder / manifest.rows[0].name).unlink()
    with pytest.raises(DataError, match="can be read"):
        load_pixels(source.folder, manifest.rows, 32, SPEC)


def test_a_file_that_gives_no_image_is_named(dealt):
    source, manifest = dealt
    row = manifest.rows[5]
    content = (source.folder / row.name).read_bytes()[:-200]
    (source.folder / row.name).write_bytes(content)
    changed = dataclasses.replace(row, sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(DataError, match=rf"whole. Received: {row.name} \("):
        load_pixels(source.folder, [changed], 32, SPEC)


def test_no_rows_give_no_pixels(tmp_path):
    assert load_pixels(tmp_path, [], 32, SPEC).shape == (0, 32, 32, 3)


def test_results_keep_the_order_and_workers_do_not_run_far_ahead_of_a_slow_consumer(monkeypatch):
    monkeypatch.setattr("mstl_edge.data.workers.usable_cores", lambda: 2)
    started: list[int] = []
    lock = threading.Lock()

    def work(item: int) -> int:
        with lock:
            started.append(item)
        return item * item

    results = in_order(work, range(100))
    assert next(results) == 0
    assert len(started) <= 32
    assert list(results) == [item * item for item in range(1, 100)]
