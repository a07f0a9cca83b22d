"""Reading a benchmark's report; one of before steadiness was judged (a `Timing` without `stable`) is judged as it is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from mstl_edge.schemas.bench import BENCH, BenchReport, Comparison, Result
from mstl_edge.schemas.bench_steadiness import block_medians, judged, not_compared_because, unstable_because

HINT = "Write one with 'mstl-edge bench --out FILE'."
_OLDER_WARNING = "medians of the blocks differ by "
"""What an older version said beside times that it called valid."""


def read_report(path: Path) -> BenchReport:
    """Read a report that `mstl-edge bench --out` or `--json` wrote; one of before steadiness was judged is judged now.

    Raises:
        RunError: It is missing, no JSON, of another schema or a newer version, or a field is missing or wrong.
    """
    report = BENCH.read(path, hint=HINT)
    results = tuple(_brought_up(row) for row in report.results)
    comparisons = tuple(_without_spoiled(one, results) for one in report.comparisons)
    first = _without_spoiled(report.comparison, results) if report.comparison else None
    return msgspec.structs.replace(report, results=results, comparisons=comparisons, comparison=first)


def _brought_up(row: Result) -> Result:
    if row.latency_ms is None or row.latency_ms.stable is not None:
        return row
    kinds = ("latency_ms", "decode_resize_ms", "end_to_end_ms")
    timings = {kind: judged(timing) for kind in kinds if (timing := getattr(row, kind)) is not None}
    because = unstable_because(timings["latency_ms"])
    return msgspec.structs.replace(
        row,
        **timings,
        block_medians_ms=tuple(block_medians(row.latency_ms)),
        valid=row.valid and because is None,
        invalid_because=" ".join(filter(None, (row.invalid_because, because))) or None,
        warnings=tuple(warning for warning in row.warnings if not warning.startswith(_OLDER_WARNING)),
    )


def _without_spoiled(comparison: Comparison, results: Sequence[Result]) -> Comparison:
    """Return a comparison without speed-ups of times that are not valid."""
    kept, told = [], list(comparison.not_compared)
    for at in comparison.by_threads:
        sides = [row for row in results if row.threads == at.threads and _is_side(row, comparison)]
        because = not_compared_because(sides)
        if because is None:
            kept.append(at)
        else:
            told.append(because)
    first = comparison.speedup if kept[:1] == list(comparison.by_threads[:1]) else None
    return msgspec.structs.replace(comparison, by_threads=tuple(kept), not_compared=tuple(told), speedup=first)


def _is_side(row: Result, comparison: Comparison) -> bool:
    """Say whether a comparison speaks of a row; a file that does not name its models speaks of all."""
    if not comparison.model:
        return True
    return row.model in (comparison.model, comparison.float_model)
