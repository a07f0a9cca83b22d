"""What a file of weights holds: its tensors by name, and the network that they are of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mstl_edge.errors import MissingExtraError, WeightsError
from mstl_edge.installing import install_extra
from mstl_edge_models import backbones
from mstl_edge_models.convert import layout_of
from mstl_edge_models.convert.checkpoint import is_checkpoint, read_shapes, read_tensors
from mstl_edge_models.convert.inert_pickle import CheckpointError

Held = TypeVar("Held")
_LOCKING = "HDF5_USE_FILE_LOCKING"


def shapes_of(path: Path) -> Mapping[str, tuple[int, ...]]:
    """Return the shape of each tensor of a weights file by its name; of a Keras file that is `LAYER/WEIGHT`.

    Raises:
        WeightsError: It is neither a Keras file in HDF5 nor a checkpoint of PyTorch.
        MissingExtraError: Nothing here reads HDF5.
    """
    return _read(path, read_shapes, lambda dataset: tuple(dataset.shape))


def tensors_of(path: Path) -> Mapping[str, NDArray[Any]]:
    """Return the tensors of a weights file by name.

    Raises:
        WeightsError: As of `shapes_of`.
        MissingExtraError: As of `shapes_of`.
    """
    return _read(path, read_tensors, lambda dataset: np.asarray(dataset))


def network_of(path: Path) -> tuple[str, str] | None:
    """Return name and variant of the network that a weights file is of; None of one unknown here.

    A layout of others is known by its tensors' names and shapes, a Keras file by how many numbers it holds.

    Raises:
        WeightsError: As of `shapes_of`.
        MissingExtraError: As of `shapes_of`.
    """
    shapes = shapes_of(path)
    found = layout_of(shapes)
    if found is not None:
        return found[0].backbone, found[1]
    numbers = sum(math.prod(shape) for shape in shapes.values())
    every = ((one, variant) for one in backbones.REGISTRY.values() for variant in one.variants)
    return next(((one.name, variant) for one, variant in every if one.parameters(variant) == numbers), None)


def _read(
    path: Path, of_checkpoint: Callable[[Path], dict[str, Held]], of_dataset: Callable[[Any], Held]
) -> dict[str, Held]:
    try:
        return of_checkpoint(path) if is_checkpoint(path) else _hdf5(path, of_dataset)
    except CheckpointError as error:
        raise WeightsError(
            "a checkpoint that holds weights alone (torch.save(model.state_dict(), FILE))",
            received=f"{path.name} ({error})",
        ) from error
    except (OSError, KeyError) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError | KeyError) -> WeightsError:
    """Return the error for a file that HDF5 or the file system does not read."""
    reason = str(error).splitlines()[0][:160]
    if "lock" in reason:
        return WeightsError(
            f"a weights file that HDF5 can lock, or {_LOCKING}=FALSE in the environment",
            received=f"{path} ({reason})",
            hint=f"Set {_LOCKING}=FALSE: the file is only read.",
        )
    return WeightsError(
        "a Keras weights file (.h5, no_top), or a checkpoint of PyTorch (.pth)", received=f"{path.name} ({reason})"
    )


def _hdf5(path: Path, of_dataset: Callable[[Any], Held]) -> dict[str, Held]:
    try:
        import h5py  # a training-side package
    except ImportError as error:
        raise MissingExtraError("h5py to read weights", hint=f"Install it with: {install_extra('train')}") from error
    found: dict[str, Held] = {}
    with h5py.File(path, "r", locking=False) as file:
        if "layer_names" not in file.attrs:  # a `.weights.h5`, Keras' newer kind
            file.visititems(
                lambda name, held: found.update({name: of_dataset(held)}) if isinstance(held, h5py.Dataset) else None
            )
            return found
        for layer in map(_text, file.attrs["layer_names"]):
            for name in map(_text, file[layer].attrs["weight_names"]):
                found[f"{layer}/{name.rpartition('/')[2].partition(':')[0]}"] = of_dataset(file[layer][name])
    return found


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
