"""Models timed at one number of threads: a fresh process each, then block by block in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count

from mstl_edge.progress import Advance, Reporter
from mstl_edge.schemas.bench import Accuracy, Conditions, Host, Protocol, Result, Startup
from mstl_edge.schemas.bench_steadiness import BLOCK_SPREAD
from mstl_edge.schemas.bench_wording import percent, threads_of
from mstl_edge_bench.loaded import Loaded
from mstl_edge_bench.machine.clock import MONOTONIC, Clock
from mstl_edge_bench.machine.host import describe_host, read_conditions
from mstl_edge_bench.timing.latency import Watch
from mstl_edge_bench.timing.row import Timing, result_row
from mstl_edge_bench.timing.session import Session, time_in_turns
from mstl_edge_bench.timing.startup import Probe, measure_startup, run_probe
from mstl_edge_bench.timing.subjects import whole_way_of
from mstl_edge_bench.timing.validity import Judgement

EMULATED = "emulated CPU ({}): times and memory withheld. Measure on the device itself."


@dataclass(frozen=True)
class Surroundings:
    """The world the benchmark looks at; tests bring their own."""

    clock: Clock = MONOTONIC
    host: Callable[[], Host] = describe_host
    conditions: Callable[[], Conditions] = read_conditions
    probe: Probe = run_probe


@dataclass(frozen=True)
class Setting:
    """What stays the same whatever is timed; `start` is the machine before anything was loaded."""

    host: Host
    start: Conditions
    protocol: Protocol
    around: Surroundings


@dataclass(frozen=True)
class Timed:
    """A row for each model, and what is to be said of all of them."""

    rows: tuple[Result, ...]
    notes: tuple[str, ...] = ()


def time_models(
    models: Sequence[Loaded],
    setting: Setting,
    *,
    candidates: Mapping[str, str],
    scores: Mapping[str, Accuracy],
    reporter: Reporter,
) -> Timed:
    """Time some models, all at one number of threads.

    Args:
        models: Loaded.
        setting: Where and how.
        candidates: File name → what the export calls it.
        scores: File name → accuracy, where it was measured.
        reporter: For progress.
    """
    rows = [
        partial(
            result_row,
            model,
            accuracy=scores.get(model.artifact.name),
            candidate=candidates.get(model.artifact.name),
        )
        for model in models
    ]
    if setting.host.emulated is not None:
        because = EMULATED.format(setting.host.emulated)
        emulated = Judgement(because, ())
        return Timed(tuple(row(Timing((setting.start, setting.start), emulated)) for row in rows))
    what, steps = f"latency, {threads_of(models[0].runtime.threads)}", setting.protocol.blocks + len(models)
    with reporter.bar(what, steps) as advance:
        startups = []
        for model in models:
            startups.append(_startup(model, setting.around.probe))
            advance(1)
        session = time_in_turns(
            [whole_way_of(model.runtime, model.artifact.card) for model in models],
            setting.protocol,
            clock=setting.around.clock,
            conditions=setting.around.conditions,
            watch=Watch(
                _progress(advance, setting.protocol), partial(_say_unsettled, what, setting.protocol, reporter)
            ),
        )
    note = _blocks_taken(what, session, setting.protocol)
    if note is not None:
        reporter.say(note)
    return Timed(
        tuple(
            row(Timing(session.readings, session.judge(times), times, startup))
            for row, times, startup in zip(rows, session.times, startups, strict=True)
        ),
        (note,) if note else (),
    )


def _progress(advance: Advance, protocol: Protocol) -> Callable[[], None]:
    """Return what moves the bar on after a round; blocks that are added were not foreseen."""
    rounds = count(1)
    return lambda: advance(1 if next(rounds) <= protocol.blocks else 0)


def _say_unsettled(what: str, protocol: Protocol, reporter: Reporter, spread: float) -> None:
    reporter.say(
        f"{what}: medians of the {protocol.blocks} blocks differ by {percent(spread)} (bound {percent(BLOCK_SPREAD)}): "
        f"adding blocks until they agree, for at most {protocol.patience_s:g} s"
    )


def _blocks_taken(what: str, session: Session, protocol: Protocol) -> str | None:
    """Return how many blocks there were where that is not what was asked for, or where they do not agree."""
    if session.stable:
        if session.rounds == protocol.blocks:
            return None
        return f"{what}: {session.rounds} blocks taken, until the last {protocol.blocks} agreed; those count"
    if session.rounds == protocol.blocks:
        return f"{what}: {session.rounds} blocks taken, which do not agree"
    return (
        f"{what}: {session.rounds} blocks taken, for {protocol.patience_s:g} s beyond the first {protocol.blocks}, and no "
        f"{protocol.blocks} in a row agree for every model; those count at which most do"
    )


def _startup(model: Loaded, probe: Probe) -> Startup:
    path = model.artifact.path
    assert path is not None  # the lineup opens files only
    return measure_startup(path, model.runtime.kind, model.runtime.threads, probe=probe)
