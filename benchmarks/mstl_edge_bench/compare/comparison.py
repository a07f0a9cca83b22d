"""Quantized models against their float twin: speed in the same session, answers on the same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from mstl_edge.schemas.bench import Comparison, Host, Result, SpeedupAt
from mstl_edge.schemas.bench_steadiness import not_compared_because
from mstl_edge_bench.compare.explain import explain_speedup
from mstl_edge_bench.machine.delegate import Coverage
from mstl_edge_bench.scoring.accuracy import Answers, pair
from mstl_edge_bench.timing.noise import latency_ratio


def compare_models(
    results: Sequence[Result], coverages: Mapping[str, Coverage], answers: Mapping[str, Answers], host: Host
) -> list[Comparison]:
    """Return each quantized model beside the first float32 model; empty where there is no such pair.

    Args:
        results: All rows, every number of threads.
        coverages: File name → operators in XNNPACK.
        answers: File name → what the model answered; empty where accuracy was not measured.
        host: For the reason of the ratio.
    """
    floats = [row for row in results if row.scheme == "float32"]
    if not floats:
        return []
    twin = floats[0]
    compared = []
    for name in dict.fromkeys(row.model for row in results if row.scheme != "float32"):
        rows = [row for row in results if row.model == name]
        both = name in answers and twin.model in answers
        paired = pair(answers[name], answers[twin.model]) if both else None
        twins = [row for row in floats if row.model == twin.model]
        by_threads, not_compared = _speedups(rows, twins, (coverages[name], coverages[twin.model]), host)
        first = next((at.speedup for at in by_threads if at.threads == rows[0].threads), None)
        comparison = Comparison(
            model=name,
            float_model=twin.model,
            runtime_kind=twin.runtime_kind,
            speedup=first,
            by_threads=tuple(by_threads),
            not_compared=tuple(not_compared),
            size_ratio=rows[0].flatbuffer_bytes / twin.flatbuffer_bytes,
        )
        answered = msgspec.structs.asdict(paired) if paired is not None else {}
        compared.append(msgspec.structs.replace(comparison, **answered))
    return compared


def _speedups(
    rows: Sequence[Result], twins: Sequence[Result], coverages: tuple[Coverage, Coverage], host: Host
) -> tuple[list[SpeedupAt], list[str]]:
    """Return the speed-up at each number of threads at which both have valid times, and why there is none at the others."""
    found, without = [], []
    for row in rows:
        twin = next(entry for entry in twins if entry.threads == row.threads)
        if row.latency_ms is None or twin.latency_ms is None:
            continue
        if because := not_compared_because((twin, row)):
            without.append(because)
            continue
        ratio = latency_ratio(twin.latency_ms, row.latency_ms)
        facts = explain_speedup(
            ratio,
            *coverages,
            host=host,
            runtime_kind=row.runtime_kind,
            scheme=row.scheme,
        )
        found.append(SpeedupAt(threads=row.threads, speedup=ratio.value, low=ratio.low, high=ratio.high, because=facts))
    return found, without
