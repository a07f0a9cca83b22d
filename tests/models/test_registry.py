"""Every architecture of the registry keeps the promises that recipes, cuts and weights rely on."""

from __future__ import annotations

from importlib import resources
from typing import Any

import pytest

from mstl_edge.recipe import BackboneSpec
from mstl_edge_models import backbones

NAMES = list(backbones.REGISTRY)
LARGEST_BUNDLED_BYTES = 2_000_000


@pytest.fixture(scope="module")
def keras() -> Any:
    from mstl_edge.training._keras import keras

    return keras


@pytest.mark.parametrize("name", NAMES)
def test_the_network_is_flat_and_has_every_layer_that_can_be_named(name: str, keras: Any) -> None:
    backbone = backbones.REGISTRY[name]
    assert backbone.name == name
    model = backbone.build(keras, BackboneSpec(name=name, alpha=0.25, input_size=32))
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    order = [layer.name for layer in model.layers]
    positions = [order.index(layer) for layer in backbone.layers]
    assert positions == sorted(positions)
    assert len(model.output_shape) == 4


@pytest.mark.parametrize("name", NAMES)
def test_bundled_weights_are_small_and_present(name: str) -> None:
    backbone = backbones.REGISTRY[name]
    if backbone.bundled_file is None:
        assert backbone.bundled_alpha is None
        return
    content = resources.files("mstl_edge_models.weights").joinpath(backbone.bundled_file).read_bytes()
    assert 0 < len(content) <= LARGEST_BUNDLED_BYTES


@pytest.mark.parametrize(
    ("alpha", "size", "file"),
    [
        (1.0, 224, "mobilenet_1_0_224_tf_no_top.h5"),
        (0.25, 128, "mobilenet_2_5_128_tf_no_top.h5"),
        (0.5, 96, "mobilenet_5_0_224_tf_no_top.h5"),
        (0.75, 160, "mobilenet_7_5_160_tf_no_top.h5"),
        (0.35, 224, None),
    ],
)
def test_mobilenet_names_the_file_that_keras_publishes(alpha: float, size: int, file: str | None) -> None:
    backbone = backbones.REGISTRY["mobilenet_v1"]
    assert backbone.imagenet_file(BackboneSpec(alpha=alpha, input_size=size)) == file
    assert backbone.imagenet_url.endswith("/")
