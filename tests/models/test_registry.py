"""Every architecture of the registry keeps the promises that recipes, cuts and weights rely on."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import pytest

from mstl_edge.recipe import BackboneSpec
from mstl_edge_models import backbones

LARGEST_BUNDLED_BYTES = 2_000_000


@cache
def built(name: str, variant: str) -> Any:
    """Return a backbone's Keras model at a size that it reads; the large ones take seconds, and several tests ask for them."""
    from mstl_edge.training.network.classifier import build_backbone

    return build_backbone(spec_of(name, variant))


def spec_of(name: str, variant: str) -> BackboneSpec:
    return BackboneSpec(name=name, variant=variant, input_size=max(64, backbones.REGISTRY[name].smallest))


VARIANTS = [(backbone, variant) for backbone in backbones.REGISTRY.values() for variant in backbone.variants]
every_variant = pytest.mark.parametrize(
    ("backbone", "variant"), VARIANTS, ids=[f"{backbone.name}:{variant}" for backbone, variant in VARIANTS]
)


def test_every_name_is_its_own() -> None:
    assert all(backbone.name == name for name, backbone in backbones.REGISTRY.items())


@every_variant
def test_every_cut_point_parts_the_network_where_and_with_as_many_values_as_it_says(
    backbone: backbones.Backbone, variant: str
) -> None:
    from mstl_edge.training.network.classifier import classifier
    from mstl_edge.training.network.cut import cut_at

    spec = spec_of(backbone.name, variant)
    network = classifier(spec, built(backbone.name, variant), 3)
    points = backbone.cut_points(variant)
    assert points[-1].name == backbones.HEAD
    trained = len(network.nodes) + 1
    for point in points:
        cut = cut_at(network, point.name)
        assert np.prod(cut.tail.input.shape) == point.values(spec.input_size), point
        assert len(cut.tail.nodes) < trained, "cut points stand in the order of the network"
        trained = len(cut.tail.nodes)


@every_variant
def test_a_weights_file_holds_as_many_numbers_as_it_says(backbone: backbones.Backbone, variant: str) -> None:
    assert built(backbone.name, variant).count_params() == backbone.parameters(variant)


@pytest.mark.parametrize(
    "backbone", [one for one in backbones.REGISTRY.values() if one.any_width], ids=lambda one: one.name
)
def test_a_width_that_nobody_published_has_its_own_number(backbone: backbones.Backbone) -> None:
    assert built(backbone.name, "0.6").count_params() == backbone.parameters("0.6")


def test_no_two_networks_have_as_many_numbers_so_that_a_file_tells_its_own() -> None:
    counts = [backbone.parameters(variant) for backbone, variant in VARIANTS]
    assert len(set(counts)) == len(counts)


@every_variant
def test_variants_are_known_by_their_number_and_nothing_else_is(backbone: backbones.Backbone, variant: str) -> None:
    assert backbone.variant(variant) == variant
    assert backbone.default in backbone.variants
    for wrong in ("", "huge", "-1", "nan", "inf"):
        assert backbone.variant(wrong) is None
    if backbone.any_width:
        assert (backbone.variant("1"), backbone.variant(".35")) == ("1.0", "0.35")


@every_variant
def test_bundled_weights_are_small_and_present(backbone: backbones.Backbone, variant: str) -> None:
    assert backbone.bundled.keys() <= set(backbone.variants)
    if variant in backbone.bundled:
        content = resources.files("mstl_edge_models.weights").joinpath(backbone.bundled[variant]).read_bytes()
        assert 0 < len(content) <= LARGEST_BUNDLED_BYTES


@pytest.mark.parametrize(
    ("variant", "size", "file"),
    [
        ("1.0", 224, "mobilenet_1_0_224_tf_no_top.h5"),
        ("0.25", 128, "mobilenet_2_5_128_tf_no_top.h5"),
        ("0.5", 96, "mobilenet_5_0_224_tf_no_top.h5"),
        ("0.75", 160, "mobilenet_7_5_160_tf_no_top.h5"),
        ("0.35", 224, None),
    ],
)
def test_mobilenet_names_the_file_that_keras_publishes(variant: str, size: int, file: str | None) -> None:
    published = backbones.REGISTRY["mobilenet_v1"].weights(BackboneSpec(variant=variant, input_size=size))
    assert (published and published.name) == file
    assert published is None or published.url.endswith(f"/{file}")
