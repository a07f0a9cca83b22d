"""NASNet-A mobile (Zoph et al. 2018, arXiv:1707.07012), as `keras.applications` builds it.

A cell reads what the two cells before it put out, so between cells no single value parts the network: it can be cut behind its stem
and in front of its head alone.
"""

from __future__ import annotations

from typing import Any

from mstl_edge_models.backbones.base import Backbone, CutPoint, Published, Spec, head, whole
from mstl_edge_models.backbones.layers import renamed

_STEM, _LAST = 32, 1056
_URL = "https://storage.googleapis.com/tensorflow/keras-applications/nasnet/NASNet-mobile-no-top.h5"


def build(keras: Any, spec: Spec) -> Any:
    """Return NASNet-A mobile without its head, flat, with random weights, the layers behind its stem called `cells`."""
    model = keras.applications.NASNetMobile(
        input_shape=(spec.input_size, spec.input_size, 3), include_top=False, weights=None
    )
    behind = [layer.name for layer in model.layers[1:] if not layer.name.startswith("stem")]
    return renamed(keras, model, {name: f"cells_{number}" for number, name in enumerate(behind)})


def cut_points(variant: str) -> tuple[CutPoint, ...]:
    """Return the two places where one value parts the network, and its input."""
    return (CutPoint("stem", 3, whole), CutPoint("cells", _STEM, lambda size: (size - 3) // 2 + 1), head(_LAST))


BACKBONE = Backbone(
    name="nasnet_mobile",
    variants=("1.0",),
    default="1.0",
    cut_points=cut_points,
    build=build,
    parameters=lambda variant: 4_269_716,
    weights=lambda spec: Published("nasnet_mobile_no_top.h5", _URL, "md5:1ed92395b5b598bdda52abe5c0dbfd63"),
)
