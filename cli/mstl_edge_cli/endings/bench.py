"""What `bench` ends with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mstl_edge.counted import counted
from mstl_edge.errors import typed
from mstl_edge.schemas.bench import BenchReport, Comparison, Result
from mstl_edge.schemas.bench_wording import marked, milliseconds, speedup, threads_of
from mstl_edge_bench.output.tables import paired_words
from mstl_edge_cli.endings.ending import Ending, Fact, beside_float


def bench_ending(report: BenchReport, *, models: Iterable[Path] = (), out: Path | None = None) -> Ending:
    """Return how long an inference takes, how fast that is beside float and why, whether both answer alike, and the size.

    Args:
        report: What was measured.
        models: As they were named, for the next command.
        out: Where the report was written.
    """
    compared = compared_facts(report.comparisons[0]) if report.comparisons else []
    more = len(report.comparisons) - 1
    facts = (
        *time_facts(report),
        *compared,
        *_size_facts(report),
        *([Fact("besides", f"{counted(more, 'more comparison')} by -v")] if more > 0 else []),
        *([Fact("report", str(out))] if out is not None else []),
    )
    keep = typed("mstl-edge", "bench", *models, "--out", "bench.json")
    return Ending(facts, keep if out is None else typed("mstl-edge", "report", out))


def _subject(report: BenchReport) -> list[Result]:
    """Return the rows of what it is all about: the model that was compared first, else the first int8 one, else the first."""
    compared = report.comparisons[0].model if report.comparisons else ""
    int8 = (row.model for row in report.results if row.is_int8)
    name = compared or next(int8, report.results[0].model)
    return [row for row in report.results if row.model == name]


def time_facts(report: BenchReport) -> list[Fact]:
    """Return the median of an inference at every number of threads, and the machine."""
    rows = _subject(report)
    timed = [row for row in rows if row.latency_ms is not None]
    if not timed:
        return [Fact("time", f"none: {rows[0].invalid_because or 'not measured'}", "doubtful")]
    return [Fact("time", f"{', '.join(map(_milliseconds, timed))}; {report.host.name}")]


def _milliseconds(row: Result) -> str:
    assert row.latency_ms is not None
    ms = marked(milliseconds(row.latency_ms.median), stable=row.latency_ms.stable)
    return f"{ms} ms on {threads_of(row.threads)}{'' if row.valid else ' (not valid)'}"


def compared_facts(comparison: Comparison) -> list[Fact]:
    """Return how fast a model is beside its float twin, why, and whether both answer alike."""
    told = [
        Fact("speed", f"{threads_of(at.threads)}: {speedup(at.interval)}, against the float model")
        for at in comparison.by_threads
    ]
    untold = [Fact("speed", because) for because in comparison.not_compared]
    why = dict.fromkeys(at.because for at in comparison.by_threads if at.because)
    alike = paired_words(comparison)
    answers = [Fact("answers", alike)] if alike else []
    return [*told, *untold, *(Fact("why", because) for because in why), *answers]


def _size_facts(report: BenchReport) -> list[Fact]:
    subject = _subject(report)[0]
    twin = report.comparisons[0].float_model if report.comparisons else ""
    size = next((row.size_bytes for row in report.results if row.model == twin), None)
    return [Fact("size", beside_float(subject.size_bytes, size))]
