"""The one door to TensorFlow, tf_keras and tfmot; no other module knows how they are made to work together.

tfmot's quantization-aware training does not take Keras 3, so the legacy Keras has to be chosen before TensorFlow is
imported. oneDNN is on by default only where the CPU has AVX-512; on AVX2 it pays as well, so it is switched on unless
the user said otherwise.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

from mstl_edge.errors import MissingExtraError
from mstl_edge.held_back import held_back
from mstl_edge.installing import install_extra

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
# First weights are only read; HDF5 would refuse to on a network disk without file locks.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")


def _import() -> tuple[Any, Any]:
    """Import TensorFlow and tf_keras with the C++ start-up chatter, which no log level silences, held back."""
    try:
        with held_back(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import tensorflow
            import tf_keras

            tensorflow.config.list_physical_devices()
    except ImportError as error:
        raise MissingExtraError(
            f"TensorFlow and tf-keras to train and export ({error.name or error})",
            hint=f"Install them with: {install_extra('train')}",
        ) from error
    tensorflow.get_logger().setLevel("ERROR")
    return tensorflow, tf_keras


tf, keras = _import()
tf.config.experimental.enable_op_determinism()


def import_tfmot() -> Any:
    """Return tensorflow_model_optimization; imported late, since only export needs it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import tensorflow_model_optimization as tfmot
    except ImportError as error:
        raise MissingExtraError(
            "tensorflow-model-optimization for quantization-aware training",
            hint=f"Install it with: {install_extra('train')}",
        ) from error
    return tfmot


def import_tfmot_internals() -> tuple[Any, Any]:
    """Return tfmot's `default_8bit` package and its graph transformer: a scheme of one's own needs both, unexported."""
    import_tfmot()
    from tensorflow_model_optimization.python.core.quantization.keras import default_8bit
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (  # noqa: F401 - loads them
        default_8bit_quantize_registry,
        default_8bit_quantize_scheme,
        default_8bit_transforms,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.graph_transformations import model_transformer

    return default_8bit, model_transformer


def import_tflite_convert() -> Any:
    """Return TFLite's conversion module, whose quantizer takes more options than the public converter passes on."""
    from tensorflow.lite.python import convert

    return convert


def versions() -> dict[str, str]:
    """Return the versions that decide what is trained and exported."""
    from importlib import metadata

    import numpy
    import PIL

    packages = ("mstl-edge", "tensorflow-model-optimization", "ai-edge-litert")
    return {
        **{package: metadata.version(package) for package in packages},
        "tensorflow": tf.__version__,
        "tf_keras": keras.__version__,
        "numpy": numpy.__version__,
        "pillow": PIL.__version__,
        "python": sys.version.split()[0],
    }
