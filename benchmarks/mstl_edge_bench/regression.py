"""A report against an earlier one of the same models on the same machine: what got worse, beyond noise."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from msgspec import Struct

from mstl_edge.errors import GateRefusedError, MstlEdgeError
from mstl_edge.metrics import Interval, paired_difference, wilson
from mstl_edge_bench.noise import latency_ratio
from mstl_edge_bench.result import Accuracy, BenchReport, Host, Result

Verdict = Literal["no worse", "within tolerance", "within noise", "regression", "invalid"]
_PART = re.compile(r"(latency):(\d+(?:\.\d+)?)%|(accuracy):(\d+(?:\.\d+)?)pt")
_SAME = ("board", "cpu", "architecture", "bits", "cores")


class Tolerances(Struct, frozen=True):
    """How much worse is allowed, as shares; None where nothing is gated."""

    latency: float | None = None
    accuracy: float | None = None


class Change(Struct, frozen=True, kw_only=True):
    """One number against its baseline. `change` is what got worse: growth of latency, or loss of accuracy, as a share."""

    model: str
    scheme: str
    threads: int
    what: Literal["latency", "accuracy"]
    baseline: float
    now: float
    change: float
    low: float
    high: float
    verdict: Verdict


def parse_tolerances(text: str) -> Tolerances:
    """Return what `--fail-on latency:10%,accuracy:1pt` says.

    Raises:
        MstlEdgeError: Anything else.
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise MstlEdgeError(
                "--fail-on with latency in percent, accuracy in points, or both",
                received=part.strip() or "nothing",
                hint="For example --fail-on latency:10%,accuracy:1pt",
            )
        name, value = (match[1], match[2]) if match[1] else (match[3], match[4])
        found[name] = float(value) / 100
    return Tolerances(**found)


def compare_reports(now: BenchReport, baseline: BenchReport, tolerances: Tolerances) -> list[Change]:
    """Compare every row that both reports have.

    Raises:
        MstlEdgeError: The baseline is of another host (unless only accuracy is gated) or of other models, has no row in common,
            or lacks what is gated.
    """
    only_accuracy = tolerances.accuracy is not None and tolerances.latency is None
    if not only_accuracy:
        _check_host(now.host, baseline.host)
    _check_models(now.results, baseline.results)
    changes: list[Change] = []
    seen: set[str] = set()
    for row, earlier in _matched(now.results, baseline.results):
        if not only_accuracy and row.latency_ms is not None and earlier.latency_ms is not None:
            ratio = latency_ratio(row.latency_ms, earlier.latency_ms)
            worse = Interval(ratio.value - 1, ratio.low - 1, ratio.high - 1)
            verdict = "invalid" if not (row.valid and earlier.valid) else _verdict(worse, tolerances.latency)
            changes.append(_change(row, "latency", (earlier.latency_ms.median, row.latency_ms.median), worse, verdict))
        # Threads don't change answers: one comparison per model will do.
        if row.accuracy is not None and earlier.accuracy is not None and row.model not in seen:
            seen.add(row.model)
            loss = accuracy_loss(row.accuracy, earlier.accuracy)
            values = (earlier.accuracy.value, row.accuracy.value)
            changes.append(_change(row, "accuracy", values, loss, _verdict(loss, tolerances.accuracy)))
    _check_gated(changes, tolerances)
    return changes


def refuse_regressions(changes: Sequence[Change], tolerances: Tolerances) -> None:
    """Raise for what is worse than tolerated, beyond noise.

    Raises:
        GateRefusedError: A regression; exit code 3.
        MstlEdgeError: Latency is gated and was measured under conditions that spoil it.
    """
    worse = [change for change in changes if change.verdict == "regression"]
    if worse:
        shown = {"latency": "{:.4g} %", "accuracy": "{:.4g} points"}
        bounds = [f"{name} within {shown[name].format(100 * bound)}" for name, bound in _bounds(tolerances)]
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


def describe_change(change: Change) -> str:
    """Return one change in a few words."""
    if change.what == "latency":
        shown = f"{change.change:+.1%} ({change.low:+.1%} to {change.high:+.1%})"
        return f"{change.model}, {change.threads} threads: latency {shown}"
    shown = f"{-100 * change.change:+.1f} points ({-100 * change.high:+.1f} to {-100 * change.low:+.1f})"
    return f"{change.model}: accuracy {shown}"


def accuracy_loss(now: Accuracy, earlier: Accuracy) -> Interval:
    """Return accuracy then minus accuracy now with its 95 % interval: paired on the same images, else of two samples.

    Both are Newcombe's (1998): method 10 for pairs, the hybrid score interval (method 10 of the other paper) for two samples.
    """
    if now.data_sha256 == earlier.data_sha256 and len(now.correct) == len(earlier.correct):
        return paired_difference(_right(earlier), _right(now))
    a, b = wilson(earlier.correct.count("1"), earlier.n), wilson(now.correct.count("1"), now.n)
    difference = a.value - b.value
    below = math.hypot(a.value - a.low, b.high - b.value)
    above = math.hypot(a.high - a.value, b.value - b.low)
    return Interval(difference, difference - below, difference + above)


def _right(accuracy: Accuracy) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.array([mark == "1" for mark in accuracy.correct], dtype=np.bool_)


def _verdict(worse: Interval, tolerance: float | None) -> Verdict:
    """A regression is larger than the tolerance, and its interval does not hold zero."""
    if worse.value <= 0:
        return "no worse"
    if worse.low <= 0:
        return "within noise"
    return "regression" if tolerance is not None and worse.value > tolerance else "within tolerance"


def _change(
    row: Result, what: Literal["latency", "accuracy"], values: tuple[float, float], worse: Interval, verdict: Verdict
) -> Change:
    return Change(
        model=row.model, scheme=row.scheme, threads=row.threads, what=what, baseline=values[0], now=values[1],
        change=worse.value, low=worse.low, high=worse.high, verdict=verdict,
    )  # fmt: skip


def _bounds(tolerances: Tolerances) -> Iterator[tuple[str, float]]:
    if tolerances.latency is not None:
        yield "latency", tolerances.latency
    if tolerances.accuracy is not None:
        yield "accuracy", tolerances.accuracy


def _check_host(now: Host, baseline: Host) -> None:
    differing = [name for name in _SAME if getattr(now, name) != getattr(baseline, name)]
    if differing:
        received = ", ".join(f"{name} {getattr(baseline, name)}" for name in differing)
        here = ", ".join(f"{name} {getattr(now, name)}" for name in differing)
        raise MstlEdgeError(
            f"a baseline of this host ({here})",
            received=received,
            hint="Make one here: mstl-edge bench --out baseline.json. Accuracy alone may be compared: --fail-on accuracy:1pt",
        )


def _identity(row: Result) -> tuple[str, str, tuple[int, ...], int]:
    return row.name, row.scheme, row.input_shape, row.macs


def _check_models(now: Sequence[Result], baseline: Sequence[Result]) -> None:
    known = {_identity(row) for row in baseline}
    for row in now:
        if _identity(row) not in known:
            raise MstlEdgeError(
                f"a baseline of {row.name} {row.scheme} ({row.input_shape[1]} pixels, {row.macs:,} multiply-accumulates)",
                received="; ".join(
                    dict.fromkeys(f"{old.name} {old.scheme} ({old.input_shape[1]}, {old.macs:,})" for old in baseline)
                ),
                hint="Make one: mstl-edge bench MODEL --out baseline.json",
            )


def _matched(now: Sequence[Result], baseline: Sequence[Result]) -> Iterator[tuple[Result, Result]]:
    earlier = {(_identity(row), row.runtime_kind, row.threads): row for row in baseline}
    found = False
    for row in now:
        key = (_identity(row), row.runtime_kind, row.threads)
        if key in earlier:
            found = True
            yield row, earlier[key]
    if not found:
        measured = ", ".join(dict.fromkeys(f"{row.runtime_kind} with {row.threads} threads" for row in baseline))
        raise MstlEdgeError("the runtime and the threads of the baseline", received=f"other ones; it has {measured}")


def _check_gated(changes: Sequence[Change], tolerances: Tolerances) -> None:
    for name, _ in _bounds(tolerances):
        if not any(change.what == name for change in changes):
            raise MstlEdgeError(
                f"{name} in both reports, since --fail-on names it",
                received="none to compare",
                hint="Measure accuracy by --data SOURCE; latency is withheld on emulated CPUs.",
            )
