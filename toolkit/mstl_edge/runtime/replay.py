"""Record golden samples at export, and replay them wherever the model is used."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.artifact import LSB, Artifact, GoldenSample, draw_golden_images
from mstl_edge.artifact.head import LinearHead, linear_head
from mstl_edge.artifact.tflite_graph import parse_graph
from mstl_edge.errors import ArtifactError
from mstl_edge.runtime.interpreter import InterpreterRuntime
from mstl_edge.runtime.loading import load_runtime
from mstl_edge.runtime.spec import Runtime, RuntimeKind, TensorSpec, to_input, to_real

CANDIDATES = 64
"""Images drawn to choose golden samples from."""
LOWEST_SHARE, HIGHEST_SHARE = 0.35, 0.65
"""Between these a probability moves at least nine tenths as far as at 0.5 for the same change of the logits."""
INTEGER_MARGIN_LSB = 1.0
"""Room for another release of a runtime. LiteRT's own int8 answers were equal on SSE4, AVX2, AVX-512 and NEON."""
FLOAT_MARGIN_LSB = 0.05
"""2e-4 in probability; float runtimes agree to about 1e-6."""
UNMEASURED_LSB = 2.0
"""Added for a runtime that was not there at export; XNNPACK's int8 is not bit-identical to other kernels."""


def record_golden(
    flatbuffer: bytes,
    images: Sequence[NDArray[np.uint8]] | None = None,
    runtimes: Sequence[RuntimeKind] = ("litert",),
    *,
    count: int = 3,
) -> list[GoldenSample]:
    """Answer drawn images by the reference kernels and by each runtime, and measure how far the two lie apart.

    Of the images those are kept whose answers are spread over the middle of the range: there a probability moves most with
    the logits, so that a changed weight shows, and unequal ones show a model that answers the same to everything.

    What a replay can notice is bounded by the 256 steps of an int8 output. Of single weight bytes changed at random in the middle
    third of a network, three samples noticed 49 % in a post-training and 38 % in a quantization-aware MobileNet 0.25 at 96 pixels,
    trained on drawn scans, and 95 % at 224 pixels with ImageNet weights. So a replay proves the runtime; the bytes of the file are
    proven by the hash on its card.

    Args:
        flatbuffer: A verified model of one RGB input.
        images: `(height, width, 3) uint8` each; by default drawn ones.
        runtimes: Which to measure beside the reference kernels; the first one chooses the images, since those are slow.
        count: How many samples to keep.

    Raises:
        ArtifactError: The reference kernels do not run the model.
        MissingExtraError: One of the runtimes is not installed.
    """
    reference, head = InterpreterRuntime(flatbuffer, "reference"), linear_head(parse_graph(flatbuffer))
    measured: dict[RuntimeKind, Runtime] = {kind: load_runtime(flatbuffer, runtime=kind) for kind in runtimes}
    drawn = images if images is not None else _candidates(reference.input.shape[1])
    samples = []
    for image in _spread(drawn, next(iter(measured.values()), reference), count):
        expected, strayed = _answer(reference, head, image)
        tolerance, answers, of_map = {"reference": 0.0}, {}, {"reference": strayed}
        for kind, runtime in measured.items():
            raw, of_map[kind] = _answer(runtime, head, image)
            tolerance[kind] = difference_lsb(raw, expected, reference.output)
            answers[str(kind)] = tuple(raw.tolist())
        margin = INTEGER_MARGIN_LSB if reference.output.quantized else FLOAT_MARGIN_LSB
        map_lsb = {kind: lsb for kind, lsb in of_map.items() if lsb is not None}
        samples.append(GoldenSample(image, tuple(expected.tolist()), tolerance, margin, answers, map_lsb))
    return samples


def _answer(runtime: Runtime, head: LinearHead | None, image: NDArray[np.uint8]) -> tuple[NDArray[Any], float | None]:
    """Return the raw answer to an image, and how far the one that follows from the feature map lies from it, in LSB.

    None where the model has no such map.
    """
    batch = to_input(image[None], runtime.input)
    if head is None or runtime.feature_map is None:
        return runtime.invoke(batch)[0], None
    raw, features = runtime.invoke_with_map(batch)
    told = head.probabilities(head.class_maps(to_real(features, runtime.feature_map)[0]))
    given = to_real(raw, runtime.output)[0]
    step = runtime.output.scale if runtime.output.quantized else LSB
    return raw[0], float(np.abs(told - given).max() / step)


@functools.lru_cache(maxsize=1)
def _candidates(size: int) -> tuple[NDArray[np.uint8], ...]:
    """Draw once for all files of an export."""
    return tuple(draw_golden_images(size, CANDIDATES))


def _spread(images: Sequence[NDArray[np.uint8]], runtime: Runtime, count: int) -> list[NDArray[np.uint8]]:
    """Choose the images whose first probability lies nearest to targets over the middle of the range, its ends first.

    The first sample is the one that every load replays. An image that leaves the last features empty is answered by the biases
    alone, often near 0.5, and tells nothing of the weights before them; that must not be the first.
    """
    raw = np.concatenate([runtime.invoke(to_input(image[None], runtime.input)) for image in images])
    shares = to_real(raw, runtime.output)[:, 0].astype(np.float64)
    chosen: list[int] = []
    for target in sorted(
        np.linspace(LOWEST_SHARE, HIGHEST_SHARE, min(count, len(images))), key=lambda share: -abs(share - 0.5)
    ):
        distance = np.abs(shares - target)
        distance[chosen] = np.inf
        chosen.append(int(np.argmin(distance)))
    return [images[number] for number in chosen]


def difference_lsb(a: NDArray[Any], b: NDArray[Any], output: TensorSpec) -> float:
    """Return the largest difference of two raw outputs in steps of the output (1/256 where it is float)."""
    step = 1.0 if output.quantized else LSB
    return float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max() / step)


def expected_of(sample: GoldenSample, kind: RuntimeKind) -> NDArray[Any]:
    """Return what a runtime is held to: its own answer at export, else the reference kernels'."""
    return np.asarray(sample.answers.get(kind, sample.outputs))


def allowed_lsb(sample: GoldenSample, kind: RuntimeKind) -> float:
    """Return how far a runtime's answer may lie from `expected_of`."""
    if kind in sample.answers:
        return sample.margin_lsb
    if kind in sample.tolerance_lsb:
        return sample.tolerance_lsb[kind] + sample.margin_lsb
    return max(sample.tolerance_lsb.values(), default=0.0) + sample.margin_lsb + UNMEASURED_LSB


def replay_golden(runtime: Runtime, artifact: Artifact, *, count: int | None = None) -> float | None:
    """Answer the golden images again, and compare.

    Args:
        runtime: Loaded from this artifact.
        artifact: An opened model file.
        count: How many samples; all by default.

    Returns:
        The largest difference in LSB; None where the file carries no sample, so that nothing could be checked.

    Raises:
        ArtifactError: An answer lies outside the tolerance: this runtime doesn't compute what was exported.
    """
    largest: float | None = None
    samples = artifact.golden[:count]
    head = artifact.head if any(sample.map_lsb for sample in samples) else None
    for sample in samples:
        raw, strayed = _answer(runtime, head, sample.image)
        difference = difference_lsb(raw, expected_of(sample, runtime.kind), runtime.output)
        _refuse_beyond(allowed_lsb(sample, runtime.kind), difference, "answers to the golden images", runtime)
        if strayed is not None:
            _refuse_beyond(_allowed_of_map(sample, runtime.kind), strayed, "feature maps of the golden images", runtime)
        largest = max(difference, largest or 0.0)
    return largest


def _allowed_of_map(sample: GoldenSample, kind: RuntimeKind) -> float:
    """Return how far the answer that follows from the feature map may lie from the one that is given."""
    if kind in sample.map_lsb:
        return sample.map_lsb[kind] + sample.margin_lsb
    return max(sample.map_lsb.values(), default=0.0) + sample.margin_lsb + UNMEASURED_LSB


def _refuse_beyond(allowed: float, difference: float, what: str, runtime: Runtime) -> None:
    # Written so that a NaN is refused too.
    if not difference <= allowed:
        raise ArtifactError(
            f"{what} within {allowed:.2f} LSB of those at export",
            received=f"{difference:.2f} LSB in {runtime.name}",
            hint="Try --runtime reference, or another version of the runtime.",
        )
