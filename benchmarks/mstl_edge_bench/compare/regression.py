"""A report against an earlier one of the same models: what got worse, judged by the interval and not by the value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mstl_edge import bounded
from mstl_edge.errors import GateRefusedError, MstlEdgeError
from mstl_edge.metrics import Interval, paired_difference, wilson
from mstl_edge.schemas.bench import Accuracy, Change, Result, Verdict
from mstl_edge.schemas.bench_wording import threads_of
from mstl_edge_bench.compare.baseline import Baseline, Tolerances, key_of, matched
from mstl_edge_bench.timing.noise import ratio_between_runs


@dataclass(frozen=True)
class Compared:
    """What changed against a baseline, and which rows had nothing to be compared with."""

    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()


def compare_rows(now: Sequence[Result], baseline: Baseline) -> Compared:
    """Compare latency by model, runtime and threads, and accuracy by model: neither threads nor runtimes are asked for answers."""
    tolerances, earlier = baseline.tolerances, baseline.report.results
    pairs, notes = matched(now, earlier)
    changes = [] if tolerances.accuracy_alone else _latencies(pairs, tolerances)
    for model in dict.fromkeys(key_of(row).model for row in now):
        new, old = (
            next((row for row in rows if key_of(row).model == model and row.accuracy), None) for rows in (now, earlier)
        )
        if new is not None and old is not None:
            changes.append(_accuracy_change(new, old, tolerances.accuracy))
        elif old is not None:
            notes.append(f"baseline: accuracy of {old.model}: in the baseline, not measured now")
    return Compared(tuple(changes), tuple(notes))


def refuse_regressions(changes: Sequence[Change], tolerances: Tolerances) -> None:
    """Raise for what is worse than tolerated, beyond noise.

    Raises:
        GateRefusedError: A regression; exit code 3.
        MstlEdgeError: What is gated could not be compared, or latency was measured under conditions that spoil it.
    """
    worse = [change for change in changes if change.verdict == "regression"]
    if worse:
        bounds = [f"{name} within {_bound(name, bound)}" for name, bound in tolerances.gated()]
        raise GateRefusedError(
            f"{' and '.join(bounds)} of the baseline",
            received="; ".join(describe_change(change) for change in worse),
            hint="See the comparison above; a new baseline is written by 'mstl-edge bench --out FILE'.",
        )
    spoiled = [change for change in changes if change.verdict == "invalid"]
    if spoiled and tolerances.latency is not None:
        raise MstlEdgeError(
            "valid times in both reports",
            received=f"invalid ones for {spoiled[0].model}",
            hint="'invalid_because' in the report says what to do.",
        )
    for name, _ in tolerances.gated():
        if not any(change.what == name for change in changes):
            raise MstlEdgeError(
                f"{name} in both reports, since --fail-on names it",
                received="none to compare",
                hint="Measure accuracy by --data SOURCE; latency is withheld on emulated CPUs.",
            )


def describe_change(change: Change) -> str:
    """Return one change in a few words; times that are not valid give no ratio."""
    if change.verdict == "invalid":
        return f"{change.model}, {threads_of(change.threads)}: latency not compared, since the times of one report are not valid"
    if change.what == "latency":
        shown = bounded.bounded(f"{change.change:+.1%}", f"{change.low:+.1%}", f"{change.high:+.1%}")
        return f"{change.model}, {threads_of(change.threads)}: latency {shown}"
    shown = bounded.points(-change.change, -change.high, -change.low)
    return f"{change.model}: accuracy {shown}"


def describe_verdict(change: Change) -> str:
    """Return what was decided of a change, and why where nothing could be."""
    if change.verdict == "undecided" and change.tolerance is not None:
        return f"undecided: the interval holds the tolerance of {_bound(change.what, change.tolerance)}"
    return change.verdict


def accuracy_loss(now: Accuracy, earlier: Accuracy) -> Interval:
    """Return accuracy then minus accuracy now with its 95 % interval: paired on the same images, else of two samples.

    Both are Newcombe's (1998): method 10 for pairs, the hybrid score interval (method 10 of the other paper) for two samples.
    """
    if _same_images(now, earlier):
        return paired_difference(_right(earlier), _right(now))
    a, b = wilson(earlier.correct.count("1"), earlier.n), wilson(now.correct.count("1"), now.n)
    difference = a.value - b.value
    below = math.hypot(a.value - a.low, b.high - b.value)
    above = math.hypot(a.high - a.value, b.value - b.low)
    return Interval(difference, difference - below, difference + above)


def _same_images(now: Accuracy, earlier: Accuracy) -> bool:
    return now.data_sha256 == earlier.data_sha256 and len(now.correct) == len(earlier.correct)


def _right(accuracy: Accuracy) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.array([mark == "1" for mark in accuracy.correct], dtype=np.bool_)


def _latencies(pairs: Sequence[tuple[Result, Result]], tolerances: Tolerances) -> list[Change]:
    changes = []
    for row, earlier in pairs:
        if row.latency_ms is None or earlier.latency_ms is None:
            continue
        ratio = ratio_between_runs((row.latency_ms, row.startup), (earlier.latency_ms, earlier.startup))
        worse = Interval(ratio.value - 1, ratio.low - 1, ratio.high - 1)
        verdict = _verdict(worse, tolerances.latency) if row.valid and earlier.valid else "invalid"
        medians = (earlier.latency_ms.median, row.latency_ms.median)
        changes.append(_change(row, "latency", medians, worse, verdict, tolerances.latency))
    return changes


def _accuracy_change(row: Result, earlier: Result, tolerance: float | None) -> Change:
    assert row.accuracy is not None
    assert earlier.accuracy is not None
    loss = accuracy_loss(row.accuracy, earlier.accuracy)
    same = _same_images(row.accuracy, earlier.accuracy) and row.accuracy.correct == earlier.accuracy.correct
    verdict: Verdict = "unchanged" if same else _verdict(loss, tolerance)
    return _change(row, "accuracy", (earlier.accuracy.value, row.accuracy.value), loss, verdict, tolerance)


def _verdict(worse: Interval, tolerance: float | None) -> Verdict:
    """A regression lies beyond the tolerance with its whole interval; where that holds the tolerance, nothing is decided."""
    if worse.high < 0:
        return "better"
    if tolerance is None:
        return "worse" if worse.low > 0 else "within noise"
    if worse.low > tolerance:
        return "regression"
    return "within tolerance" if worse.high <= tolerance else "undecided"


def _change(
    row: Result, what: Literal["latency", "accuracy"], values: tuple[float, float], worse: Interval, verdict: Verdict,
    tolerance: float | None,
) -> Change:  # fmt: skip
    return Change(
        model=row.model, scheme=row.scheme, candidate=row.candidate, threads=row.threads, what=what, baseline=values[0],
        now=values[1], change=worse.value, low=worse.low, high=worse.high, tolerance=tolerance, verdict=verdict,
    )  # fmt: skip


def _bound(name: str, bound: float) -> str:
    return f"{100 * bound:.4g} {'%' if name == 'latency' else 'points'}"
