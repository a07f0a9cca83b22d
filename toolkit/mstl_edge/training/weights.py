"""First weights of a backbone: Keras' ImageNet files, the bundled one, any `no_top` file, or none."""

from __future__ import annotations

import math
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.errors import WeightsError, typed
from mstl_edge.recipe import BackboneSpec
from mstl_edge.storage import expanded
from mstl_edge.training import graph
from mstl_edge.training._keras import keras
from mstl_edge_models import backbones

_LOCKING = "HDF5_USE_FILE_LOCKING"


def load_backbone_weights(model: Any, spec: BackboneSpec, seed: int) -> None:
    """Fill the backbone of `model` as `spec.weights` says.

    Args:
        model: A model whose layers carry the backbone's names (a head is left alone).
        spec: Names the weights: `imagenet`, `bundled`, `none` or a file.
        seed: For `none`, which draws random weights.

    Raises:
        WeightsError: The file is missing, cannot be downloaded, or belongs to another network.
    """
    if spec.weights == "none":
        _draw(model, seed)
        return
    source = _weights_file(spec)
    backbone = backbones.REGISTRY[spec.name].build(keras, spec)
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
    graph.set_weights(model, graph.weights_of(backbone))


def _weights_file(spec: BackboneSpec) -> Path:
    backbone = backbones.REGISTRY[spec.name]
    if spec.weights == "bundled":
        if backbone.bundled_file is None or spec.alpha != backbone.bundled_alpha:
            raise WeightsError(
                f"alpha={backbone.bundled_alpha}, which the bundled weights of {spec.name} have",
                received=f"alpha={spec.alpha}",
                hint="Use --weights imagenet, or --set backbone.alpha=0.25.",
            )
        return Path(str(resources.files("mstl_edge_models.weights").joinpath(backbone.bundled_file)))
    if spec.weights == "imagenet":
        return _imagenet_file(spec)
    path = expanded(spec.weights)
    if not path.is_file():
        raise WeightsError(
            "a weights file that exists, 'imagenet', 'bundled' or 'none'",
            received=spec.weights,
            hint="For example --weights imagenet",
        )
    return path


def _imagenet_file(spec: BackboneSpec) -> Path:
    """Return Keras' own file from its cache, downloaded when it is not there yet."""
    backbone = backbones.REGISTRY[spec.name]
    name = backbone.imagenet_file(spec)
    if name is None:
        raise WeightsError(
            "an alpha that Keras publishes ImageNet weights for (0.25, 0.5, 0.75, 1.0)",
            received=f"alpha={spec.alpha}",
            hint="Use --weights none, or --weights FILE.",
        )
    with suppress(RuntimeError):  # without a home folder, Keras takes one under /tmp
        cached = Path.home() / ".keras" / "models" / name
        if cached.is_file():
            return cached
    try:
        return Path(keras.utils.get_file(name, backbone.imagenet_url + name, cache_subdir="models"))
    except Exception as error:
        if not _is_download_failure(error):
            raise
        raise WeightsError(
            f"the ImageNet weights {name}, which could not be downloaded",
            received=str(error).splitlines()[0][:120],
            hint=f"Put that file at ~/.keras/models/{name}, or name it: {typed('--weights', name)}",
        ) from error


def _is_download_failure(error: BaseException) -> bool:
    # Keras wraps every network failure into a bare Exception that names the address.
    return isinstance(error, OSError) or "URL fetch failure" in str(error)


def _draw(model: Any, seed: int) -> None:
    """Draw He-normal kernels (He et al. 2015) in the order of the layers, so that one seed gives one network.

    BatchNorm of a fresh network passes its input on, so the kernels themselves must keep the signal's size.
    """
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        layer.set_weights([_drawn(variable, rng) for variable in layer.weights])


def _drawn(variable: Any, rng: np.random.Generator) -> NDArray[np.float32]:
    if "kernel" not in variable.name:
        return np.asarray(variable.numpy())
    shape = tuple(variable.shape)
    inputs = math.prod(shape[:2] if "depthwise" in variable.name else shape[:-1])
    return rng.normal(0.0, math.sqrt(2.0 / inputs), shape).astype(np.float32)
