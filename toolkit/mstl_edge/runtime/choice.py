"""Which runtime to use, why, and what to install where there is none."""

from __future__ import annotations

import importlib.util
import platform
import struct
import sys

import numpy as np

from mstl_edge.errors import MissingExtraError, MstlEdgeError
from mstl_edge.runtime.spec import RuntimeChoice, RuntimeKind

CHOICES = ("auto", "litert", "tflite-runtime", "reference")
_MODULES = {"litert": "ai_edge_litert", "reference": "ai_edge_litert", "tflite-runtime": "tflite_runtime"}


def choose_runtime(choice: RuntimeChoice) -> tuple[RuntimeKind, str]:
    """Return the runtime to use and a sentence why; it is not imported yet.

    `auto` takes LiteRT where it is installed, since its XNNPACK runs int8 models, and tflite-runtime otherwise.

    Raises:
        MstlEdgeError: No such runtime.
        MissingExtraError: It is not installed, or it can't work beside the NumPy that is.
    """
    if choice not in CHOICES:
        raise MstlEdgeError(f"a runtime ({', '.join(CHOICES)})", received=choice)
    if choice != "auto":
        _require(choice)
        return choice, "as asked"
    if installed("litert"):
        return "litert", "LiteRT is installed; its XNNPACK kernels run int8"
    if installed("tflite-runtime"):
        _require("tflite-runtime")
        return "tflite-runtime", "LiteRT is not installed; tflite-runtime is"
    raise MissingExtraError(
        "a runtime for .tflite models", received="none installed", hint=f"Install one: {install_command()}."
    )


def installed(kind: RuntimeKind) -> bool:
    """Say whether a runtime's package can be found, without importing it."""
    return importlib.util.find_spec(_MODULES[kind]) is not None


def usable(kind: RuntimeKind) -> bool:
    """Say whether a runtime is installed, beside a NumPy that it works with."""
    return installed(kind) and (kind != "tflite-runtime" or _numpy_major() < 2)


def _numpy_major() -> int:
    return int(np.__version__.split(".")[0])


def install_command(kind: RuntimeKind | None = None) -> str:
    """Return what to type to install a runtime on this platform."""
    if kind is None:
        kind = "litert" if has_litert_wheel() else "tflite-runtime"
    if kind == "tflite-runtime":
        if sys.version_info >= (3, 12):
            return "pip install 'tflite-runtime==2.14.0' 'numpy<2' in an environment of Python 3.11 (it has no newer wheel)"
        return "pip install 'tflite-runtime==2.14.0' 'numpy<2'"
    return "pip install ai-edge-litert"


def has_litert_wheel() -> bool:
    """Say whether LiteRT can be installed here.

    Pointers decide beside the machine's name, since a 32-bit Raspberry Pi OS may run a 64-bit kernel.
    """
    return struct.calcsize("P") == 8 and platform.machine().lower() in ("x86_64", "amd64", "aarch64", "arm64")


def _require(kind: RuntimeKind) -> None:
    if not installed(kind):
        raise MissingExtraError(
            f"the runtime {kind}", received="not installed", hint=f"Install it: {install_command(kind)}."
        )
    if not usable(kind):
        raise MissingExtraError(
            "NumPy below 2 beside tflite-runtime, which was built against NumPy 1",
            received=f"NumPy {np.__version__}",
            hint=f"Give it an environment of its own: {install_command('tflite-runtime')}. Or use --runtime litert.",
        )
