"""PyTorch checkpoints (`.pth`), read without PyTorch and without executing pickle.

A checkpoint is raw tensors and a pickle that says what they are called: a zip since PyTorch 1.6, before that four pickles, one with
the names of the storages, and these one after the other. Many published weights are of the older kind.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge_models.convert.inert_pickle import CheckpointError, Reading, Stored

_WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Under which of its keys a checkpoint of a training holds the weights."""
_OLDER = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")
"""How a checkpoint of the older kind begins."""
_COUNT_BYTES = 8
"""In front of each storage of the older kind stands how many numbers it has."""
_DAMAGED = (zipfile.BadZipFile, KeyError, EOFError, RuntimeError, ValueError, OverflowError)
Shapes = dict[str, tuple[int, ...]]
Tensors = dict[str, NDArray[Any]]


def is_checkpoint(path: Path) -> bool:
    """Return whether a file is what PyTorch saves.

    Raises:
        OSError: It cannot be read.
    """
    if zipfile.is_zipfile(path):
        return True
    with path.open("rb") as file:
        return file.read(len(_OLDER)) == _OLDER


def read_shapes(path: Path) -> Shapes:
    """Return the shape of each tensor by its name, without reading any.

    Raises:
        CheckpointError: See `read_tensors`.
        OSError: The file cannot be read.
    """
    if not zipfile.is_zipfile(path):
        return {name: tensor.shape for name, tensor in _named_in_older(_in_memory(path)).items()}
    with _opened(path) as file:
        return {name: tensor.shape for name, tensor in _named_in_zip(file)[1].items()}


def read_tensors(path: Path) -> Tensors:
    """Return the tensors of a checkpoint by name; floats as float32.

    Raises:
        CheckpointError: It holds more than weights, is damaged, or of a kind that is not read here.
        OSError: The file cannot be read.
    """
    if not zipfile.is_zipfile(path):
        older = _in_memory(path)
        named = _named_in_older(older)
        return _tensors(named, _storages(older, named))
    with _opened(path) as file:
        root, named = _named_in_zip(file)
        raw = {key: _member(file, f"{root}data/{key}") for key in {stored.key for stored in named.values()}}
        return _tensors(named, raw)


def _in_memory(path: Path) -> io.BytesIO:
    """Return a file's content: a damaged length then reads what there is, where a file on disk would first make room for it."""
    return io.BytesIO(path.read_bytes())


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except _DAMAGED as error:
        raise CheckpointError(f"a damaged zip ({error})") from error


def _member(file: zipfile.ZipFile, name: str) -> bytes:
    """Return a file inside the zip; PyTorch compresses none, and a compressed one may be as large as it likes."""
    try:
        if file.getinfo(name).compress_type != zipfile.ZIP_STORED:
            raise CheckpointError(f"{name} is compressed, which PyTorch does not do")
        return file.read(name)
    except (*_DAMAGED, OSError) as error:  # a damaged offset leads in front of the file, which the system refuses
        raise CheckpointError(f"a damaged zip ({error})") from error


def _tensors(named: Mapping[str, Stored], raw: Mapping[str, bytes]) -> Tensors:
    return {name: _tensor(name, stored, raw[stored.key]) for name, stored in named.items()}


def _tensor(name: str, stored: Stored, raw: bytes) -> NDArray[Any]:
    values = np.frombuffer(raw, stored.kind, len(raw) // stored.kind.itemsize)
    numbers = (stored.offset, *stored.shape, *stored.strides)
    if not all(isinstance(number, int) and number >= 0 for number in numbers) or len(stored.shape) != len(
        stored.strides
    ):
        raise CheckpointError(f"{name}: no shape of a tensor")
    last = stored.offset + sum((side - 1) * stride for side, stride in zip(stored.shape, stored.strides, strict=True))
    count = math.prod(map(int, stored.shape))
    if count > len(values) or (count and last >= len(values)):
        raise CheckpointError(f"{name}: {stored.shape} of {len(values)} stored numbers")
    steps = tuple(stride * stored.kind.itemsize for stride in stored.strides)
    laid = np.lib.stride_tricks.as_strided(values[stored.offset :], stored.shape, steps, writeable=False)
    return np.array(laid, np.float32 if stored.kind.kind == "f" else stored.kind)


def _named_in_zip(file: zipfile.ZipFile) -> tuple[str, dict[str, Stored]]:
    """Return the folder inside the zip, and the tensors that its pickle names."""
    pickles = [name for name in file.namelist() if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise CheckpointError("a zip without a data.pkl, which PyTorch's checkpoints have")
    root = pickles[0].removesuffix("data.pkl")
    if f"{root}byteorder" in file.namelist() and _member(file, f"{root}byteorder").strip() != b"little":
        raise CheckpointError("the byte order of another machine")
    return root, _named(Reading().value(io.BytesIO(_member(file, pickles[0]))))


def _named_in_older(file: IO[bytes]) -> dict[str, Stored]:
    """Return the tensors that an older checkpoint names; the file then stands in front of its storages' names."""
    _, version, machine, told = (Reading().value(file) for _ in range(4))
    if version != 1001 or not isinstance(machine, Mapping) or machine.get("little_endian") is not True:
        raise CheckpointError("a checkpoint of another version, or of the byte order of another machine")
    return _named(told)


def _storages(file: io.BytesIO, named: Mapping[str, Stored]) -> dict[str, bytes]:
    """Return the raw bytes of each storage, by its name."""
    kinds = {stored.key: stored.kind for stored in named.values()}
    raw = {}
    for key in map(str, Reading().value(file)):
        count = int.from_bytes(file.read(_COUNT_BYTES), "little", signed=True)
        if key not in kinds or count < 0:
            raise CheckpointError(f"a storage {key} that no tensor is of")
        size = count * kinds[key].itemsize
        if size > file.getbuffer().nbytes - file.tell():
            raise CheckpointError("fewer bytes than its tensors have")
        raw[key] = file.read(size)
    if missing := sorted(kinds.keys() - raw.keys()):
        raise CheckpointError(f"no storage {missing[0]}")
    return raw


def _named(told: Any) -> dict[str, Stored]:
    for key in _WRAPPERS:
        if isinstance(told, Mapping) and isinstance(told.get(key), Mapping):
            told = told[key]
    if not isinstance(told, Mapping) or not any(isinstance(one, Stored) for one in told.values()):
        raise CheckpointError("no dictionary of tensors")
    return {str(name): one for name, one in told.items() if isinstance(one, Stored)}
