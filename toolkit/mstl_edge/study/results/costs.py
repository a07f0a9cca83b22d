"""What the arms of a study on several networks cost, from a benchmark of the files that their first folds left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mstl_edge.metrics import Interval
from mstl_edge.schemas.bench import BenchReport, Result, encode_report
from mstl_edge.schemas.bench_reading import read_report
from mstl_edge.schemas.study import Cost, Costs
from mstl_edge.storage import write_bytes
from mstl_edge.study.folder import StudyFolder

Bench = Callable[[Sequence[Path]], BenchReport]
"""Measures model files in turns, without scoring them."""


def bench_models(study: StudyFolder, bench: Bench) -> None:
    """Measure the files of every arm, where there are any that nobody measured yet."""
    paths = list(_titles(study))
    if paths and not study.bench.is_file():
        write_bytes(study.bench, encode_report(bench(paths)))


def read_costs(study: StudyFolder) -> Costs:
    """Return what was measured; nothing where nothing was.

    Raises:
        RunError: The benchmark's file is damaged.
    """
    if not study.bench.is_file():
        return Costs()
    report, titles = read_report(study.bench), {path.name: title for path, title in _titles(study).items()}
    return Costs(
        host=report.host.name,
        cpu=report.host.cpu,
        runtime=report.results[0].runtime,
        threads=report.results[0].threads,
        rows=tuple(_cost(*titles[row.model], row) for row in report.results if row.model in titles),
    )


def _titles(study: StudyFolder) -> dict[Path, tuple[str, str]]:
    """Return the files that were kept, each with its arm and scheme."""
    named = {study.model(arm.name, scheme): (arm.name, scheme) for arm in study.plan().arms for scheme in arm.schemes}
    return {path: title for path, title in named.items() if path.is_file()}


def _cost(arm: str, scheme: str, row: Result) -> Cost:
    blocks = row.block_medians_ms[-row.latency_ms.blocks :] if row.latency_ms else ()
    return Cost(
        arm=arm,
        scheme=scheme,
        parameters=row.parameters,
        macs=row.macs,
        size_bytes=row.size_bytes,
        latency_ms=Interval(row.latency_ms.median, min(blocks), max(blocks)) if row.latency_ms and blocks else None,
        valid=row.valid,
        operators=row.operators,
        elsewhere=row.operators_elsewhere,
    )
