from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mstl_edge import storage
from mstl_edge.errors import MstlEdgeError
from mstl_edge.storage import RowStore, cache_folder, digest, replacing, write_bytes, write_text


def keys(*numbers: int) -> list[bytes]:
    return [digest(str(number)) for number in numbers]


def rows_of(numbers: Sequence[int]):
    """Return a `compute` whose row holds its key's number, and the list of what was computed."""
    computed: list[int] = []

    def compute(positions: Sequence[int]) -> Iterator[np.ndarray]:
        for position in positions:
            computed.append(numbers[position])
            yield np.full((2, 3), numbers[position], np.int32)

    return compute, computed


def filled(store: RowStore, *numbers: int) -> list[int]:
    compute, computed = rows_of(numbers)
    store.ensure(keys(*numbers), compute)
    return computed


CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EEXIST)
BROKEN = (errno.EIO, errno.EINVAL, errno.ENXIO, errno.ESTALE, errno.ENODEV, errno.EREMOTEIO, errno.ETIMEDOUT)


@pytest.fixture
def store(tmp_path: Path) -> RowStore:
    return RowStore(tmp_path / "rows", (2, 3), np.int32, reserve_bytes=0)


def test_a_file_is_replaced_whole(tmp_path):
    write_text(tmp_path / "new" / "a.txt", "grün")
    assert (tmp_path / "new" / "a.txt").read_text(encoding="utf-8") == "grün"
    write_bytes(tmp_path / "new" / "a.txt", b"second")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.txt"]


def test_a_failure_while_writing_leaves_the_old_file_and_no_litter(tmp_path):
    write_text(tmp_path / "a.txt", "old")

    def write_half() -> None:
        with replacing(tmp_path / "a.txt") as partial:
            partial.write_text("half")
            raise ValueError("midway")

    with pytest.raises(ValueError, match="midway"):
        write_half()
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "more space on the disk.*a.txt.*runs clean"),
        (errno.EDQUOT, "more space on the disk.*a.txt.*runs clean"),
        (errno.EFBIG, r"Received: .*a.txt \(File too large\).*ulimit -f"),
        *((number, r"can be written.*a.txt \(.*--out") for number in CLOSED),
        *((number, r"a disk that takes the whole file. Received: .*a.txt \(") for number in BROKEN),
    ],
)
def test_a_full_or_closed_disk_is_one_clear_line(tmp_path, monkeypatch, number, message):
    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(MstlEdgeError, match=message):
        write_text(tmp_path / "a.txt", "content")
    assert not list(tmp_path.iterdir())


def test_the_cache_follows_its_variable_then_xdg_then_home(tmp_path, monkeypatch):
    monkeypatch.setenv("MSTL_EDGE_CACHE", str(tmp_path / "named"))
    assert cache_folder("pixels", "x") == tmp_path / "named" / "pixels" / "x"
    assert cache_folder("pixels", "x").is_dir()
    monkeypatch.delenv("MSTL_EDGE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "mstl-edge"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "mstl-edge"


@given(st.lists(st.binary(max_size=5), max_size=4), st.lists(st.binary(max_size=5), max_size=4))
def test_digests_agree_only_for_equal_parts(first, second):
    assert (digest(*first) == digest(*second)) == (first == second)


def test_rows_are_computed_once_and_come_back_in_the_order_asked_for(store):
    assert filled(store, 5, 7, 5, 9) == [5, 7, 9]
    assert filled(store, 9, 11, 5) == [11]
    rows = store.rows(keys(11, 5, 11))
    assert rows.shape == (3, 2, 3)
    assert [int(row[0, 0]) for row in rows[:]] == [11, 5, 11]
    assert int(rows.select([1])[0][0, 0]) == 5


def test_a_row_that_was_never_computed_is_a_key_error(store):
    filled(store, 1)
    with pytest.raises(KeyError):
        store.rows(keys(2))


def test_an_empty_store_gives_no_rows(store):
    store.ensure([], rows_of([])[0])
    assert store.rows([]).shape == (0, 2, 3)


def test_rows_flushed_before_a_failure_are_kept(store):
    def compute(positions: Sequence[int]) -> Iterator[np.ndarray]:
        for position in positions:
            if position == 5:
                raise ValueError("midway")
            yield np.full((2, 3), position, np.int32)

    with pytest.raises(ValueError, match="midway"):
        store.ensure(keys(*range(8)), compute, block=2)
    assert filled(store, *range(8)) == [4, 5, 6, 7]
    assert [int(row[0, 0]) for row in store.rows(keys(*range(8)))[:]] == list(range(8))


@pytest.mark.parametrize("torn_bytes", [1, 23, 24, 30])
@pytest.mark.parametrize("name", ["rows.bin", "keys.bin"])
def test_a_torn_end_is_overwritten(store, name, torn_bytes):
    filled(store, 1, 2, 3)
    path = store.folder / name
    os.truncate(path, path.stat().st_size - torn_bytes)
    survivors = set(store.index())
    assert survivors < set(keys(1, 2, 3))
    filled(store, 1, 2, 3, 4)
    assert [int(row[1, 2]) for row in store.rows(keys(1, 2, 3, 4))[:]] == [1, 2, 3, 4]


def test_surplus_rows_without_keys_do_not_shift_later_ones(store):
    filled(store, 1)
    with (store.folder / "rows.bin").open("ab") as handle:
        handle.write(b"\x7f" * 40)
    filled(store, 2)
    assert [int(row[0, 0]) for row in store.rows(keys(1, 2))[:]] == [1, 2]


def test_rows_that_do_not_fit_on_the_disk_are_refused_before_anything_is_computed(tmp_path):
    greedy = RowStore(tmp_path / "rows", (2, 3), np.int32, reserve_bytes=1 << 60)
    compute, computed = rows_of([1])
    with pytest.raises(MstlEdgeError, match=r"MB on the disk of .*Received: .*MB free.*runs clean"):
        greedy.ensure(keys(1), compute)
    assert computed == []


def test_rows_beyond_the_limit_of_the_cache_are_refused_before_anything_is_computed(tmp_path, monkeypatch):
    monkeypatch.setenv("MSTL_EDGE_CACHE", str(tmp_path))
    monkeypatch.setenv("MSTL_EDGE_CACHE_GB", "5e-8")  # 50 bytes: two rows of 24
    store = RowStore(tmp_path / "rows", (2, 3), np.int32, reserve_bytes=0)
    compute, computed = rows_of([1, 2, 3])
    with pytest.raises(MstlEdgeError, match=r"within 5e-08 GB at .*Received: .*to add.*runs clean --cache.*float16"):
        store.ensure(keys(1, 2, 3), compute)
    assert computed == []
    monkeypatch.setenv("MSTL_EDGE_CACHE_GB", "1")
    store.ensure(keys(1, 2, 3), compute)
    assert len(computed) == 3


def test_a_file_that_another_process_removes_meanwhile_does_not_count_against_the_limit(tmp_path, monkeypatch):
    (tmp_path / "kept").write_bytes(b"x" * 30)
    monkeypatch.setattr("os.walk", lambda folder: [(str(folder), [], ["kept", "gone"])])
    monkeypatch.setenv("MSTL_EDGE_CACHE", str(tmp_path))
    monkeypatch.setenv("MSTL_EDGE_CACHE_GB", "5e-8")
    storage.check_cache_limit(20)
    with pytest.raises(MstlEdgeError, match="to add"):
        storage.check_cache_limit(21)


def test_a_limit_that_is_no_number_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setenv("MSTL_EDGE_CACHE_GB", "plenty")
    compute, _ = rows_of([1])
    with pytest.raises(MstlEdgeError, match=r"number of gigabytes in MSTL_EDGE_CACHE_GB.*Received: plenty"):
        RowStore(tmp_path / "rows", (2, 3), np.int32, reserve_bytes=0).ensure(keys(1), compute)


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from mstl_edge.storage import RowStore, digest

def compute(positions):
    for position in positions:
        if position == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        yield np.full((2, 3), position, np.int32)

RowStore(Path(sys.argv[1]), (2, 3), np.int32, reserve_bytes=0).ensure([digest(str(n)) for n in range(20)], compute, block=3)
"""


@pytest.mark.parametrize("kill_at", [0, 4, 19])
def test_a_killed_writer_leaves_whole_rows_and_an_open_lock(store, kill_at):
    killed = subprocess.run([sys.executable, "-c", KILLED, str(store.folder), str(kill_at)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(store.index()) == kill_at // 3 * 3
    filled(store, *range(20))
    assert [int(row[0, 0]) for row in store.rows(keys(*range(20)))[:]] == list(range(20))


@pytest.mark.parametrize("number", [errno.EIO, errno.EFBIG, errno.EINVAL, errno.EROFS, errno.ENOSPC])
def test_rows_that_the_disk_does_not_take_are_one_line_that_names_the_folder(store, monkeypatch, number):
    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(MstlEdgeError, match=f"{store.folder}"):
        filled(store, 1)


def test_a_cache_below_a_file_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MstlEdgeError, match="an output folder that can be written"):
        RowStore(tmp_path / "file" / "rows", (2, 3), np.int32)


def test_without_a_home_folder_the_variable_is_named(monkeypatch):
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("MSTL_EDGE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", staticmethod(nobody))
    with pytest.raises(MstlEdgeError, match=r"neither HOME nor an entry for this user\. Set MSTL_EDGE_CACHE"):
        cache_folder()
    monkeypatch.setenv("MSTL_EDGE_CACHE", "~nobody9/cache")
    with pytest.raises(MstlEdgeError, match="Received: ~nobody9/cache"):
        cache_folder()


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks, as NFS, CIFS and FUSE may be."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)


def test_rows_are_kept_where_the_file_system_has_no_locks(store, no_locks):
    assert filled(store, 1, 2) == [1, 2]
    assert filled(store, 2, 3) == [3]
    assert not (store.folder / "owner").exists()


def test_without_locks_a_second_process_is_refused_and_a_dead_one_is_replaced(store, no_locks):
    owner = store.folder / "owner"
    for alive in (f"{socket.gethostname()} {os.getpid()}", "another-host 1", ""):
        owner.write_text(alive)
        with pytest.raises(MstlEdgeError, match=r"one process at a time in it. Received: .*owner.*MSTL_EDGE_CACHE"):
            filled(store, 1)
        assert owner.read_text() == alive
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    owner.write_text(f"{socket.gethostname()} {dead.stdout.strip()}")
    assert filled(store, 1) == [1]
    assert [path.name for path in store.folder.iterdir() if "owner" in path.name] == []
