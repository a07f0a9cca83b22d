"""Checkpoints as PyTorch saves them, written without PyTorch: the pickle names its functions, which are stood in for here."""

from __future__ import annotations

import io
import pickle
import sys
import types
import zipfile
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001


def _rebuild_tensor_v2(*arguments: Any) -> None:
    """Stand in for torch._utils._rebuild_tensor_v2."""


_rebuild_tensor_v2.__module__ = "torch._utils"


class FloatStorage:
    """Stands in for torch.FloatStorage."""


FloatStorage.__module__ = "torch"


class LongStorage:
    """Stands in for torch.LongStorage."""


LongStorage.__module__ = "torch"


class _Storage:
    def __init__(self, key: str, array: NDArray[Any]) -> None:
        self.key, self.array = key, array


class _Tensor:
    def __init__(self, storage: _Storage, shape: tuple[int, ...]) -> None:
        self.storage, self.shape = storage, shape

    def __reduce__(self) -> Any:
        strides = tuple(int(np.prod(self.shape[axis + 1 :])) for axis in range(len(self.shape)))
        return _rebuild_tensor_v2, (self.storage, 0, self.shape, strides, False, {})


class _Pickler(pickle.Pickler):
    older = False

    def persistent_id(self, one: Any) -> Any:
        if not isinstance(one, _Storage):
            return None
        kind = FloatStorage if one.array.dtype == np.float32 else LongStorage
        told = ("storage", kind, one.key, "cpu", one.array.size)
        return (*told, None) if self.older else told


@contextmanager
def _as_torch() -> Any:
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    torch.FloatStorage, torch.LongStorage = FloatStorage, LongStorage  # type: ignore[attr-defined]
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    before = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules |= {"torch": torch, "torch._utils": utils}
    try:
        yield
    finally:
        for name, module in before.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module


def save_checkpoint(
    path: Path, tensors: Mapping[str, NDArray[Any]], *, older: bool = False, under: str | None = None
) -> Path:
    """Write tensors as torch.save writes a state dictionary; `older` as it did before 1.6, `under` a key of a training's."""
    storages = {
        name: _Storage(str(number), np.ascontiguousarray(array)) for number, (name, array) in enumerate(tensors.items())
    }
    state: Any = {name: _Tensor(storage, tensors[name].shape) for name, storage in storages.items()}
    told = state if under is None else {"epoch": 3, under: state, "loss": 0.5}
    buffer = io.BytesIO()
    with _as_torch():
        pickler = _Pickler(buffer, protocol=2)
        pickler.older = older
        pickler.dump(told)
    if older:
        machine = {"protocol_version": _VERSION, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
        with path.open("wb") as file:
            for one in (_MAGIC, _VERSION, machine):
                pickle.dump(one, file, protocol=2)
            file.write(buffer.getvalue())
            pickle.dump([storage.key for storage in storages.values()], file, protocol=2)
            for storage in storages.values():
                file.write(storage.array.size.to_bytes(8, "little") + storage.array.tobytes())
        return path
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", buffer.getvalue())
        file.writestr("archive/byteorder", "little")
        for storage in storages.values():
            file.writestr(f"archive/data/{storage.key}", storage.array.tobytes())
    return path
