"""The feature map as a second output: nothing that was computed changes, and the answer follows from it."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from mstl_edge.artifact import draw_golden_images, inspect_flatbuffer, open_artifact, read_artifact, write_artifact
from mstl_edge.artifact.feature_output import with_feature_output
from mstl_edge.artifact.head import LinearHead, linear_head
from mstl_edge.artifact.packing import packed
from mstl_edge.artifact.tflite_graph import TfliteGraph, parse_graph
from mstl_edge.errors import ArtifactError, MstlEdgeError
from mstl_edge.runtime import load_runtime, record_golden, replay_golden, to_input, to_real

TINY = ("tiny_float32", "tiny_int8", "three_classes")
RUNTIMES = ("litert", "reference")


@pytest.mark.parametrize("model", TINY)
def test_nothing_but_the_outputs_changes_and_a_second_time_nothing_does(models: Path, model: str) -> None:
    before = (models / f"{model}.tflite").read_bytes()
    after = with_feature_output(before)
    old, new = inspect_flatbuffer(before), inspect_flatbuffer(after)
    assert (old.operators, old.kernels, old.output, old.feature_map) == (
        new.operators,
        new.kernels,
        new.output,
        None,
    )
    assert new.feature_map is not None
    assert new.feature_map.shape == (1, 16, 16, 16)
    assert with_feature_output(after) == after


@pytest.mark.parametrize("model", TINY)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_answers_stay_what_they_were_to_the_bit(models: Path, model: str, runtime: Any) -> None:
    before = load_runtime((models / f"{model}.tflite").read_bytes(), runtime=runtime)
    after = load_runtime(with_feature_output((models / f"{model}.tflite").read_bytes()), runtime=runtime)
    images = to_input(np.stack(draw_golden_images(32, 8)), before.input)
    np.testing.assert_array_equal(before.invoke(images), after.invoke(images))


@pytest.mark.parametrize("model", TINY)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_mean_of_a_map_and_the_bias_are_the_logit(
    explaining: Callable[[str], Path], model: str, runtime: Any
) -> None:
    artifact = open_artifact(explaining(model))
    loaded, graph = load_runtime(artifact, runtime=runtime), parse_graph(artifact.flatbuffer)
    head = linear_head(graph)
    assert head is not None
    assert loaded.feature_map is not None
    within = _rounding(graph, head) if loaded.output.quantized else 1e-5
    # Noise, which the int8 file was calibrated on: of drawn images a few saturate its logits.
    for image in np.random.default_rng(5).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8):
        raw, features = loaded.invoke_with_map(to_input(image[None], loaded.input))
        maps = head.class_maps(to_real(features, loaded.feature_map)[0])
        logits = maps.mean(axis=(1, 2)) + head.bias
        shares = np.exp(logits) / np.exp(logits).sum()
        np.testing.assert_allclose(shares, to_real(raw, loaded.output)[0], atol=within)


def _rounding(graph: TfliteGraph, head: LinearHead) -> float:
    """Return how far a probability of two classes may move by what an int8 file rounds behind its feature map."""
    mean, linear, softmax = graph.operators[-3:]
    assert (mean.name, linear.name, softmax.name) == ("MEAN", "FULLY_CONNECTED", "SOFTMAX")
    of_mean = (
        0.5 * float(graph.tensors[mean.outputs[0]].scales[0]) * float(np.abs(head.kernel[0] - head.kernel[1]).sum())
    )
    of_logits = 2 * 0.5 * float(graph.tensors[linear.outputs[0]].scales[0])
    return 0.25 * (of_mean + of_logits) + 0.5 / 256


def test_a_file_that_is_no_classifier_is_left_alone(models: Path) -> None:
    flatbuffer = (models / "not_a_classifier.tflite").read_bytes()
    assert linear_head(parse_graph(flatbuffer)) is None
    assert with_feature_output(flatbuffer) == flatbuffer


def test_a_head_that_pools_a_part_of_the_map_has_no_map(models: Path) -> None:
    def pool_nothing(graph: Any) -> None:
        mean = next(op for op in graph.operators if op.builtinOptionsType == schema.BuiltinOptions.ReducerOptions)
        graph.tensors[mean.outputs[0]].shape = np.array([1, 32], np.int32)

    assert linear_head(parse_graph(_changed(models / "tiny_float32.tflite", pool_nothing))) is None


def test_a_runtime_refuses_two_answers_and_a_map_that_is_not_there(models: Path) -> None:
    def answer_twice(graph: Any) -> None:
        graph.outputs = np.array([*graph.outputs, *graph.outputs], np.int32)

    with pytest.raises(ArtifactError, match="2 outputs"):
        load_runtime(_changed(models / "tiny_int8.tflite", answer_twice))
    single = load_runtime((models / "tiny_int8.tflite").read_bytes())
    with pytest.raises(MstlEdgeError, match="a model with one output"):
        single.invoke_with_map(to_input(draw_golden_images(32, 1)[0][None], single.input))


def test_the_card_says_that_there_are_two_outputs(explaining: Callable[[str], Path], exported: Any) -> None:
    for model, single, double in (("tiny_int8", 1, 3), ("three_classes", 2, 3)):
        for path, version in ((exported(model), single), (explaining(model), double)):
            card = open_artifact(path).card
            assert card is not None
            assert card.schema == f"mstl-edge/card/{version}"


def test_a_card_of_two_outputs_does_not_hold_for_a_file_of_one(explaining: Any, exported: Any, tmp_path: Path) -> None:
    artifact = open_artifact(exported("tiny_int8"))
    assert artifact.card is not None
    path = tmp_path / "a.tflite"
    write_artifact(path, artifact.flatbuffer, artifact.card)
    with zipfile.ZipFile(path) as archive:
        tree = json.loads(archive.read("card.json"))
        labels = archive.read("labels.txt")
    tree["schema"] = "mstl-edge/card/3"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("card.json", json.dumps(tree))
        archive.writestr("labels.txt", labels)
    content = artifact.flatbuffer + path.read_bytes()
    with pytest.raises(ArtifactError, match="a feature map on the card, and none among the outputs"):
        read_artifact(content)


@pytest.mark.parametrize("model", ["tiny_int8", "tiny_float32"])
def test_golden_samples_hold_a_runtime_to_its_feature_map(explaining: Callable[[str], Path], model: str) -> None:
    artifact = open_artifact(explaining(model))
    assert all(sample.map_lsb.keys() == {"reference", "litert"} for sample in artifact.golden)
    loaded = load_runtime(artifact)
    assert replay_golden(loaded, artifact) is not None
    honest = loaded.invoke_with_map

    def of_another_image(batch: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        raw, features = honest(batch)
        return raw, features[:, ::-1, ::-1] * 0

    loaded.invoke_with_map = of_another_image  # type: ignore[method-assign]
    with pytest.raises(ArtifactError, match="feature maps of the golden images"):
        replay_golden(loaded, artifact)


def test_samples_of_before_there_were_maps_are_replayed(explaining: Callable[[str], Path]) -> None:
    artifact = open_artifact(explaining("tiny_int8"))
    older = tuple(dataclasses.replace(sample, map_lsb={}) for sample in artifact.golden)
    assert replay_golden(load_runtime(artifact), dataclasses.replace(artifact, golden=older)) == 0


def test_a_single_output_is_recorded_without_a_map(models: Path) -> None:
    assert all(not sample.map_lsb for sample in record_golden((models / "tiny_int8.tflite").read_bytes()))


def _changed(path: Path, change: Callable[[Any], None]) -> bytes:
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    change(model.subgraphs[0])
    return packed(model, 0)
