"""Models timed at one number of threads: a fresh process each, then block by block in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from mstl_edge.progress import Reporter
from mstl_edge_bench.clock import MONOTONIC, Clock
from mstl_edge_bench.host import describe_host, read_conditions
from mstl_edge_bench.loaded import Loaded
from mstl_edge_bench.result import Accuracy, Conditions, Host, Protocol, Result, Startup
from mstl_edge_bench.row import result_row
from mstl_edge_bench.session import time_in_turns
from mstl_edge_bench.startup import Probe, measure_startup, run_probe
from mstl_edge_bench.subjects import whole_way_of

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


def time_models(
    models: Sequence[Loaded],
    setting: Setting,
    *,
    candidates: Mapping[str, str],
    scores: Mapping[str, Accuracy],
    reporter: Reporter,
) -> list[Result]:
    """Time some models, all at one number of threads, and return a row for each.

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
        return [row(readings=(setting.start, setting.start), invalid_because=because) for row in rows]
    threads, steps = models[0].runtime.threads, setting.protocol.blocks + len(models)
    with reporter.bar(f"latency, {threads} thread{'s' * (threads > 1)}", steps) as advance:
        startups = []
        for model in models:
            startups.append(_startup(model, setting.around.probe))
            advance(1)
        session = time_in_turns(
            [whole_way_of(model.runtime, model.artifact.card) for model in models],
            setting.protocol,
            clock=setting.around.clock,
            conditions=setting.around.conditions,
            after_round=partial(advance, 1),
        )
    return [
        row(
            readings=session.readings,
            times=times,
            startup=startup,
            invalid_because=session.invalid_because,
            warnings=session.warnings_of(times),
        )
        for row, times, startup in zip(rows, session.times, startups, strict=True)
    ]


def _startup(model: Loaded, probe: Probe) -> Startup:
    path = model.artifact.path
    assert path is not None  # the lineup opens files only
    return measure_startup(path, model.runtime.kind, model.runtime.threads, probe=probe)
