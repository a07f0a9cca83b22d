"""First weights of a backbone: Keras' ImageNet files, the bundled one, any `no_top` file, another's layout, or none."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.errors import WeightsError
from mstl_edge.planning.weights_at_hand import FirstWeights, first_weights, not_downloaded
from mstl_edge.planning.weights_file import network_of, shapes_of, tensors_of, unreadable
from mstl_edge.recipe import BackboneSpec
from mstl_edge.training._keras import keras
from mstl_edge.training.network.classifier import build_backbone
from mstl_edge_models.convert import LAYOUTS, Layout, converted, layout_of
from mstl_edge_models.convert.checkpoint import is_checkpoint

_OF_NEWER_KIND = "/vars/"
"""In the names of every tensor of a `.weights.h5`."""


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
    except OSError as error:
        raise unreadable(source, error) from error
    except (ValueError, KeyError) as error:
        raise _refused(spec, source, str(error).splitlines()[0][:160]) from error
    return backbone


def _load(source: Path, backbone: Any, spec: BackboneSpec) -> None:
    """Give a network the weights of a file, held against it tensor by tensor.

    A layout of others is converted by the names of its tensors. Else layers are found by their names where the file has the same
    ones, or by their order, as Keras does. Keras checks a `.weights.h5`, its newer kind, itself.

    Raises:
        WeightsError: It is another network's: the first tensor that does not fit is named.
        OSError: It is no HDF5 file.
        KeyError: It is no Keras weights file.
        ValueError: Keras refuses it.
    """
    layers = {layer.name: layer for layer in backbone.layers if layer.weights}
    shapes = shapes_of(source)
    found = layout_of(shapes)
    if found is not None:
        _convert(source, layers, spec, *found)
        return
    if is_checkpoint(source):
        raise _refused(spec, source, f"a checkpoint of none of {', '.join(dict.fromkeys(one.name for one in LAYOUTS))}")
    if any(_OF_NEWER_KIND in name for name in shapes):
        backbone.load_weights(str(source))
        return
    held: dict[str, dict[str, NDArray[Any]]] = {}
    for name, array in tensors_of(source).items():
        held.setdefault(name.rpartition("/")[0], {})[name] = array
    order = list(layers) if layers.keys() == held.keys() else list(held)
    _check_fits(
        spec,
        source,
        [(v.name.split(":")[0], tuple(v.shape)) for layer in layers.values() for v in layer.weights],
        [(one, array.shape) for name in order for one, array in held[name].items()],
    )
    for layer, name in zip(layers.values(), order, strict=True):
        layer.set_weights(list(held[name].values()))


def _convert(source: Path, layers: Mapping[str, Any], spec: BackboneSpec, layout: Layout, variant: str) -> None:
    """Give layers the weights of a file in the layout of others.

    Raises:
        WeightsError: It is another network's; or a tensor is missing, unknown, or of another shape.
    """
    if (layout.backbone, variant) != (spec.name, spec.variant):
        raise _refused(spec, source, f"{layout.name}, {layout.backbone}:{variant} here")
    try:
        arrays = converted(layout, variant, tensors_of(source))
    except KeyError as error:
        raise _refused(spec, source, str(error.args[0])) from error
    wanted = [
        (f"{name}/{v.name.rpartition('/')[2].split(':')[0]}", tuple(v.shape))
        for name, layer in layers.items()
        for v in layer.weights
    ]
    _check_fits(spec, source, wanted, [(name, arrays[name].shape) for name, _ in wanted])
    values = iter([arrays[name] for name, _ in wanted])
    for layer in layers.values():
        layer.set_weights(list(itertools.islice(values, len(layer.weights))))


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
