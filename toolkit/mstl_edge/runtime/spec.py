"""What every runtime offers: one input, one answer, where the file has it the feature map behind it, and `invoke`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mstl_edge.preprocess import PIXEL_OFFSET, PIXEL_SCALE, normalize

RuntimeKind = Literal["litert", "tflite-runtime", "reference"]
RuntimeChoice = Literal["auto", "litert", "tflite-runtime", "reference"]


@dataclass(frozen=True)
class TensorSpec:
    """Shape and number format of an input or output; `scale` is 0 where it is not quantized."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float
    zero_point: int

    @property
    def quantized(self) -> bool:
        """The numbers stand for `(q − zero_point) · scale`."""
        return self.scale > 0


class Runtime(Protocol):
    """A loaded model. `name` is the library and its version, `why` says in a sentence why this one was taken."""

    @property
    def kind(self) -> RuntimeKind:
        """Which of the runtimes."""

    @property
    def name(self) -> str:
        """For people, such as `LiteRT 2.3.0`."""

    @property
    def why(self) -> str:
        """Why this runtime was chosen."""

    @property
    def threads(self) -> int:
        """Threads of one inference."""

    @property
    def input(self) -> TensorSpec:
        """The one input."""

    @property
    def output(self) -> TensorSpec:
        """The answer."""

    @property
    def feature_map(self) -> TensorSpec | None:
        """The map that the head pools, where the file has it as second output."""

    def invoke_with_map(self, batch: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the raw answer to one image and its raw feature map; see `InterpreterRuntime.invoke_with_map`."""

    def invoke(self, batch: NDArray[Any]) -> NDArray[Any]:
        """Return the raw output for `batch` in the input's own number format; see `InterpreterRuntime.invoke`."""


def to_input(pixels: NDArray[np.uint8], spec: TensorSpec) -> NDArray[Any]:
    """Turn `(…, height, width, 3) uint8` pixels into what the model reads: `(p − 128) / 128`, quantized as `spec` says.

    With scale 1/128 that is `p − 128` in int8 of zero point 0, `p` itself in uint8 of zero point 128, and nothing else.
    """
    if not spec.quantized:
        return normalize(pixels).astype(spec.dtype, copy=False)
    if spec.dtype == np.int8 and spec.scale == 1 / PIXEL_SCALE and spec.zero_point == 0:
        # Flipping the top bit subtracts 128 from a byte.
        return (pixels ^ np.uint8(PIXEL_OFFSET)).view(np.int8)
    if spec.dtype == np.uint8 and spec.scale == 1 / PIXEL_SCALE and spec.zero_point == PIXEL_OFFSET:
        return pixels
    limits = np.iinfo(spec.dtype)
    steps = np.rint(normalize(pixels) / np.float32(spec.scale)) + spec.zero_point
    return np.asarray(np.clip(steps, limits.min, limits.max).astype(spec.dtype))


def pooled(features: NDArray[Any], spec: TensorSpec) -> NDArray[np.float32]:
    """Return the `(n, channels)` means over raw feature maps, as real numbers."""
    return to_real(features.mean(axis=(1, 2), dtype=np.float32), spec)


@dataclass(frozen=True)
class Answer:
    """What a model says of one image.

    Attributes:
        probabilities: `(classes,)`.
        features: `(1, height, width, channels)`, the raw feature map; None where the file does not put it out.
        spec: The number format of `features`.
    """

    probabilities: NDArray[np.float32]
    features: NDArray[Any] | None = None
    spec: TensorSpec | None = None

    def feature_map(self) -> NDArray[np.float32] | None:
        """Return the `(height, width, channels)` real numbers of the feature map."""
        return None if self.features is None or self.spec is None else to_real(self.features, self.spec)[0]

    def pooled(self) -> NDArray[np.float32] | None:
        """Return the `(1, channels)` means of the feature map."""
        return None if self.features is None or self.spec is None else pooled(self.features, self.spec)


def ask(runtime: Runtime, pixels: NDArray[np.uint8]) -> Answer:
    """Answer one preprocessed image, `(height, width, 3) uint8`."""
    batch = to_input(pixels[np.newaxis], runtime.input)
    if runtime.feature_map is None:
        return Answer(to_real(runtime.invoke(batch), runtime.output)[0])
    raw, features = runtime.invoke_with_map(batch)
    return Answer(to_real(raw, runtime.output)[0], features, runtime.feature_map)


def to_real(raw: NDArray[Any], spec: TensorSpec) -> NDArray[np.float32]:
    """Return the real numbers that a raw output stands for, as float32."""
    if not spec.quantized:
        return raw.astype(np.float32, copy=False)
    return np.asarray((raw.astype(np.float32) - spec.zero_point) * np.float32(spec.scale))
