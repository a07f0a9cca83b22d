"""One row of a report, from a loaded model and what was measured of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from mstl_edge.schemas.bench import Accuracy, Conditions, Result, Startup
from mstl_edge_bench.lineup import name_of, scheme_of, trainable_parameters
from mstl_edge_bench.loaded import Loaded
from mstl_edge_bench.timing.latency import Times
from mstl_edge_bench.timing.validity import Judgement


@dataclass(frozen=True)
class Timing:
    """How one model was timed.

    Attributes:
        readings: The machine before, between and after the blocks.
        judgement: What is to be thought of the times.
        times: What was timed; None on an emulated CPU.
        startup: What a fresh process found; None likewise.
    """

    readings: Sequence[Conditions]
    judgement: Judgement
    times: Times | None = None
    startup: Startup | None = None


def result_row(model: Loaded, timing: Timing, *, accuracy: Accuracy | None, candidate: str | None) -> Result:
    """Return the row of one model at one number of threads.

    Args:
        model: Which.
        timing: How it was timed.
        accuracy: Its scores, None where they were not measured.
        candidate: What its export calls it, where the export did not choose it.
    """
    readings, judgement, times, startup = timing.readings, timing.judgement, timing.times, timing.startup
    artifact, runtime = model.artifact, model.runtime
    facts, card = artifact.facts, artifact.card
    path = artifact.path
    return Result(
        model=artifact.name,
        name=name_of(artifact),
        scheme=scheme_of(artifact),
        candidate=candidate if candidate != scheme_of(artifact) else None,
        sha256=hashlib.sha256(artifact.flatbuffer).hexdigest(),
        input_shape=facts.input.shape,
        runtime=runtime.name,
        runtime_kind=runtime.kind,
        runtime_because=runtime.why,
        threads=runtime.threads,
        latency_ms=times.infer if times else None,
        decode_resize_ms=times.decode if times else None,
        end_to_end_ms=times.end_to_end if times else None,
        block_medians_ms=times.block_medians_ms if times else (),
        overhead=times.overhead if times else None,
        startup=startup,
        accuracy=accuracy,
        parameters=facts.parameters,
        trainable_parameters=trainable_parameters(artifact),
        macs=facts.macs,
        size_bytes=path.stat().st_size if path else len(artifact.flatbuffer),
        flatbuffer_bytes=len(artifact.flatbuffer),
        peak_rss_bytes=startup.peak_rss_bytes if startup else None,
        operators=model.coverage.operators,
        operators_in_xnnpack=model.coverage.delegated,
        operators_elsewhere=model.coverage.others,
        golden_lsb=model.golden_lsb,
        before=readings[0],
        between=tuple(readings[1:-1]),
        after=readings[-1],
        valid=judgement.invalid_because is None,
        invalid_because=judgement.invalid_because,
        warnings=judgement.warnings,
        unknown=() if card is not None else ("labels", "preprocessing", "threshold", "accuracy"),
    )
