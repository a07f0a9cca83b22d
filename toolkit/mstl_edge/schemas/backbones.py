"""`mstl-edge backbones --json`: the architectures, what they cost, and where they can be cut."""

from __future__ import annotations

from msgspec import Struct


class BackboneFacts(Struct, frozen=True, kw_only=True):
    """A variant of an architecture, without its head.

    `parameters` are those that training may change, `macs` the multiply-accumulates of one image. `imagenet` says whether Keras
    publishes weights, `bundled` whether this package has some.
    """

    name: str
    variant: str
    default: bool
    parameters: int
    macs: int
    imagenet: bool
    bundled: bool
    cut_points: tuple[str, ...]


class Backbones(Struct, frozen=True, kw_only=True):
    """Every variant at one input size, in pixels."""

    schema: str = "mstl-edge/backbones/1"
    size: int
    backbones: tuple[BackboneFacts, ...]
