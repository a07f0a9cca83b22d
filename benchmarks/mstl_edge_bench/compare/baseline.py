"""An earlier report to be compared with: whether it can be, told before anything is measured, and which of its rows meet which."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from mstl_edge.errors import MstlEdgeError
from mstl_edge.schemas.bench import BenchReport, Host, Result
from mstl_edge.schemas.bench_wording import threads_of
from mstl_edge_bench.lineup import name_of, scheme_of
from mstl_edge_bench.loaded import Loaded

_PART = re.compile(r"(latency):(\d+(?:\.\d+)?)%|(accuracy):(\d+(?:\.\d+)?)pt")
_SAME = ("board", "cpu", "architecture", "bits", "cores")


class Tolerances(Struct, frozen=True):
    """How much worse is allowed, as shares; None where nothing is gated."""

    latency: float | None = None
    accuracy: float | None = None

    def gated(self) -> Iterator[tuple[str, float]]:
        """Yield name and bound of what is gated."""
        if self.latency is not None:
            yield "latency", self.latency
        if self.accuracy is not None:
            yield "accuracy", self.accuracy

    @property
    def accuracy_alone(self) -> bool:
        """Whether times do not matter, so that the hosts may differ."""
        return self.accuracy is not None and self.latency is None


@dataclass(frozen=True)
class Baseline:
    """An earlier report, and how much worse is allowed."""

    report: BenchReport
    tolerances: Tolerances = field(default_factory=Tolerances)


@dataclass(frozen=True)
class ModelKey:
    """What makes two files the same model for a comparison; the file's own name and its weights don't."""

    name: str
    scheme: str
    candidate: str | None
    input_shape: tuple[int, ...]
    macs: int

    def __str__(self) -> str:
        return f"{self.name} {self.candidate or self.scheme} ({self.input_shape[1]} pixels, {self.macs:,} multiply-accumulates)"


@dataclass(frozen=True)
class RowKey:
    """What makes two rows comparable in time."""

    model: ModelKey
    runtime_kind: str
    threads: int

    def __str__(self) -> str:
        model = f"{self.model.name} {self.model.candidate or self.model.scheme}"
        return f"{model}, {self.runtime_kind}, {threads_of(self.threads)}"


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


def key_of(row: Result) -> RowKey:
    """Return the key of a row."""
    return RowKey(
        ModelKey(row.name, row.scheme, row.candidate, row.input_shape, row.macs), row.runtime_kind, row.threads
    )


def keys_to_come(models: Sequence[Loaded], candidates: dict[str, str], threads: Sequence[int]) -> list[RowKey]:
    """Return the keys of the rows that measuring these models will give."""
    keys = []
    for loaded in models:
        artifact, scheme = loaded.artifact, scheme_of(loaded.artifact)
        called = candidates.get(artifact.name)
        candidate = called if called != scheme else None
        model = ModelKey(name_of(artifact), scheme, candidate, artifact.facts.input.shape, artifact.facts.macs)
        keys += [RowKey(model, loaded.runtime.kind, count) for count in threads]
    return keys


def check_host(now: Host, baseline: Baseline) -> None:
    """Refuse times of another machine.

    Raises:
        MstlEdgeError: The hosts differ, and not accuracy alone is gated.
    """
    then = baseline.report.host
    differing = [name for name in _SAME if getattr(now, name) != getattr(then, name)]
    if differing and not baseline.tolerances.accuracy_alone:
        here = ", ".join(f"{name} {getattr(now, name)}" for name in differing)
        raise MstlEdgeError(
            f"a baseline of this host ({here})",
            received=", ".join(f"{name} {getattr(then, name)}" for name in differing),
            hint="Make one here: mstl-edge bench --out baseline.json. Accuracy alone may be compared: --fail-on accuracy:1pt",
        )


def check_rows(keys: Sequence[RowKey], baseline: Baseline) -> None:
    """Refuse a baseline that has nothing in common with what is going to be measured.

    Raises:
        MstlEdgeError: It holds none of the models, none of them in this runtime with these threads, or not what is gated.
    """
    rows, tolerances = baseline.report.results, baseline.tolerances
    models = {key.model for key in keys}
    shared = [row for row in rows if key_of(row).model in models]
    if not shared:
        raise MstlEdgeError(
            f"a baseline of {'; '.join(dict.fromkeys(str(key.model) for key in keys))}",
            received="; ".join(dict.fromkeys(str(key_of(row).model) for row in rows)),
            hint="Make one: mstl-edge bench MODEL --out baseline.json",
        )
    timed = [row for row in shared if key_of(row) in keys]
    if not timed and not tolerances.accuracy_alone:
        measured = dict.fromkeys(f"{row.runtime_kind} with {threads_of(row.threads)}" for row in shared)
        wanted = dict.fromkeys(f"{key.runtime_kind} with {threads_of(key.threads)}" for key in keys)
        raise MstlEdgeError(
            f"a baseline with one of {', '.join(wanted)}",
            received=", ".join(measured),
            hint=f"Measure as it was: --threads {shared[0].threads} --runtime {shared[0].runtime_kind}",
        )
    there = {
        "latency": any(row.latency_ms is not None for row in timed),
        "accuracy": any(row.accuracy is not None for row in shared),
    }
    for name, _ in tolerances.gated():
        if not there[name]:
            raise MstlEdgeError(
                f"{name} in the baseline, since --fail-on names it",
                received="none",
                hint="Measure accuracy by --data SOURCE; latency is withheld on emulated CPUs.",
            )


def matched(now: Sequence[Result], earlier: Sequence[Result]) -> tuple[list[tuple[Result, Result]], list[str]]:
    """Return the rows that meet, and what to say of those that meet none.

    Where several files share a key, the one of the same name is taken, else the first.
    """
    left = list(earlier)
    pairs: list[tuple[Result, Result]] = []
    new: list[RowKey] = []
    for row in now:
        alike = [old for old in left if key_of(old) == key_of(row)]
        if not alike:
            new.append(key_of(row))
            continue
        chosen = next((old for old in alike if old.model == row.model), alike[0])
        left.remove(chosen)
        pairs.append((row, chosen))
    told = [f"baseline: {key_of(row)}: in the baseline, not measured now" for row in left]
    return pairs, [*told, *(f"baseline: {key}: measured now, not in the baseline" for key in new)]
