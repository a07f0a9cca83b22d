"""Training the tail on stored features of the frozen prefix is the same as training the whole network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mstl_edge.preprocess import normalize
from mstl_edge.recipe import AugmentSpec, BackboneSpec, StageSpec
from mstl_edge.storage import Rows, cache_folder
from mstl_edge.training._keras import keras
from mstl_edge.training.fitting.features import FrozenPrefix, Images, prefix_features
from mstl_edge.training.fitting.fit import Samples, class_weights, fit_tail, predict_logits
from mstl_edge.training.fitting.workshop import Logbook
from mstl_edge.training.network.classifier import classifier, fresh_head, with_softmax
from mstl_edge.training.network.cut import cut_at
from mstl_edge.training.network.graph import Graph
from mstl_edge.training.network.keras import to_keras, weights_of
from mstl_edge.training.weights import loaded_backbone

CLASSES = 3
COUNT = 6


def network(size: int) -> Graph:
    """Return a network whose random weights leave no layer idle: BatchNorm statistics are drawn as well."""
    spec = BackboneSpec(variant="0.25", input_size=size, weights="none")
    drawn = fresh_head(classifier(spec, loaded_backbone(spec, seed=7), CLASSES), seed=7)
    rng = np.random.default_rng(7)
    bounds = ((0.7, 1.5), (-0.2, 0.4), (-0.1, 0.1), (0.5, 1.5))  # gamma, beta, mean, variance
    return drawn.with_weights(
        {
            node.name: [
                rng.uniform(*bound, array.shape).astype(np.float32)
                for bound, array in zip(bounds, drawn.weights[node.name], strict=True)
            ]
            for node in drawn.nodes
            if node.kind == "batch_norm"
        }
    )


def train_whole_network(model: Any, unfreeze_from: str, scaled: Any, labels: Any, spec: StageSpec) -> None:
    """One step of plain Keras on one batch of everything; layers in front of `unfreeze_from` are frozen."""
    trained = False
    for layer in model.layers:
        trained = trained or layer.name == unfreeze_from
        layer.trainable = trained and not isinstance(layer, keras.layers.BatchNormalization)
    rate = spec.learning_rate
    optimizer = keras.optimizers.Adam(rate) if spec.optimizer == "adam" else keras.optimizers.SGD(rate, momentum=0.9)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=spec.label_smoothing)
    model.compile(optimizer=optimizer, loss=loss, jit_compile=False, run_eagerly=True)
    model.fit(
        scaled,
        keras.utils.to_categorical(labels, CLASSES),
        batch_size=len(labels),
        shuffle=False,
        sample_weight=class_weights(labels, CLASSES, spec)[labels],
        verbose=0,
    )


def probabilities(logits: Any) -> Any:
    return np.asarray(keras.activations.softmax(keras.backend.constant(logits)))


@pytest.mark.parametrize(
    ("unfreeze_from", "size", "optimizer"),
    [
        ("conv1", 32, "adam"),
        ("conv_pw_6", 32, "adam"),
        ("conv_dw_12", 64, "adam"),
        ("conv_pw_13", 32, "sgd"),
    ],
)
def test_prefix_and_tail_answer_like_the_whole_network_before_and_after_one_step(
    tmp_path: Path, unfreeze_from: str, size: int, optimizer: str
) -> None:
    rng = np.random.default_rng(size)
    pixels = rng.integers(0, 256, (COUNT, size, size, 3), dtype=np.uint8)
    labels = np.array([0, 0, 1, 2, 2, 2])
    spec = StageSpec(
        name="one",
        data="",
        unfreeze_from=unfreeze_from,
        epochs=1,
        batch_size=COUNT,
        optimizer=optimizer,  # type: ignore[arg-type]
        learning_rate=1e-3 if optimizer == "adam" else 0.05,
        label_smoothing=0.1,
        select="last",
    )
    begun = network(size)
    cut, model = cut_at(begun, unfreeze_from), to_keras(begun)
    tail = to_keras(cut.tail, matrix_products=True)
    images = Images(Rows(pixels, np.arange(COUNT)), tuple(bytes([i]) * 32 for i in range(COUNT)))
    (features,) = prefix_features(FrozenPrefix(cut.prefix, threads=1), images, AugmentSpec())
    samples = Samples((features,), labels)

    before = probabilities(model(normalize(pixels), training=False))
    np.testing.assert_allclose(probabilities(predict_logits(tail, features)), before, atol=1e-4)

    fit_tail(tail, samples, samples, spec, Logbook(tmp_path / "checkpoint.npz"), seed=0)
    train_whole_network(model, unfreeze_from, normalize(pixels), labels, spec)
    after = probabilities(model(normalize(pixels), training=False))
    assert np.abs(after - before).max() > 1e-2
    np.testing.assert_allclose(probabilities(predict_logits(tail, features)), after, atol=1e-4)


def test_features_in_half_precision_take_half_the_space_and_nearly_the_same_values() -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (COUNT, 32, 32, 3), dtype=np.uint8)
    cut = cut_at(network(32), "conv_dw_13")
    images = Images(Rows(pixels, np.arange(COUNT)), tuple(bytes([i]) * 32 for i in range(COUNT)))
    prefix = FrozenPrefix(cut.prefix, threads=1)
    (whole,), (half,) = (
        prefix_features(prefix, images, AugmentSpec(), precision=precision) for precision in ("float32", "float16")
    )
    assert half[0].dtype == np.float32
    np.testing.assert_allclose(half[np.arange(COUNT)], whole[np.arange(COUNT)], rtol=1e-3, atol=1e-6)
    sizes = {
        path.parent.name.endswith("float16"): path.stat().st_size for path in cache_folder("features").rglob("rows.bin")
    }
    assert 2 * sizes[True] == sizes[False]


def test_a_trained_tail_put_back_into_the_network_answers_the_same(tmp_path: Path) -> None:
    whole = network(32)
    cut = cut_at(whole, "conv_dw_12")
    assert cut.prefix is not None
    scaled = normalize(np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8))
    tail = to_keras(cut.tail, matrix_products=True)
    for variable in tail.trainable_variables:
        variable.assign(variable * 1.1 + 0.01)
    changed = whole.with_weights(weights_of(tail))
    assert not np.array_equal(changed.weights["conv_pw_13"][0], whole.weights["conv_pw_13"][0])
    np.testing.assert_allclose(to_keras(changed)(scaled), tail(to_keras(cut.prefix)(scaled)), atol=1e-5)


def test_the_temperature_lies_in_the_head_of_the_network_with_softmax() -> None:
    whole = network(32)
    scaled = normalize(np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8))
    cooled, warm = to_keras(with_softmax(whole, 2.5)), to_keras(whole)
    np.testing.assert_allclose(cooled(scaled), probabilities(warm(scaled).numpy() / 2.5), atol=1e-6)
    assert not any(layer.trainable for layer in cooled.layers if isinstance(layer, keras.layers.BatchNormalization))


def test_the_key_of_a_prefix_follows_its_weights_and_nothing_else() -> None:
    prefix, same = (cut_at(network(32), "conv_dw_3").prefix for _ in range(2))
    assert prefix is not None
    assert same is not None
    assert prefix.key() == same.key()
    kernel = same.weights["conv_dw_2"][0].copy()
    kernel[0, 0, 0, 0] += 1e-6
    assert prefix.key() != same.with_weights({"conv_dw_2": [kernel]}).key()
