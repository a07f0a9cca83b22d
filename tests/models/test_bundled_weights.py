import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from mstl_edge.data import phantom
from mstl_edge_models import backbones, weights

ROOT = Path(__file__).parents[2]
BACKBONE = backbones.REGISTRY["mobilenet_v1"]


@pytest.fixture(scope="module")
def stored():
    found = {}
    with h5py.File(weights.path(BACKBONE.bundled["0.25"])) as file:
        file.visititems(lambda name, item: found.update({name: np.asarray(item)}) if hasattr(item, "shape") else None)
    return found


def test_the_file_is_at_most_two_megabytes():
    assert 0 < weights.path(BACKBONE.bundled["0.25"]).stat().st_size <= 2_000_000


def test_every_array_is_finite_float32_and_no_kernel_is_empty(stored):
    assert all(array.dtype == np.float32 and np.isfinite(array).all() for array in stored.values())
    assert all(array.std() > 0 for name, array in stored.items() if "kernel" in name)


def test_every_layer_that_a_recipe_can_name_has_weights(stored):
    layers = {name.split("/")[0] for name in stored}
    assert set(BACKBONE.cut_names("0.25")[:-1]) <= layers


def test_batch_norms_have_seen_images(stored):
    variances = [array for name, array in stored.items() if "moving_variance" in name]
    assert len(variances) == 27
    assert all(not np.allclose(variance, 1.0) for variance in variances)


def test_asking_for_the_path_imports_no_framework():
    code = "import sys, mstl_edge_models.weights; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_keras_loads_the_file_and_its_features_tell_images_apart():
    code = f"""
import numpy as np, tf_keras
model = tf_keras.applications.MobileNet(input_shape=(96, 96, 3), alpha=0.25, include_top=False, weights=None)
model.load_weights({str(weights.path(BACKBONE.bundled["0.25"]))!r})
images = np.random.default_rng(0).uniform(-1, 1, (4, 96, 96, 3)).astype('float32')
images[2:] = images[2:].mean(axis=(1, 2), keepdims=True)
features = model(images, training=False).numpy().mean(axis=(1, 2))
assert np.isfinite(features).all() and features.shape == (4, 256)
noise, flat = features[:2].mean(axis=0), features[2:].mean(axis=0)
assert np.abs(noise - flat).max() > 5 * np.abs(features[0] - features[1]).max()
"""
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-800:]


def test_the_images_it_was_trained_on_share_no_code_with_the_phantom():
    drawing = [ROOT / "models" / "pretrain" / name for name in ("figures.py", "grounds.py")]
    imported = {
        name for path in drawing for name in re.findall(r"^(?:from|import) (\w+)", path.read_text(), re.MULTILINE)
    }
    assert imported == {"__future__", "collections", "dataclasses", "numpy", "grounds"}
    drawn = "".join(path.read_text() for path in (ROOT / "toolkit/mstl_edge/data/phantom").glob("*.py"))
    assert "pretrain" not in drawn


def test_the_recorded_difficulty_is_of_these_weights_and_holds_every_bound():
    record = json.loads((ROOT / "benchmarks" / "results" / "phantom-difficulty.json").read_text(encoding="utf-8"))
    content = weights.path(BACKBONE.bundled["0.25"]).read_bytes()
    assert record["bundled_sha256"] == hashlib.sha256(content).hexdigest()
    assert record["phantom_version"] == phantom.VERSION
    assert len(record["seeds"]) == 5
    assert all(record["holds"].values())
