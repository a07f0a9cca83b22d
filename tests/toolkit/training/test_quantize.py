"""Folding, fake quantization and conversion on a real MobileNet, as small as they come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mstl_edge.artifact import inspect_flatbuffer
from mstl_edge.artifact.tflite_graph import parse_graph
from mstl_edge.artifact.uint8_ends import for_image_programs
from mstl_edge.preprocess import normalize
from mstl_edge.recipe import BackboneSpec, QuantizeSpec, StageSpec
from mstl_edge.runs import StageFolder
from mstl_edge.storage import Rows
from mstl_edge.training.asking import answers
from mstl_edge.training.convert import to_float_flatbuffer, to_int8_flatbuffer
from mstl_edge.training.fitting.features import Images
from mstl_edge.training.fitting.workshop import Workshop
from mstl_edge.training.judging.promises import promise_breaches
from mstl_edge.training.network.classifier import classifier, fresh_head, with_softmax
from mstl_edge.training.network.cut import cut_at
from mstl_edge.training.network.graph import Graph
from mstl_edge.training.network.keras import layers_of, probe, to_keras
from mstl_edge.training.network.passes.absorb import absorb_batch_norm
from mstl_edge.training.network.passes.biases import with_corrected_biases
from mstl_edge.training.network.passes.equalize import equalized
from mstl_edge.training.network.passes.quantized import as_float, fake_quantized, unrounded
from mstl_edge.training.quantize import post_training, qat
from mstl_edge.training.quantize.candidates import build_mixed
from mstl_edge.training.weights import loaded_backbone

SPEC = BackboneSpec(variant="0.25", input_size=32, weights="bundled")


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 3))
    return np.repeat(np.repeat(coarse, 4, axis=1), 4, axis=2).astype(np.uint8)


@pytest.fixture(scope="module")
def whole() -> Graph:
    return with_softmax(fresh_head(classifier(SPEC, loaded_backbone(SPEC, 0), 2), 0), 0.7)


@pytest.fixture(scope="module")
def absorbed(whole: Graph) -> Graph:
    return absorb_batch_norm(whole)


@pytest.fixture(scope="module")
def quantized(absorbed: Graph, pixels: np.ndarray) -> Graph:
    return post_training.calibrated(absorbed, pixels)


def answered(network: Graph, pixels: np.ndarray) -> np.ndarray:
    return np.asarray(to_keras(network)(normalize(pixels), training=False))


@pytest.fixture(scope="module")
def int8(quantized: Graph) -> bytes:
    return to_int8_flatbuffer(quantized)


def test_the_absorbed_network_has_no_batch_norm_and_answers_the_same(
    whole: Graph, absorbed: Graph, pixels: np.ndarray
) -> None:
    assert not any(node.kind == "batch_norm" for node in absorbed.nodes)
    np.testing.assert_allclose(answered(absorbed, pixels), answered(whole, pixels), atol=1e-4)


def test_the_temperature_lies_in_the_head(pixels: np.ndarray) -> None:
    network = fresh_head(classifier(SPEC, loaded_backbone(SPEC, 0), 2), 0)
    logits, softened = answered(network, pixels), answered(with_softmax(network, 3.0), pixels)
    np.testing.assert_allclose(np.log(softened[:, 0] / softened[:, 1]), (logits[:, 0] - logits[:, 1]) / 3.0, atol=1e-3)


def test_a_kernel_that_pruned_itself_beside_a_large_bias_is_set_to_zero(whole: Graph) -> None:
    gamma, beta, *statistics = whole.weights["conv_dw_3_bn"]
    gamma = np.where(np.arange(len(gamma)) == 0, 1e-12, gamma)
    pruned = whole.with_weights({"conv_dw_3_bn": [gamma, np.ones_like(beta), *statistics]})
    kernel, bias = absorb_batch_norm(pruned).weights["conv_dw_3"]
    assert np.all(kernel[:, :, 0, 0] == 0.0)
    assert np.abs(kernel[:, :, 1:, 0]).max() > 0.0
    assert bias[0] == pytest.approx(1.0)


def test_every_kernel_is_under_fake_quantization_and_what_is_skipped_has_a_reason(quantized: Graph) -> None:
    kernels = [layer for name, layer in layers_of(to_keras(quantized)).items() if name in quantized.weights]
    assert len(kernels) == 28  # 1 + 13 depthwise + 13 pointwise + the head
    assert all(len(layer._weight_vars) == 1 for layer in kernels)
    skipped = unrounded(quantized)
    assert {entry["kind"] for entry in skipped} == {"pad", "softmax", "reshape"}
    assert all(entry["reason"] for entry in skipped)


def channel_ranges(network: Graph, pixels: np.ndarray) -> dict[str, np.ndarray]:
    relus = [node.name for node in network.nodes if node.kind == "relu"]
    values = probe(network, relus, lambda value: value)(normalize(pixels))
    return {name: np.asarray(value).max(axis=(0, 1, 2)) for name, value in zip(relus, values, strict=True)}


def test_equalizing_channels_leaves_the_function_as_it_was(absorbed: Graph, pixels: np.ndarray) -> None:
    np.testing.assert_allclose(answered(equalized(absorbed, pixels), pixels), answered(absorbed, pixels), atol=1e-5)


def test_equalized_channels_use_more_of_their_tensor_and_none_is_lifted_above_the_limit(
    absorbed: Graph, pixels: np.ndarray
) -> None:
    before, after = channel_ranges(absorbed, pixels), channel_ranges(equalized(absorbed, pixels), pixels)
    for name, ranges in before.items():
        alive = ranges > 1e-3
        assert np.mean(after[name][alive] / after[name].max()) > np.mean(ranges[alive] / ranges.max())
        np.testing.assert_allclose(after[name].max(), ranges.max(), rtol=1e-4)
        assert (after[name][alive] >= ranges[alive] * (1 - 1e-4)).all()


def test_a_channel_at_the_limit_of_its_relu_is_left_alone(absorbed: Graph, pixels: np.ndarray) -> None:
    kernel, bias = absorbed.weights["conv1"]
    shifted = absorbed.with_weights({"conv1": [kernel, np.where(np.arange(8) == 3, 7.0, bias)]})
    equal = equalized(shifted, pixels).weights["conv1"][0]
    np.testing.assert_array_equal(equal[..., 3], kernel[..., 3])
    assert (np.abs(equal).sum(axis=(0, 1, 2)) > np.abs(kernel).sum(axis=(0, 1, 2))).any()


def test_equalizing_channels_brings_fake_quantization_closer_to_float(absorbed: Graph, pixels: np.ndarray) -> None:
    exact = answered(absorbed, pixels)

    def mean_error(network: Graph) -> float:
        return float(np.abs(answered(fake_quantized(network, [normalize(pixels)]), pixels) - exact).mean())

    assert mean_error(equalized(absorbed, pixels)) < mean_error(absorbed)


def test_correcting_biases_brings_fake_quantization_closer_to_float(absorbed: Graph, pixels: np.ndarray) -> None:
    plain = fake_quantized(absorbed, [normalize(pixels)])
    corrected = with_corrected_biases(plain, absorbed, normalize(pixels))
    exact = answered(absorbed, pixels)
    before, after = (np.abs(answered(network, pixels) - exact).mean() for network in (plain, corrected))
    assert after < before


def test_the_int8_file_keeps_the_whole_promise(int8: bytes) -> None:
    facts = inspect_flatbuffer(int8)
    assert promise_breaches(facts, allow_float=False) == []
    assert facts.full_integer
    assert (facts.input.dtype, facts.input.scale, facts.input.zero_point) == ("int8", 1 / 128, 0)
    assert (facts.output.scale, facts.output.zero_point) == (1 / 256, -128)
    depthwise = [kernel for kernel in facts.kernels if kernel.operator == "DEPTHWISE_CONV_2D"]
    assert len(depthwise) == 13
    assert all(q in (0, 127) for kernel in depthwise for q in kernel.largest)


@pytest.fixture(scope="module")
def seven_bits(absorbed: Graph, pixels: np.ndarray) -> Graph:
    return post_training.calibrated(absorbed, pixels, weight_bits=7)


@pytest.fixture(scope="module")
def int7(seven_bits: Graph) -> bytes:
    return to_int8_flatbuffer(seven_bits)


def test_weights_of_seven_bits_fill_their_range_and_never_leave_it(int7: bytes) -> None:
    facts = inspect_flatbuffer(int7)
    assert promise_breaches(facts, allow_float=False, weight_bits=7) == []
    assert {q for kernel in facts.kernels for q in kernel.largest} <= {0, 63}
    assert facts.full_integer


def test_a_file_of_the_wrong_number_of_bits_breaches_the_promise_either_way(int7: bytes, int8: bytes) -> None:
    short = promise_breaches(inspect_flatbuffer(int7), allow_float=False, weight_bits=8)
    wide = promise_breaches(inspect_flatbuffer(int8), allow_float=False, weight_bits=7)
    assert len(short) == len(wide) == 28
    assert all("do not reach |q| = 127" in breach for breach in short)
    assert all("go beyond |q| = 63" in breach for breach in wide)


def test_the_values_of_a_kernel_of_seven_bits_are_those_that_were_rounded(seven_bits: Graph, int7: bytes) -> None:
    kernel, quantizer, own = layers_of(to_keras(seven_bits))["conv_pw_3"]._weight_vars[0]
    rounded = np.asarray(quantizer(kernel, training=False, weights=own))
    np.testing.assert_allclose(as_float(seven_bits).weights["conv_pw_3"][0], rounded, rtol=1e-5, atol=1e-7)
    wanted = np.transpose(rounded, (3, 0, 1, 2))
    held = next(t for t in parse_graph(int7).tensors if t.dtype == "int8" and t.shape == wanted.shape)
    told = held.constant * held.scales[:, np.newaxis, np.newaxis, np.newaxis]
    np.testing.assert_allclose(told, wanted, rtol=1e-5, atol=1e-7)


def test_the_file_of_seven_bits_answers_as_its_fake_quantization_does(
    int7: bytes, seven_bits: Graph, pixels: np.ndarray
) -> None:
    told = answered(seven_bits, pixels)
    np.testing.assert_allclose(answers(int7, pixels, threads=1), told, atol=0.03)


def test_a_mixed_file_takes_seven_bits_too(absorbed: Graph, seven_bits: Graph, pixels: np.ndarray) -> None:
    mixed = build_mixed(seven_bits, pixels)
    facts = inspect_flatbuffer(mixed.flatbuffer)
    assert promise_breaches(facts, allow_float=True, weight_bits=7) == []
    integer = [kernel for kernel in facts.kernels if kernel.dtype == "int8"]
    assert 20 < len(integer) < 28
    told, given = answered(absorbed, pixels), answers(mixed.flatbuffer, pixels, threads=1)
    assert np.abs(given - told).mean() < 0.1
    copy = for_image_programs(mixed.flatbuffer, b"metadata")
    assert inspect_flatbuffer(copy).input.dtype == "uint8"
    np.testing.assert_array_equal(answers(copy, pixels, threads=1), given)


def test_the_int8_file_answers_as_its_fake_quantization_does(int8: bytes, quantized: Graph, pixels: np.ndarray) -> None:
    told = answered(quantized, pixels)
    np.testing.assert_allclose(answers(int8, pixels, threads=1), told, atol=0.03)


def test_the_float_file_answers_as_keras_does(absorbed: Graph, pixels: np.ndarray) -> None:
    given = answers(to_float_flatbuffer(absorbed), pixels, threads=1)
    np.testing.assert_allclose(given, answered(absorbed, pixels), atol=1e-5)


def test_converting_twice_gives_the_same_bytes(quantized: Graph, int8: bytes) -> None:
    assert to_int8_flatbuffer(quantized) == int8


def test_the_prefix_file_puts_out_what_the_tail_of_the_whole_file_reads(quantized: Graph, pixels: np.ndarray) -> None:
    cut = cut_at(quantized, "conv_dw_12")
    assert cut.prefix is not None
    assert cut.prefix.output == "conv_pw_11_relu"
    features = to_keras(cut.prefix)(normalize(pixels), training=False)
    told = to_keras(cut.tail)(features, training=False)
    np.testing.assert_allclose(told, answered(quantized, pixels), atol=1e-6)


@pytest.mark.parametrize(("soft", "smoothing", "weights"), [(True, 0.0, "none"), (False, 0.1, "balanced")])
def test_answers_are_learned_as_they_are_and_labels_as_the_stage_says(
    quantized: Graph,
    pixels: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    soft: bool,
    smoothing: float,
    weights: str,
) -> None:
    monkeypatch.setenv("MSTL_EDGE_CACHE", str(tmp_path))
    fitted: list[StageSpec] = []
    monkeypatch.setattr(qat, "fit_tail", lambda tail, train, judged, spec, *_, **__: fitted.append(spec) or [])
    images = Images(Rows(pixels, np.arange(len(pixels))), tuple(bytes([i]) * 32 for i in range(len(pixels))))
    classes = np.zeros(len(pixels), dtype=np.int64)
    told = np.full((len(pixels), 2), 0.5, dtype=np.float32) if soft else None
    stage = StageSpec(name="one", data="", unfreeze_from="conv_dw_13", label_smoothing=0.1, mixup=0.2, select="average")
    qat.fine_tune(
        quantized,
        [qat.Lesson(images, classes, told)],
        qat.Lesson(images, classes),
        qat.Tuning(stage, QuantizeSpec(), seed=0),
        Workshop(StageFolder(tmp_path), threads=1),
    )
    assert (fitted[0].label_smoothing, fitted[0].class_weight) == (smoothing, weights)
    assert (fitted[0].select, fitted[0].mixup) == ("last", 0.0)
