"""From a model file to a runtime that is ready to answer."""

from __future__ import annotations

from pathlib import Path

from mstl_edge.artifact import Artifact, open_artifact, read_artifact
from mstl_edge.errors import MstlEdgeError
from mstl_edge.runtime.choice import choose_runtime, usable
from mstl_edge.runtime.interpreter import BrokenRuntimeError, InterpreterRuntime
from mstl_edge.runtime.spec import RuntimeChoice

MAX_THREADS = 256


def load_runtime(
    model: Path | str | bytes | Artifact, *, runtime: RuntimeChoice = "auto", threads: int = 1
) -> InterpreterRuntime:
    """Verify a model and load it into an interpreter.

    Args:
        model: A file, its bytes, or an opened artifact.
        runtime: `litert`, `tflite-runtime`, or `reference` for LiteRT's reference kernels (slow, for checking); `auto` takes
            LiteRT, and tflite-runtime where LiteRT is not installed or does not import.
        threads: Threads of one inference.

    Raises:
        ArtifactError: The file is damaged, or the runtime refuses it.
        MissingExtraError: The runtime is not installed, or does not import.
        MstlEdgeError: Threads outside 1 … 256, or an unknown runtime.
    """
    if not 1 <= threads <= MAX_THREADS:
        raise MstlEdgeError(f"--threads from 1 to {MAX_THREADS}", received=threads)
    kind, why = choose_runtime(runtime)
    flatbuffer = as_artifact(model).flatbuffer
    try:
        return InterpreterRuntime(flatbuffer, kind, threads=threads, why=why)
    except BrokenRuntimeError as error:
        if runtime != "auto" or not usable("tflite-runtime"):
            raise
        why = f"LiteRT is installed but does not import ({error.received}); tflite-runtime is installed too"
        return InterpreterRuntime(flatbuffer, "tflite-runtime", threads=threads, why=why)


def as_artifact(model: Path | str | bytes | Artifact) -> Artifact:
    """Return `model` opened and verified.

    Raises:
        ArtifactError: See `artifact.open_artifact`.
    """
    if isinstance(model, Artifact):
        return model
    return read_artifact(model) if isinstance(model, bytes) else open_artifact(Path(model))
