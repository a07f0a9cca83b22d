"""Parameters and multiply-accumulates are those that were published."""

from __future__ import annotations

from functools import cache

import pytest

from mstl_edge.recipe import BackboneSpec
from mstl_edge.training.network.classifier import build_backbone
from mstl_edge.training.network.cost import multiply_accumulates, trainable_parameters
from mstl_edge.training.network.graph import Graph
from mstl_edge.training.network.keras import from_keras

CLASSES = 1000


@cache
def graph_of(name: str, variant: str, size: int = 224) -> Graph:
    return from_keras(build_backbone(BackboneSpec(name=name, variant=variant, input_size=size)))


@pytest.mark.parametrize(
    ("name", "variant", "published"),
    [
        # With a head of 1,000 classes: the papers say 4.2, 3.4, 1.4, 2.3, 3.5 and 1.24 million.
        ("mobilenet_v1", "1.0", 4_231_976),
        ("mobilenet_v2", "1.0", 3_504_872),
        ("shufflenet_v2", "0.5", 1_366_792),
        ("shufflenet_v2", "1.0", 2_278_604),
        ("shufflenet_v2", "1.5", 3_503_624),
        ("efficientnet_lite", "0", 4_652_008),
        ("densenet", "121", 7_978_856),
    ],
)
def test_parameters_with_a_head_of_imagenet_are_those_published(name: str, variant: str, published: int) -> None:
    graph = graph_of(name, variant)
    features = graph[graph.output].shape[-1]
    assert trainable_parameters(graph) + features * CLASSES + CLASSES == published


@pytest.mark.parametrize(
    ("name", "variant", "size", "documented"),
    [
        # Of Keras, without a head, statistics of BatchNorm included.
        ("mobilenet_v1", "1.0", 224, 3_228_864),
        ("mobilenet_v2", "1.0", 224, 2_257_984),
        ("nasnet_mobile", "1.0", 224, 4_269_716),
        ("resnet", "50", 224, 23_587_712),
        ("inception_v3", "1.0", 299, 21_802_784),
        # Of torchvision, without a head and statistics.
        ("mobilenet_v3", "small", 224, 927_008),
        ("mobilenet_v3", "large", 224, 2_971_952),
        ("squeezenet", "1.1", 224, 722_496),
    ],
)
def test_parameters_without_a_head_are_those_documented(name: str, variant: str, size: int, documented: int) -> None:
    graph = graph_of(name, variant, size)
    # Where a BatchNorm has no gamma, it has one of ones here.
    counted = (graph.parameters(), trainable_parameters(graph))
    assert any(count == pytest.approx(documented, rel=0.001) for count in counted)


@pytest.mark.parametrize(
    ("name", "variant", "size", "millions"),
    [
        ("mobilenet_v1", "1.0", 224, 569),
        ("mobilenet_v1", "0.25", 224, 41),
        ("mobilenet_v2", "1.0", 224, 300),
        ("mobilenet_v2", "0.35", 224, 59),
        ("mobilenet_v3", "small", 224, 56),
        ("mobilenet_v3", "large", 224, 217),
        ("shufflenet_v1", "1.0", 224, 138),
        ("shufflenet_v1", "0.5", 224, 38),
        ("shufflenet_v2", "0.5", 224, 41),
        ("shufflenet_v2", "1.0", 224, 146),
        ("shufflenet_v2", "1.5", 224, 299),
        # As EfficientNet-B0's, whose gates cost next to nothing.
        ("efficientnet_lite", "0", 224, 390),
        ("nasnet_mobile", "1.0", 224, 564),
        ("resnet", "50", 224, 3858),
        ("densenet", "121", 224, 2834),
        ("inception_v3", "1.0", 299, 5713),
    ],
)
def test_multiply_accumulates_are_those_published_within_2_percent(
    name: str, variant: str, size: int, millions: int
) -> None:
    graph = graph_of(name, variant, size)
    head = CLASSES * graph[graph.output].shape[-1]
    assert (multiply_accumulates(graph) + head) / 1e6 == pytest.approx(millions, rel=0.02)
