"""PyTorch checkpoints: both kinds are read, nothing in them runs, and what is no state dictionary is one error."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import save_checkpoint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mstl_edge_models.convert.checkpoint import is_checkpoint, read_shapes, read_tensors
from mstl_edge_models.convert.inert_pickle import CheckpointError

RNG = np.random.default_rng(5)
TENSORS = {
    "conv.weight": RNG.normal(size=(4, 3, 2, 2)).astype(np.float32),
    "norm.bias": RNG.normal(size=4).astype(np.float32),
    "norm.num_batches_tracked": np.array(7),
}


@pytest.mark.parametrize("older", [False, True], ids=["zip", "before 1.6"])
@pytest.mark.parametrize("under", [None, "state_dict", "model"])
def test_tensors_come_back_by_name_with_their_values(tmp_path: Path, older: bool, under: str | None) -> None:
    path = save_checkpoint(tmp_path / "a.pth", TENSORS, older=older, under=under)
    assert is_checkpoint(path)
    read = read_tensors(path)
    assert list(read) == list(TENSORS)
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(read[name], array)
    assert read_shapes(path) == {name: array.shape for name, array in TENSORS.items()}


def zipped(path: Path, pickled: bytes, *, method: int = zipfile.ZIP_STORED, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("archive/data.pkl", pickled)
        for name, content in members.items():
            file.writestr(f"archive/data/{name}", content)
    return path


class Touching:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_pickle_that_would_run_something_runs_nothing_and_says_what_it_asked_for(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    path = zipped(tmp_path / "bad.pth", pickle.dumps({"a": Touching(touched)}, protocol=2))
    with pytest.raises(CheckpointError, match=r"which weights do not need"):
        read_tensors(path)
    assert not touched.exists()
    pickle.loads(pickle.dumps(Touching(touched)))
    assert touched.exists(), "executed, it would have"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"epoch": 3}, "no dictionary of tensors"),
        ([1, 2], "no dictionary of tensors"),
        (np.float64(1.0), "which weights do not need"),
    ],
)
def test_what_is_no_state_dictionary_is_refused(tmp_path: Path, told: Any, expected: str) -> None:
    with pytest.raises(CheckpointError, match=expected):
        read_tensors(zipped(tmp_path / "a.pth", pickle.dumps(told, protocol=2)))


def test_a_compressed_storage_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(save_checkpoint(tmp_path / "a.pth", TENSORS)) as file:
        pickled = file.read("archive/data.pkl")
    path = zipped(tmp_path / "bomb.pth", pickled, method=zipfile.ZIP_DEFLATED, **{"0": bytes(10_000_000)})
    with pytest.raises(CheckpointError, match="compressed"):
        read_tensors(path)


def test_a_zip_of_something_else_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as file:
        file.writestr("notes.txt", "nothing")
    with pytest.raises(CheckpointError, match=r"without a data\.pkl"):
        read_shapes(tmp_path / "a.pth")


def test_tensors_that_are_larger_than_what_is_stored_are_refused(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path / "a.pth", TENSORS)
    with zipfile.ZipFile(path) as file:
        pickled = file.read("archive/data.pkl")
    with pytest.raises(CheckpointError, match=r"conv\.weight"):
        read_tensors(zipped(tmp_path / "b.pth", pickled, **{"0": bytes(4), "1": bytes(16), "2": bytes(8)}))


@pytest.mark.parametrize("older", [False, True], ids=["zip", "before 1.6"])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_checkpoint_is_read_or_refused(tmp_path: Path, older: bool, data: st.DataObject) -> None:
    whole = bytearray(save_checkpoint(tmp_path / "whole.pth", TENSORS, older=older).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    damaged = tmp_path / "damaged.pth"
    damaged.write_bytes(whole[: data.draw(st.integers(0, len(whole)))] if data.draw(st.booleans()) else whole)
    try:
        if is_checkpoint(damaged):
            read_tensors(damaged)
    except CheckpointError:
        pass


def test_every_stored_kind_of_pickle_protocol_is_followed() -> None:
    from mstl_edge_models.convert.inert_pickle import Reading

    told = {"a": [1, 2.5, None, True, False, "text", 2**40], "b": (), "c": {"d": (1,)}, "e": [], "f": (1, 2, 3, 4)}
    for protocol in (2, 3, 4):
        assert Reading().value(io.BytesIO(pickle.dumps(told, protocol=protocol))) == told
