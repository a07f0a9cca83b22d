"""Multi-stage transfer of small medical image classifiers, int8 TFLite, and proof on edge devices.

`import mstl_edge` needs no TensorFlow; `mstl_edge.training` is the only part that does. Names are imported when they are
first used, so that the import itself takes no time.

    from mstl_edge import load_classifier
    classifier = load_classifier("model.tflite")
    print(classifier.predict("image.png"))
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mstl_edge.errors import MstlEdgeError

if TYPE_CHECKING:
    from mstl_edge.artifact import open_artifact
    from mstl_edge.classifier import load_classifier
    from mstl_edge.recipe import load_recipe
    from mstl_edge.runtime import load_runtime

__version__ = "0.1.0"

__all__ = ["MstlEdgeError", "__version__", "load_classifier", "load_recipe", "load_runtime", "open_artifact"]

_HOMES = {
    "load_classifier": "mstl_edge.classifier",
    "load_recipe": "mstl_edge.recipe",
    "load_runtime": "mstl_edge.runtime",
    "open_artifact": "mstl_edge.artifact",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
