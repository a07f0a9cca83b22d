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
from mstl_edge.planning.weights_at_hand import FirstWeights, first_weights, not_downloaded, variant_of
from mstl_edge.recipe import BackboneSpec
from mstl_edge.training._keras import keras
from mstl_edge.training.network.classifier import build_backbone
from mstl_edge_models import backbones

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
        _check_fits(source, backbone, spec)
        backbone.load_weights(str(source))
    except (ValueError, OSError, KeyError) as error:
        if "lock" in str(error):
            raise WeightsError(
                f"a weights file that HDF5 can lock, or {_LOCKING}=FALSE in the environment",
                received=f"{source} ({str(error).splitlines()[0][:160]})",
                hint=f"Set {_LOCKING}=FALSE: the file is only read.",
            ) from error
        raise _refused(spec, source, str(error).splitlines()[0][:160]) from error
    return backbone


def _check_fits(source: Path, backbone: Any, spec: BackboneSpec) -> None:
    """Hold a weights file against the network that it is for, tensor by tensor, in the order in which Keras reads both.

    Keras checks a `.weights.h5`, its newer kind, itself: it has no order.

    Raises:
        WeightsError: It is another network's: the first tensor that does not fit is named.
        OSError: It is no HDF5 file.
        KeyError: It is no Keras weights file.
    """
    wanted = [(v.name.split(":")[0], tuple(v.shape)) for layer in backbone.layers for v in layer.weights]
    with h5py.File(source, "r") as file:
        if "layer_names" not in file.attrs:
            return
        groups = [file[_text(name)] for name in file.attrs["layer_names"]]
        named = [(group, _text(name)) for group in groups for name in group.attrs["weight_names"]]
        held = [(name.split(":")[0], tuple(group[name].shape)) for group, name in named]
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
        variant = variant_of(source, backbones.REGISTRY[spec.name])
        return f"{spec.name}:{variant}" if variant not in (None, spec.variant) else ""
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
    if found.sha256 and hashlib.sha256(path.read_bytes()).hexdigest() != found.sha256:
        raise WeightsError(
            f"{found.name} as it was published (SHA-256 {found.sha256[:12]}…)",
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
