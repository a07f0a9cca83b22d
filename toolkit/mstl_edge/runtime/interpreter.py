"""One `Runtime` over the interpreters of LiteRT and tflite-runtime, which share their Python interface."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.artifact.inspection import is_answer_and_map
from mstl_edge.errors import ArtifactError, MissingExtraError, MstlEdgeError
from mstl_edge.held_back import held_back
from mstl_edge.runtime.choice import install_command
from mstl_edge.runtime.spec import RuntimeKind, TensorSpec

MODULES = {
    "litert": "ai_edge_litert.interpreter",
    "reference": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
}
_TITLES = {"litert": "LiteRT", "reference": "LiteRT reference kernels", "tflite-runtime": "tflite-runtime"}
_PACKAGES = {"litert": "ai-edge-litert", "reference": "ai-edge-litert", "tflite-runtime": "tflite-runtime"}


class BrokenRuntimeError(MissingExtraError):
    """A runtime's package is there and does not import, for example for lack of a system library."""


class InterpreterRuntime:
    """A model held by an interpreter, tensors allocated; a `Runtime`.

    Args:
        flatbuffer: A model that `artifact.read_artifact` has verified: interpreters don't.
        kind: Which library and kernels.
        threads: Threads of one inference.
        why: Why this runtime was chosen.

    Raises:
        ArtifactError: The interpreter refuses the model, or it has several inputs, or outputs beside an answer and its feature map.
        BrokenRuntimeError: The library does not import.
    """

    def __init__(self, flatbuffer: bytes, kind: RuntimeKind, *, threads: int = 1, why: str = "as asked") -> None:
        module = import_interpreter(kind)
        self.kind: RuntimeKind = kind
        self.name = runtime_title(kind)
        self.why = why
        self.threads = threads
        options: dict[str, Any] = {"model_content": flatbuffer, "num_threads": threads}
        if kind == "reference":
            options["experimental_op_resolver_type"] = module.OpResolverType.BUILTIN_REF
        try:
            with held_back():  # LiteRT says on stderr that it has made its delegate
                self.interpreter: Any = module.Interpreter(**options)
                self.interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ArtifactError(f"a model that {self.name} runs", received=_first_line(error)) from error
        self.input, self._input_index = _only(self.interpreter.get_input_details(), "input")
        outputs = self.interpreter.get_output_details()
        self.feature_map: TensorSpec | None = None
        if is_answer_and_map([detail["shape"] for detail in outputs]):
            self.feature_map, self._map_index = _specified(outputs.pop())
        self.output, self._output_index = _only(outputs, "output")

    def invoke(self, batch: NDArray[Any]) -> NDArray[Any]:
        """Return the raw outputs for `batch`.

        Args:
            batch: `(n, …)` in the input's dtype, each row like a row of the input. A model of batch 1 is run n times.

        Returns:
            `(n, …)` in the output's dtype.

        Raises:
            MstlEdgeError: Shape or dtype are not the input's.
        """
        if (
            batch.dtype != self.input.dtype
            or batch.shape[1:] != self.input.shape[1:]
            or len(batch) % self.input.shape[0]
        ):
            raise MstlEdgeError(
                f"a batch {list(self.input.shape)} of {self.input.dtype}",
                received=f"{list(batch.shape)} of {batch.dtype}",
            )
        step = self.input.shape[0]
        if len(batch) == step:
            return self._run(batch)
        if len(batch) == 0:
            return np.empty((0, *self.output.shape[1:]), self.output.dtype)
        return np.concatenate([self._run(batch[start : start + step]) for start in range(0, len(batch), step)])

    def invoke_with_map(self, batch: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the raw answer to one image, and the raw feature map that it was made from.

        Args:
            batch: `(1, …)` in the input's dtype.

        Returns:
            `(1, classes)` and `(1, height, width, channels)`, in the dtypes of `output` and `feature_map`.

        Raises:
            MstlEdgeError: Shape or dtype are not the input's, or the model has no such output.
        """
        if self.feature_map is None:
            raise MstlEdgeError("a model with its feature map as second output", received="a model with one output")
        answer = self.invoke(batch)
        features: NDArray[Any] = self.interpreter.get_tensor(self._map_index)
        return answer, features

    def _run(self, batch: NDArray[Any]) -> NDArray[Any]:
        self.interpreter.set_tensor(self._input_index, batch)
        try:
            self.interpreter.invoke()
        except RuntimeError as error:
            raise ArtifactError(f"a model that {self.name} runs", received=_first_line(error)) from error
        result: NDArray[Any] = self.interpreter.get_tensor(self._output_index)
        return result


def import_interpreter(kind: RuntimeKind) -> Any:
    """Return the module of a runtime's interpreter, imported.

    Raises:
        BrokenRuntimeError: It does not import.
    """
    try:
        return importlib.import_module(MODULES[kind])
    except (ImportError, OSError) as error:
        raise BrokenRuntimeError(
            f"a {_TITLES[kind]} that can be imported",
            received=_first_line(error),
            hint=f"Install it again: {install_command(kind).replace('install', 'install --force-reinstall', 1)}.",
        ) from error


def runtime_title(kind: RuntimeKind) -> str:
    """Return a runtime's name and version."""
    return f"{_TITLES[kind]} {_version(kind)}"


def _version(kind: RuntimeKind) -> str:
    try:
        return importlib.metadata.version(_PACKAGES[kind])
    except importlib.metadata.PackageNotFoundError:
        # A nightly build, a Linux distribution's package or a build of one's own has another name, or none.
        return "of unknown version"


def _only(details: Sequence[dict[str, Any]], what: str) -> tuple[TensorSpec, int]:
    if len(details) != 1 or len(details[0]["shape"]) == 0 or details[0]["shape"][0] == 0:
        raise ArtifactError(
            f"a model with one batched {what}",
            received=f"{len(details)} {what}s",
            hint="'mstl-edge inspect' shows what is in the file.",
        )
    return _specified(details[0])


def _specified(detail: dict[str, Any]) -> tuple[TensorSpec, int]:
    scale, zero_point = detail["quantization"]
    shape = tuple(int(extent) for extent in detail["shape"])
    return TensorSpec(shape, np.dtype(detail["dtype"]), float(scale), int(zero_point)), int(detail["index"])


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
