"""First weights of a backbone: Keras' ImageNet files, the bundled one, any `no_top` file, or none."""

from __future__ import annotations

import hashlib
import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from mstl_edge.errors import WeightsError
from mstl_edge.planning.weights_at_hand import FirstWeights, first_weights, network_of, not_downloaded
from mstl_edge.recipe import BackboneSpec
from mstl_edge.training._keras import keras
from mstl_edge.training.network.classifier import build_backbone

_LOCKING = "HDF5_USE_FILE_LOCKING"


def loaded_backbone(spec: BackboneSpec, seed: int) -> Any:
    """Return a backbone, as a Keras model, with the weights that `spec.weights` says.

    Args:
        spec: Names the weights: `imagenet`, `bundled`, `none` or a file.
        seed: For `none`, which draws random weights.

    Raises:
        WeightsError: The file is missing, cannot be downloaded, or belongs to another network.
    """
    backbone = build_backbone(spec)
    if spec.weights == "none":
        _draw(backbone, seed)
        return backbone
    source = _weights_file(spec)
    try:
        _load(source, backbone, spec)
    except (ValueError, OSError, KeyError) as error:
        if "lock" in str(error):
            raise WeightsError(
                f"a weights file that HDF5 can lock, or {_LOCKING}=FALSE in the environment",
                received=f"{source} ({str(error).splitlines()[0][:160]})",
                hint=f"Set {_LOCKING}=FALSE: the file is only read.",
            ) from error
        raise _refused(spec, source, str(error).splitlines()[0][:160]) from error
    return backbone


def _load(source: Path, backbone: Any, spec: BackboneSpec) -> None:
    """Give a network the weights of a file, held against it tensor by tensor.

    Layers are found by their names where the file has the same ones, else by their order, as Keras does. Keras checks a
    `.weights.h5`, its newer kind, itself.

    Raises:
        WeightsError: It is another network's: the first tensor that does not fit is named.
        OSError: It is no HDF5 file.
        KeyError: It is no Keras weights file.
        ValueError: Keras refuses it.
    """
    layers = {layer.name: layer for layer in backbone.layers if layer.weights}
    held = _held(source)
    if held is None:
        backbone.load_weights(str(source))
        return
    order = list(layers) if layers.keys() == held.keys() else list(held)
    _check_fits(
        spec,
        source,
        [(v.name.split(":")[0], tuple(v.shape)) for layer in layers.values() for v in layer.weights],
        [(one.split(":")[0], array.shape) for name in order for one, array in held[name].items()],
    )
    for layer, name in zip(layers.values(), order, strict=True):
        layer.set_weights(list(held[name].values()))


def _held(source: Path) -> dict[str, dict[str, NDArray[Any]]] | None:
    """Return the tensors of a file by layer, of those that have any; None of a `.weights.h5`."""
    with h5py.File(source, "r") as file:
        if "layer_names" not in file.attrs:
            return None
        groups = {_text(name): file[_text(name)] for name in file.attrs["layer_names"]}
        return {
            name: {_text(one): np.asarray(group[_text(one)]) for one in group.attrs["weight_names"]}
            for name, group in groups.items()
            if len(group.attrs["weight_names"])
        }


Tensor = tuple[str, tuple[int, ...]]


def _check_fits(spec: BackboneSpec, source: Path, wanted: list[Tensor], held: list[Tensor]) -> None:
    apart = [(want, has) for want, has in zip(wanted, held, strict=False) if want[1] != has[1]]
    if apart:
        (name, shape), (other, its) = apart[0]
        count = f"; {len(apart)} of {len(wanted)} tensors do not fit" if len(apart) > 1 else ""
        raise _refused(spec, source, f"{other} {its}{count}", f" ({name} {shape})")
    if len(wanted) != len(held):
        raise _refused(spec, source, f"{len(held)} tensors", f" ({len(wanted)} tensors)")


def _refused(spec: BackboneSpec, source: Path, received: str, expected: str = "") -> WeightsError:
    return WeightsError(
        f"weights of {spec.name}:{spec.variant} without a head{expected}",
        received=f"{source.name} ({received})",
        hint=f"Name the file's own network: --backbone {_own(spec, source) or 'NAME:VARIANT'}; or another file: --weights FILE",
    )


def _own(spec: BackboneSpec, source: Path) -> str:
    """Return the network that a file says it is of; empty where it cannot tell, or says what it was taken for."""
    with suppress(WeightsError):
        name, variant = network_of(source) or (spec.name, spec.variant)
        return f"{name}:{variant}" if (name, variant) != (spec.name, spec.variant) else ""
    return ""


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _weights_file(spec: BackboneSpec) -> Path:
    """Return the file of first weights, Keras' own downloaded into Keras' cache when it is not there yet.

    Raises:
        WeightsError: It cannot be downloaded, or is not the file that was published.
    """
    found = first_weights(spec)
    path = found.path or _downloaded(found)
    kind, _, digest = found.digest.partition(":")
    if digest and hashlib.new(kind, path.read_bytes(), usedforsecurity=False).hexdigest() != digest:
        raise WeightsError(
            f"{found.name} as it was published ({kind} {digest[:12]}…)",
            received=f"{path}, which has another content",
            hint="Delete it, and it is downloaded again.",
        )
    return path


def _downloaded(found: FirstWeights) -> Path:
    try:
        return Path(keras.utils.get_file(found.name, found.url, cache_subdir="models"))
    except Exception as error:
        if not _is_download_failure(error):
            raise
        raise not_downloaded(found.name, str(error).splitlines()[0][:120]) from error


def _is_download_failure(error: BaseException) -> bool:
    # Keras wraps every network failure into a bare Exception that names the address.
    return isinstance(error, OSError) or "URL fetch failure" in str(error)


def _draw(backbone: Any, seed: int) -> None:
    """Draw He-normal kernels (He et al. 2015) in the order of the layers, so that one seed gives one network.

    BatchNorm of a fresh network passes its input on, so the kernels themselves must keep the signal's size.
    """
    rng = np.random.default_rng(seed)
    for layer in backbone.layers:
        layer.set_weights([_drawn(variable, rng) for variable in layer.weights])


def _drawn(variable: Any, rng: np.random.Generator) -> NDArray[np.float32]:
    if "kernel" not in variable.name:
        return np.asarray(variable.numpy())
    shape = tuple(variable.shape)
    inputs = math.prod(shape[:2] if "depthwise" in variable.name else shape[:-1])
    return rng.normal(0.0, math.sqrt(2.0 / inputs), shape).astype(np.float32)
