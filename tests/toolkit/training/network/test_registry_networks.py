"""Every architecture of the registry keeps what random networks keep: a few in the gate, the others where long tests run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mstl_edge.artifact import inspect_flatbuffer
from mstl_edge.preprocess import normalize
from mstl_edge.recipe import BackboneSpec
from mstl_edge.runtime import load_runtime, to_input
from mstl_edge.training.convert import to_int8_flatbuffer
from mstl_edge.training.judging.promises import promise_breaches
from mstl_edge.training.network.classifier import build_backbone, classifier, fresh_head, with_softmax
from mstl_edge.training.network.cut import cut_at
from mstl_edge.training.network.graph import Graph
from mstl_edge.training.network.keras import from_keras, to_keras
from mstl_edge.training.network.passes.absorb import absorb_batch_norm
from mstl_edge.training.network.passes.biases import with_corrected_biases
from mstl_edge.training.network.passes.equalize import equalized
from mstl_edge.training.network.passes.quantized import fake_quantized
from mstl_edge_models.backbones import REGISTRY

from .checks import assert_the_file_computes_the_graph, close, told
from .random_networks import randomize

GATE = ("mobilenet_v1:0.25", "mobilenet_v2:0.35", "mobilenet_v3:small", "shufflenet_v2:0.5-no-conv5", "squeezenet:1.1")
SMALLEST = [f"{backbone.name}:{backbone.variants[0]}" for backbone in REGISTRY.values()]
NAMES = list(dict.fromkeys([*GATE, *SMALLEST, "mobilenet_v3:large"]))
every_backbone = pytest.mark.parametrize(
    "named", [pytest.param(name, marks=() if name in GATE else pytest.mark.long) for name in NAMES]
)
IMAGES = 6


def spec_of(named: str) -> BackboneSpec:
    name, _, variant = named.partition(":")
    return BackboneSpec(name=name, variant=variant, input_size=max(64, REGISTRY[name].smallest), weights="none")


@pytest.fixture(scope="module")
def built() -> dict[str, tuple[Any, Graph, np.ndarray]]:
    """By name: the Keras model, the network with its head, and pixels that it can read."""
    return {}


@pytest.fixture
def network(named: str, built: dict[str, Any]) -> tuple[Any, Graph, np.ndarray]:
    if named not in built:
        spec = spec_of(named)
        backbone = build_backbone(spec)
        randomize(backbone, 3)
        side = spec.input_size
        blocks = np.random.default_rng(0).integers(0, 256, (IMAGES, 8, 8, 3))
        pixels = np.kron(blocks, np.ones((1, -(-side // 8), -(-side // 8), 1)))[:, :side, :side].astype(np.uint8)
        built[named] = backbone, fresh_head(classifier(spec, backbone, 3), 0), pixels
    return built[named]


@every_backbone
def test_the_graph_computes_what_keras_does_and_is_the_same_in_every_process(
    named: str, network: tuple[Any, Graph, np.ndarray]
) -> None:
    backbone, _, pixels = network
    graph = from_keras(backbone)
    close(told(graph, normalize(pixels)), backbone(normalize(pixels), training=False))
    # Keras puts branches in another order.
    assert wired(from_keras(to_keras(graph))) == wired(graph)
    again = from_keras(build_backbone(spec_of(named)))
    assert list(wired(again)) == list(wired(graph))


def wired(graph: Graph) -> dict[str, Any]:
    return {node.name: (node.kind, node.inputs, node.shape, node.config) for node in graph.nodes}


@every_backbone
def test_prefix_and_tail_of_each_quarter_compute_what_the_whole_does(
    named: str, network: tuple[Any, Graph, np.ndarray]
) -> None:
    _, graph, pixels = network
    name, _, variant = named.partition(":")
    names, whole = REGISTRY[name].cut_names(variant), told(graph, normalize(pixels))
    for point in dict.fromkeys(names[max(1, len(names) * quarter // 4)] for quarter in range(1, 4)):
        cut = cut_at(graph, point)
        assert cut.prefix is not None
        close(to_keras(cut.tail, matrix_products=True)(told(cut.prefix, normalize(pixels))), whole)


@every_backbone
def test_absorbed_and_equalized_networks_answer_as_before(named: str, network: tuple[Any, Graph, np.ndarray]) -> None:
    _, graph, pixels = network
    absorbed = absorb_batch_norm(graph)
    assert not any(node.kind == "batch_norm" for node in absorbed.nodes)
    close(told(absorbed, normalize(pixels)), told(graph, normalize(pixels)))
    close(told(equalized(absorbed, pixels), normalize(pixels)), told(absorbed, normalize(pixels)))


@pytest.mark.slow
@every_backbone
def test_the_int8_file_holds_integers_alone_and_computes_the_graph(
    named: str, network: tuple[Any, Graph, np.ndarray]
) -> None:
    _, graph, pixels = network
    absorbed = equalized(absorb_batch_norm(with_softmax(graph, 1.0)), pixels)
    images = normalize(pixels)
    quantized = with_corrected_biases(fake_quantized(absorbed, [images]), absorbed, images)
    flatbuffer = to_int8_flatbuffer(quantized)
    facts = inspect_flatbuffer(flatbuffer)
    assert facts.full_integer, facts.float_tensors
    assert promise_breaches(facts, allow_float=False) == []
    assert_the_file_computes_the_graph(quantized, pixels)
    runtime = load_runtime(flatbuffer, runtime="litert", threads=1)
    answers = [np.ravel(runtime.invoke(to_input(image[np.newaxis], runtime.input))) for image in pixels]
    assert all(np.isfinite(answer).all() for answer in answers)
