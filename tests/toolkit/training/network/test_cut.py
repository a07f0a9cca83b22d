"""Where a network is cut, and what is said where it cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mstl_edge.errors import RecipeError
from mstl_edge.training._keras import keras
from mstl_edge.training.network.cut import border_of, cut_at, trained_nodes
from mstl_edge.training.network.graph import Graph

from .random_networks import network_of

L = keras.layers


@pytest.fixture(scope="module")
def residual() -> Graph:
    """A stem, a residual block and a pooled block behind a padding."""
    image = L.Input((12, 12, 3))
    stem = L.Conv2D(4, 3, padding="same", name="stem")(image)
    inner = L.Conv2D(4, 3, padding="same", name="block_1_conv")(stem)
    added = L.Add(name="block_1_add")([stem, inner])
    pooled = L.MaxPooling2D(2, name="block_2_pool")(L.ZeroPadding2D(2, name="pad")(added))
    return network_of(keras.Model(image, L.Conv2D(8, 3, name="block_2_conv")(pooled)))


@pytest.mark.parametrize(
    ("point", "border", "shape"),
    [
        ("stem", "image", (12, 12, 3)),
        ("block_1", "stem", (12, 12, 4)),
        ("block_2", "block_2_pool", (8, 8, 4)),
        ("head", "head_pool", (1, 1, 8)),
    ],
)
def test_a_cut_point_is_a_block_and_the_cut_is_the_smallest_value_that_enters_it(
    residual: Graph, point: str, border: str, shape: tuple[int, ...]
) -> None:
    assert border_of(residual, point) == border
    cut = cut_at(residual, point)
    assert cut.tail.input.shape == shape
    assert (cut.prefix is None) == (point == "stem")
    assert cut.prefix is None or cut.prefix.output == border


def test_trained_is_what_descends_from_the_cut(residual: Graph) -> None:
    assert trained_nodes(residual, "head") == ["head_logits"]
    assert trained_nodes(residual, "block_2") == ["block_2_conv", "head_logits"]
    assert trained_nodes(residual, "block_1") == ["block_1_conv", "block_2_conv", "head_logits"]
    assert cut_at(residual, "block_2").tail.weights.keys() == {"block_2_conv", "head_logits"}


@pytest.mark.parametrize(
    ("point", "why"),
    [
        ("block_1_add", r"block_1_add \(2 values enter it\)"),
        ("block_1_conv_2", r"block_1_conv_2 \(there is no such block\)"),
    ],
)
def test_where_a_network_cannot_be_cut_the_values_that_part_it_are_named(residual: Graph, point: str, why: str) -> None:
    with pytest.raises(RecipeError, match=rf"Received: unfreeze_from = {why}. These values part it: .*head_pool"):
        cut_at(residual, point)


def test_a_value_that_is_read_around_a_block_does_not_part_the_network() -> None:
    image = L.Input((8, 8, 3))
    stem = L.Conv2D(4, 1, name="stem")(image)
    inner = L.Conv2D(4, 1, name="second")(L.Conv2D(4, 1, name="first")(stem))
    network = network_of(keras.Model(image, L.Add(name="sum")([stem, inner])))
    with pytest.raises(RecipeError, match=r"first, which enters it, is also read around it"):
        cut_at(network, "second")


def test_a_weight_below_the_cut_changes_the_prefix_alone(residual: Graph) -> None:
    kernel, bias = residual.weights["stem"]
    other = residual.with_weights({"stem": [kernel + np.float32(1), bias]})
    before, after = (cut_at(graph, "block_1") for graph in (residual, other))
    assert before.tail.key() == after.tail.key()
    assert before.prefix is not None
    assert after.prefix is not None
    assert before.prefix.key() != after.prefix.key()


def described(graph: Graph) -> dict[str, Any]:
    return {node.name: (node.kind, node.inputs) for node in graph.nodes}


def test_the_tail_keeps_the_wiring_of_the_whole(residual: Graph) -> None:
    tail, whole = described(cut_at(residual, "block_1").tail), described(residual)
    assert tail.pop("stem") == ("input", ())
    assert tail.items() <= whole.items()
