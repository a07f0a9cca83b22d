"""Where the first weights of a backbone are, asked before any work: at hand, to be downloaded, or nowhere to be had."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import getproxies

from mstl_edge.errors import MissingExtraError, WeightsError, typed
from mstl_edge.installing import install_extra
from mstl_edge.recipe import BackboneSpec
from mstl_edge.storage import expanded
from mstl_edge_models import backbones

REACHED_WITHIN_S = 3.0
_STEM = "conv1/conv1/kernel:0"


@dataclass(frozen=True)
class FirstWeights:
    """First weights that were found; `path` is None where they are drawn or have to be downloaded from `url` under `name`."""

    kind: Literal["file", "imagenet", "bundled", "none"]
    name: str = ""
    path: Path | None = None
    url: str = ""


def first_weights(spec: BackboneSpec) -> FirstWeights:
    """Return where the weights lie that a recipe names.

    Raises:
        WeightsError: A file that does not exist, or weights that nobody published for this variant.
    """
    backbone = backbones.REGISTRY[spec.name]
    if spec.weights == "none":
        return FirstWeights("none")
    if spec.weights == "bundled":
        if backbone.bundled_file is None or spec.alpha != backbone.bundled_alpha:
            raise WeightsError(
                f"alpha={backbone.bundled_alpha}, which the bundled weights of {spec.name} have",
                received=f"alpha={spec.alpha}",
                hint="Use --weights imagenet, or --set backbone.alpha=0.25.",
            )
        path = Path(str(resources.files("mstl_edge_models.weights").joinpath(backbone.bundled_file)))
        return FirstWeights("bundled", backbone.bundled_file, path)
    if spec.weights == "imagenet":
        return _imagenet(spec, backbone)
    path = expanded(spec.weights)
    if not path.is_file():
        raise WeightsError(
            "a weights file that exists, 'imagenet', 'bundled' or 'none'",
            received=spec.weights,
            hint="For example --weights imagenet",
        )
    return FirstWeights("file", path.name, path)


def _imagenet(spec: BackboneSpec, backbone: backbones.Backbone) -> FirstWeights:
    """Find Keras' own file in Keras' own cache."""
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
            return FirstWeights("imagenet", name, cached)
    return FirstWeights("imagenet", name, None, backbone.imagenet_url + name)


def can_download(found: FirstWeights) -> bool:
    """Return whether the host of weights that are not at hand answers; tried for at most three seconds.

    Behind a proxy there is no telling without a download, and it counts as reached.
    """
    if getproxies().get("https"):
        return True
    host = urlsplit(found.url).hostname or ""
    try:
        with socket.create_connection((host, 443), timeout=REACHED_WITHIN_S):
            return True
    except (OSError, UnicodeError):
        return False


def check_at_hand(spec: BackboneSpec) -> FirstWeights:
    """Find first weights, and make sure that those which are not at hand can be downloaded, before anything else is done.

    Raises:
        WeightsError: See `first_weights`; or their host does not answer: then the file is named, and where to put it.
    """
    found = first_weights(spec)
    if found.url and not can_download(found):
        raise not_downloaded(found.name, "no connection", bundled=has_bundled(spec))
    return found


def not_downloaded(name: str, reason: str, *, bundled: bool = False) -> WeightsError:
    """Return the error for ImageNet weights that are neither here nor to be had; `bundled` offers those that ship instead."""
    instead = "; those drawn for this project need no download: --weights bundled" if bundled else ""
    return WeightsError(
        f"the ImageNet weights {name}, which could not be downloaded",
        received=reason,
        hint=f"Put that file at ~/.keras/models/{name}, or name it: {typed('--weights', name)}{instead}",
    )


def has_bundled(spec: BackboneSpec) -> bool:
    """Return whether weights of this variant ship with the project."""
    return backbones.REGISTRY[spec.name].bundled_alpha == spec.alpha


def width_of(path: Path) -> float | None:
    """Return the width multiplier of a MobileNet's weights file by its first kernel; None where it has no such kernel.

    Raises:
        WeightsError: It is no HDF5 file.
        MissingExtraError: Nothing here reads HDF5.
    """
    try:
        import h5py  # a training-side package
    except ImportError as error:
        raise MissingExtraError("h5py to read weights", hint=f"Install it with: {install_extra('train')}") from error
    try:
        with h5py.File(path, "r", locking=False) as file:
            kernel = file.get(_STEM)
            return None if kernel is None else int(kernel.shape[-1]) / 32
    except OSError as error:
        raise WeightsError(
            "a Keras weights file (.h5, no_top)", received=f"{path.name} ({str(error).splitlines()[0][:160]})"
        ) from error
