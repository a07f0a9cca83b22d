"""One `Runtime` over LiteRT, tflite-runtime and LiteRT's reference kernels; imports none of them until one is loaded."""

from __future__ import annotations

from mstl_edge.runtime.choice import CHOICES, choose_runtime, install_command, installed
from mstl_edge.runtime.interpreter import InterpreterRuntime
from mstl_edge.runtime.loading import as_artifact, load_runtime
from mstl_edge.runtime.replay import allowed_lsb, difference_lsb, record_golden, replay_golden
from mstl_edge.runtime.spec import (
    Answer,
    Runtime,
    RuntimeChoice,
    RuntimeKind,
    TensorSpec,
    ask,
    pooled,
    to_input,
    to_real,
)

__all__ = [
    "CHOICES",
    "Answer",
    "InterpreterRuntime",
    "Runtime",
    "RuntimeChoice",
    "RuntimeKind",
    "TensorSpec",
    "allowed_lsb",
    "as_artifact",
    "ask",
    "choose_runtime",
    "difference_lsb",
    "install_command",
    "installed",
    "load_runtime",
    "pooled",
    "record_golden",
    "replay_golden",
    "to_input",
    "to_real",
]
