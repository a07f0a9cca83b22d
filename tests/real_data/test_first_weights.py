"""Real first weights of several architectures load, tensor by tensor, and put out features that tell images apart."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mstl_edge.preprocess import normalize
from mstl_edge.recipe import BackboneSpec

REAL = os.environ.get("MSTL_EDGE_REAL_DATA", "")
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not REAL, reason="MSTL_EDGE_REAL_DATA is not set: it names a folder with data/ and weights/"),
]
FILES = {
    ("mobilenet_v1", "0.25"): "mobilenet_2_5_224_tf_no_top.h5",
    ("mobilenet_v2", "0.35"): "mobilenet_v2_0.35_224_no_top.h5",
    ("mobilenet_v3", "small"): "mobilenet_v3_small_1.0_224_no_top_folded_dequantized.h5",
    ("efficientnet_lite", "0"): "efficientnet_lite0_224_no_top.h5",
    ("shufflenet_v2", "0.5-no-conv5"): "shufflenet_v2_x0.5_no_conv5.h5",
    ("squeezenet", "1.1"): "squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5",
}


@pytest.mark.parametrize(("name", "variant"), FILES)
def test_first_weights_of_each_architecture_load_and_know_pictures(name: str, variant: str) -> None:
    from mstl_edge.training.network.classifier import classifier
    from mstl_edge.training.network.cut import up_to
    from mstl_edge.training.network.keras import to_keras
    from mstl_edge.training.weights import loaded_backbone

    file = Path(REAL) / "weights" / FILES[name, variant]
    pictures = sorted((Path(REAL) / "data" / "brain-mri-tumor").rglob("*.jpg"))[::15][:8]
    assert len(pictures) == 8
    pixels = [np.asarray(Image.open(picture).convert("RGB").resize((96, 96))) for picture in pictures]

    def likeness(weights: str) -> float:
        """How alike the pooled features of different pictures are: the mean cosine between them, their own mean taken away."""
        spec = BackboneSpec(name=name, variant=variant, input_size=96, weights=weights)
        network = classifier(spec, loaded_backbone(spec, 0), 2)
        features = np.asarray(to_keras(up_to(network, "head_pool"))(normalize(np.stack(pixels)))).reshape(8, -1)
        assert np.isfinite(features).all()
        assert (features.std(axis=0) > 0).mean() > 0.3
        unit = features / np.linalg.norm(features, axis=1, keepdims=True)
        return float((unit @ unit.T)[~np.eye(8, dtype=bool)].mean())

    assert likeness(str(file)) < likeness("none"), "random features are nearly the same for every picture"
