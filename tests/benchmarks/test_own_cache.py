"""Experiments that measure an empty cache leave the user's own alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mstl_edge.storage import CACHE_VARIABLE, cache_folder


def test_an_experiment_finds_an_empty_cache_and_leaves_the_users_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from experiments.own_cache import own_cache

    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    kept = cache_folder("pixels") / "rows.bin"
    kept.write_bytes(b"computed")
    with own_cache() as folder:
        assert os.environ[CACHE_VARIABLE] == str(folder)
        assert not list(cache_folder("pixels").iterdir())
        (cache_folder("features") / "rows.bin").write_bytes(b"new")
    assert os.environ[CACHE_VARIABLE] == str(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [kept]
    assert kept.read_bytes() == b"computed"
