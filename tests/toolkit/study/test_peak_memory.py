"""The peak of memory since it was last forgotten."""

from __future__ import annotations

import numpy as np
import pytest

from mstl_edge.study import peak_memory


def test_what_was_held_and_let_go_counts_until_it_is_forgotten():
    peak_memory.forget_peak()
    before = peak_memory.peak_bytes()
    if before is None:
        pytest.skip("this system does not tell the peak of a process's memory")
    held = np.ones(20_000_000)
    del held
    assert peak_memory.peak_bytes() - before > 150_000_000
    peak_memory.forget_peak()
    assert peak_memory.peak_bytes() - before < 100_000_000


def test_a_system_that_tells_nothing_is_no_error(monkeypatch, tmp_path):
    monkeypatch.setattr(peak_memory, "_STATUS", tmp_path / "absent")
    monkeypatch.setattr(peak_memory, "_CLEAR", tmp_path)
    peak_memory.forget_peak()
    assert peak_memory.peak_bytes() is None
