"""First weights of a backbone: Keras' ImageNet files, the bundled one, any `no_top` file, or none."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.errors import WeightsError
from mstl_edge.planning.weights_at_hand import first_weights, not_downloaded
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
        backbone.load_weights(str(source))
    except (ValueError, OSError, KeyError) as error:
        if "lock" in str(error):
            raise WeightsError(
                f"a weights file that HDF5 can lock, or {_LOCKING}=FALSE in the environment",
                received=f"{source} ({str(error).splitlines()[0][:160]})",
                hint=f"Set {_LOCKING}=FALSE: the file is only read.",
            ) from error
        raise WeightsError(
            f"weights of {spec.name} with alpha={spec.alpha}",
            received=f"{source.name} ({str(error).splitlines()[0][:160]})",
            hint="Set backbone.alpha to the file's own, or name another file: --weights FILE",
        ) from error
    return backbone


def _weights_file(spec: BackboneSpec) -> Path:
    """Return the file of first weights, Keras' own downloaded into Keras' cache when it is not there yet."""
    found = first_weights(spec)
    if found.path is not None:
        return found.path
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
