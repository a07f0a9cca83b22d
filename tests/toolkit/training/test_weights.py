"""First weights: drawn by seed, bundled, from a file, from Keras; and one line for each way that fails."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

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
    return BackboneSpec(**{"alpha": 0.25, "input_size": 32, "weights": "none", **keys})


@pytest.fixture
def no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def half_width_file(tmp_path: Path) -> Path:
    path = tmp_path / "half.weights.h5"
    backbones.REGISTRY["mobilenet_v1"].build(keras, spec(alpha=0.5)).save_weights(path)
    return path


def test_random_weights_follow_the_seed() -> None:
    first, same, other = loaded(spec(), 1), loaded(spec(), 1), loaded(spec(), 2)
    np.testing.assert_array_equal(first["conv_pw_3"][0], same["conv_pw_3"][0])
    assert not np.array_equal(first["conv_pw_3"][0], other["conv_pw_3"][0])


def test_bundled_weights_load_and_are_not_random() -> None:
    bundled = loaded(spec(weights="bundled", input_size=96))
    np.testing.assert_array_equal(bundled["conv1"][0], loaded(spec(weights="bundled"))["conv1"][0])
    assert not np.allclose(bundled["conv1_bn"][3], 1.0)  # a variance that training has seen


def test_weights_of_another_alpha_are_one_line_with_the_way_out(half_width_file: Path) -> None:
    with pytest.raises(WeightsError, match=r"alpha=0.25. Received: half.weights.h5 \(.*Set backbone.alpha") as caught:
        loaded(spec(weights=str(half_width_file)))
    assert "\n" not in str(caught.value)
    assert loaded(spec(weights=str(half_width_file), alpha=0.5))


def test_weights_on_a_disk_without_file_locks_name_the_variable_that_helps(
    half_width_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object) -> None:
        raise OSError("Unable to synchronously open file (unable to lock file, errno = 37)")

    assert os.environ["HDF5_USE_FILE_LOCKING"] == "FALSE"  # unless the user has said otherwise
    monkeypatch.setattr(keras.Model, "load_weights", locked)
    with pytest.raises(WeightsError, match=r"half.weights.h5 \(Unable.*Set HDF5_USE_FILE_LOCKING=FALSE"):
        loaded(spec(weights=str(half_width_file), alpha=0.5))


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
        WeightsError, match=r"Received: alpha=0.5. Use --weights imagenet, or --set backbone.alpha=0.25"
    ):
        loaded(spec(weights="bundled", alpha=0.5))


def test_imagenet_weights_of_a_width_that_keras_does_not_publish_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"0.25, 0.5, 0.75, 1.0\). Received: alpha=0.35"):
        loaded(spec(weights="imagenet", alpha=0.35))


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
    cached = no_home / ".keras" / "models" / "mobilenet_2_5_224_tf_no_top.h5"
    cached.parent.mkdir(parents=True)
    backbones.REGISTRY["mobilenet_v1"].build(keras, spec()).save_weights(cached)
    monkeypatch.setattr(keras.utils, "get_file", None)
    assert loaded(spec(weights="imagenet"))


def test_a_mistake_of_ours_is_not_taken_for_a_network_failure(no_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> str:
        raise TypeError("unexpected keyword")

    monkeypatch.setattr(keras.utils, "get_file", fail)
    with pytest.raises(TypeError):
        loaded(spec(weights="imagenet"))
