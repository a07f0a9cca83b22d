"""First weights: drawn by seed, bundled, from a file, from Keras; and one line for each way that fails."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mstl_edge.errors import WeightsError
from mstl_edge.recipe import BackboneSpec
from mstl_edge.training import weights
from mstl_edge.training._keras import keras
from mstl_edge.training.network.graph import Weights
from mstl_edge.training.network.keras import weights_of
from mstl_edge_models import backbones


def loaded(spec: BackboneSpec, seed: int = 0) -> Weights:
    return weights_of(weights.loaded_backbone(spec, seed))


def spec(**keys: Any) -> BackboneSpec:
    return BackboneSpec(**{"variant": "0.25", "input_size": 32, "weights": "none", **keys})


@pytest.fixture
def no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def half_width_file(tmp_path: Path) -> Path:
    path = tmp_path / "half.h5"
    backbones.REGISTRY["mobilenet_v1"].build(keras, spec(variant="0.5")).save_weights(path)
    return path


def cached_weights(home: Path, of: BackboneSpec) -> None:
    published = backbones.REGISTRY[of.name].weights(of)
    assert published is not None
    path = home / ".keras" / "models" / published.name
    path.parent.mkdir(parents=True)
    backbones.REGISTRY[of.name].build(keras, of).save_weights(path)


def test_random_weights_follow_the_seed() -> None:
    first, same, other = loaded(spec(), 1), loaded(spec(), 1), loaded(spec(), 2)
    np.testing.assert_array_equal(first["conv_pw_3"][0], same["conv_pw_3"][0])
    assert not np.array_equal(first["conv_pw_3"][0], other["conv_pw_3"][0])


def test_bundled_weights_load_and_are_not_random() -> None:
    bundled = loaded(spec(weights="bundled", input_size=96))
    np.testing.assert_array_equal(bundled["conv1"][0], loaded(spec(weights="bundled"))["conv1"][0])
    assert not np.allclose(bundled["conv1_bn"][3], 1.0)  # a variance that training has seen


def test_weights_of_another_width_name_the_first_tensor_that_differs_and_their_own_network(
    half_width_file: Path,
) -> None:
    told = r"mobilenet_v1:0.25 without a head \(conv1/kernel \(3, 3, 3, 8\)\). Received: half.h5 \(conv1/kernel \(3, 3, 3, 16\); "
    with pytest.raises(
        WeightsError, match=told + r"135 of 135 tensors do not fit\). .*--backbone mobilenet_v1:0.5;"
    ) as caught:
        loaded(spec(weights=str(half_width_file)))
    assert "\n" not in str(caught.value)
    assert loaded(spec(weights=str(half_width_file), variant="0.5"))


def test_weights_on_a_disk_without_file_locks_name_the_variable_that_helps(
    half_width_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object, **__: object) -> None:
        raise OSError("Unable to synchronously open file (unable to lock file, errno = 37)")

    assert os.environ["HDF5_USE_FILE_LOCKING"] == "FALSE"  # unless the user has said otherwise
    monkeypatch.setattr(h5py, "File", locked)
    with pytest.raises(WeightsError, match=r"half.h5 \(Unable.*Set HDF5_USE_FILE_LOCKING=FALSE"):
        loaded(spec(weights=str(half_width_file), variant="0.5"))


def test_a_file_that_holds_no_weights_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "torn.h5").write_bytes(b"\x89HDF but not really")
    with pytest.raises(WeightsError, match=r"Received: torn\.h5"):
        loaded(spec(weights=str(tmp_path / "torn.h5")))


def test_a_missing_file_names_the_choices() -> None:
    with pytest.raises(
        WeightsError, match=r"'imagenet', 'bundled' or 'none'. Received: gone.h5. For example --weights"
    ):
        loaded(spec(weights="gone.h5"))


def test_bundled_weights_of_another_width_are_refused() -> None:
    with pytest.raises(
        WeightsError, match=r"Received: mobilenet_v1:0.5. Use --weights imagenet, or --backbone mobilenet_v1:0.25"
    ):
        loaded(spec(weights="bundled", variant="0.5"))


def test_imagenet_weights_of_a_width_that_keras_does_not_publish_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"0.25, 0.5, 0.75, 1.0\). Received: mobilenet_v1:0.35"):
        loaded(spec(weights="imagenet", variant="0.35"))


@pytest.mark.parametrize(
    "failure",
    [
        Exception(
            "URL fetch failure on https://example.org/x: None -- [Errno -3] Temporary failure in name resolution"
        ),
        OSError("Network is unreachable"),
    ],
)
def test_without_network_the_imagenet_file_and_its_place_are_named(
    no_home: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> str:
        raise failure

    monkeypatch.setattr(keras.utils, "get_file", fail)
    name = "mobilenet_2_5_224_tf_no_top.h5"
    with pytest.raises(WeightsError) as caught:
        loaded(spec(weights="imagenet"))
    assert f"Put that file at ~/.keras/models/{name}" in str(caught.value)
    assert f"--weights {name}" in str(caught.value)


def test_a_file_in_the_keras_cache_is_used_without_asking_the_network(
    no_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = spec(variant="0.5", weights="imagenet")
    cached_weights(no_home, half)
    monkeypatch.setattr(keras.utils, "get_file", None)
    assert loaded(half)


def test_a_file_in_the_keras_cache_with_another_content_than_was_published_is_refused(no_home: Path) -> None:
    quarter = spec(weights="imagenet")
    cached_weights(no_home, quarter)
    with pytest.raises(WeightsError, match=r"as it was published \(sha256 .*which has another content. Delete it"):
        loaded(quarter)


def test_tensors_that_are_missing_are_counted(tmp_path: Path) -> None:
    network = backbones.REGISTRY["mobilenet_v1"].build(keras, spec())
    keras.Model(network.input, network.get_layer("conv_pw_12_relu").output).save_weights(tmp_path / "short.h5")
    with pytest.raises(WeightsError, match=r"\(135 tensors\). Received: short.h5 \(125 tensors\)"):
        loaded(spec(weights=str(tmp_path / "short.h5")))


def test_keras_newer_kind_of_weights_file_loads_and_is_checked_as_well(tmp_path: Path) -> None:
    path = tmp_path / "half.weights.h5"
    backbones.REGISTRY["mobilenet_v1"].build(keras, spec(variant="0.5")).save_weights(path)
    assert loaded(spec(weights=str(path), variant="0.5"))
    with pytest.raises(WeightsError, match=r"weights of mobilenet_v1:0.25 without a head. Received: half.weights.h5"):
        loaded(spec(weights=str(path)))


def test_a_mistake_of_ours_is_not_taken_for_a_network_failure(no_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> str:
        raise TypeError("unexpected keyword")

    monkeypatch.setattr(keras.utils, "get_file", fail)
    with pytest.raises(TypeError):
        loaded(spec(weights="imagenet"))
