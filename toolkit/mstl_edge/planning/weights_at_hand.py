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

from msgspec.structs import replace

from mstl_edge.errors import WeightsError, typed
from mstl_edge.recipe import BackboneSpec
from mstl_edge.storage import expanded
from mstl_edge_models import backbones

REACHED_WITHIN_S = 3.0


@dataclass(frozen=True)
class FirstWeights:
    """First weights that were found; `path` is None where they are drawn or have to be downloaded from `url` under `name`.

    `digest` is of the content that was published, as `Published` has it.
    """

    kind: Literal["file", "imagenet", "bundled", "none"]
    name: str = ""
    path: Path | None = None
    url: str = ""
    digest: str = ""


def first_weights(spec: BackboneSpec) -> FirstWeights:
    """Return where the weights lie that a recipe names.

    Raises:
        WeightsError: A file that does not exist, or weights that nobody published for this variant.
    """
    backbone = backbones.REGISTRY[spec.name]
    if spec.weights == "none":
        return FirstWeights("none")
    if spec.weights == "bundled":
        file = backbone.bundled.get(spec.variant)
        if file is None:
            raise WeightsError(
                f"a backbone whose weights are bundled ({', '.join(_bundled())})",
                received=f"{spec.name}:{spec.variant}",
                hint=f"Use --weights imagenet, or --backbone {_bundled()[0]}.",
            )
        return FirstWeights("bundled", file, Path(str(resources.files("mstl_edge_models.weights").joinpath(file))))
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
    published = backbone.weights(spec)
    if published is None:
        having = [name for name in backbone.variants if backbone.weights(replace(spec, variant=name))]
        raise WeightsError(
            f"a variant of {spec.name} that Keras publishes ImageNet weights for ({', '.join(having) or 'none'})",
            received=f"{spec.name}:{spec.variant}",
            hint="Use --weights none, or --weights FILE.",
        )
    with suppress(RuntimeError):  # without a home folder, Keras takes one under /tmp
        cached = Path.home() / ".keras" / "models" / published.name
        if cached.is_file():
            return FirstWeights("imagenet", published.name, cached, digest=published.digest)
    return FirstWeights("imagenet", published.name, None, published.url, published.digest)


def _bundled() -> list[str]:
    return [f"{backbone.name}:{variant}" for backbone in backbones.REGISTRY.values() for variant in backbone.bundled]


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
    return spec.variant in backbones.REGISTRY[spec.name].bundled
