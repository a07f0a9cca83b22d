"""Suites that measure an empty cache leave the user's own alone."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from mstl_edge.storage import CACHE_VARIABLE, cache_folder

SUITE = Path(__file__).parents[2] / "benchmarks" / "suites" / "own_cache.py"


def test_a_suite_finds_an_empty_cache_and_leaves_the_users_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.spec_from_file_location("own_cache", SUITE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    kept = cache_folder("pixels") / "rows.bin"
    kept.write_bytes(b"computed")
    with module.own_cache() as folder:
        assert os.environ[CACHE_VARIABLE] == str(folder)
        assert not list(cache_folder("pixels").iterdir())
        (cache_folder("features") / "rows.bin").write_bytes(b"new")
    assert os.environ[CACHE_VARIABLE] == str(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [kept]
    assert kept.read_bytes() == b"computed"
