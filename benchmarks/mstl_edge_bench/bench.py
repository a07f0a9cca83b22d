"""The story of `mstl-edge bench`: line the models up, check them, score them, time them in turns, compare them."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mstl_edge.artifact import Artifact
from mstl_edge.errors import DataError, MstlEdgeError
from mstl_edge.progress import SILENT, Reporter
from mstl_edge.runtime import InterpreterRuntime, RuntimeChoice, load_runtime, replay_golden
from mstl_edge_bench import latency
from mstl_edge_bench.accuracy import Answers, Judged, answer_images, score
from mstl_edge_bench.clock import MONOTONIC, Clock
from mstl_edge_bench.comparison import compare_models
from mstl_edge_bench.delegate import Coverage, delegate_coverage
from mstl_edge_bench.host import describe_host, read_conditions
from mstl_edge_bench.images import SplitChoice, TestSet, images_of, test_split_of
from mstl_edge_bench.lineup import Lineup, line_up, scheme_of, trainable_parameters
from mstl_edge_bench.result import Accuracy, BenchReport, Conditions, Host, Protocol, Result, Startup
from mstl_edge_bench.session import time_in_turns
from mstl_edge_bench.startup import Probe, measure_startup, run_probe
from mstl_edge_bench.subjects import whole_way_of
from mstl_edge_bench.validity import busy_because

EMULATED = "emulated CPU ({}): times and memory withheld. Measure on the device itself."


@dataclass(frozen=True)
class BenchPlan:
    """What to measure. `models` empty: the latest run's exports; `data` None: that run's own test split."""

    models: tuple[Path, ...] = ()
    data: str | None = None
    split: SplitChoice = "auto"
    accuracy: bool = True
    threads: tuple[int, ...] = (1,)
    runtime: RuntimeChoice = "auto"
    blocks: int = latency.LEAST_BLOCKS
    repeats: int | None = None
    warmup_ms: float = 500.0


@dataclass(frozen=True)
class Surroundings:
    """The world the benchmark looks at; tests bring their own."""

    clock: Clock = MONOTONIC
    host: Callable[[], Host] = describe_host
    conditions: Callable[[], Conditions] = read_conditions
    probe: Probe = run_probe


@dataclass(frozen=True)
class Loaded:
    """A model in its runtime, golden answers replayed."""

    artifact: Artifact
    runtime: InterpreterRuntime
    golden_lsb: float | None
    coverage: Coverage


@dataclass(frozen=True)
class Scoring:
    """Answers and scores by file name; empty where accuracy was not measured."""

    answers: dict[str, Answers]
    scores: dict[str, Accuracy]


def run_bench(plan: BenchPlan, *, around: Surroundings | None = None, reporter: Reporter = SILENT) -> BenchReport:
    """Measure accuracy, latency and footprint of some models on this machine.

    Raises:
        ArtifactError: A file is damaged, no classifier, or answers its golden images differently here.
        RunError: No run or no export where none was named.
        DataError: Data that can't be measured on, or with labels that a model doesn't have.
        MissingExtraError: The runtime is not installed.
        MstlEdgeError: Wrong threads or blocks.
    """
    around = around or Surroundings()
    protocol = latency.protocol(plan.blocks, plan.repeats, warmup_ms=plan.warmup_ms)
    threads = _checked_threads(plan.threads)
    host, start = around.host(), around.conditions()
    lineup = line_up(plan.models)
    names = ", ".join(artifact.name for artifact in lineup.artifacts)
    reporter.say(f"models: {names} ({lineup.because})")
    loaded = [_load(artifact, plan.runtime, max(threads)) for artifact in lineup.artifacts]
    reporter.say(f"runtime: {loaded[0].runtime.name}: {loaded[0].runtime.why}")
    notes = [busy] if (busy := busy_because(start, host.cores)) and host.emulated is None else []
    scoring = _score(plan, lineup, loaded, reporter, notes)
    coverages = {model.artifact.name: model.coverage for model in loaded}
    # A board with 128 MB free holds the models once, so those that were scored go before others are timed.
    del loaded
    results: list[Result] = []
    for count in threads:
        results += _measure(
            [_load(artifact, plan.runtime, count) for artifact in lineup.artifacts],
            scoring.scores, host, start, protocol, around, reporter,
        )  # fmt: skip
    comparisons = compare_models(results, coverages, scoring.answers, host)
    return BenchReport(
        created=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        host=host,
        protocol=protocol,
        results=tuple(results),
        comparison=comparisons[0] if comparisons else None,
        comparisons=tuple(comparisons),
        notes=tuple(notes),
    )


def _checked_threads(threads: Sequence[int]) -> tuple[int, ...]:
    if not threads or min(threads) < 1:
        raise MstlEdgeError(
            "--threads from 1 on", received=",".join(map(str, threads)), hint="For example --threads 1,2"
        )
    return tuple(dict.fromkeys(threads))


def _load(artifact: Artifact, choice: RuntimeChoice, threads: int) -> Loaded:
    runtime = load_runtime(artifact, runtime=choice, threads=threads)
    return Loaded(artifact, runtime, replay_golden(runtime, artifact), delegate_coverage(runtime.interpreter))


def _score(plan: BenchPlan, lineup: Lineup, loaded: Sequence[Loaded], reporter: Reporter, notes: list[str]) -> Scoring:
    """Answer the test images with every model that has a card; what can't be measured becomes a note.

    Raises:
        DataError: The data that was named can't be measured on.
    """

    def note(message: str) -> None:
        notes.append(f"accuracy: {message}")
        reporter.say(notes[-1])

    judged = [Judged(m.artifact, m.artifact.card, m.runtime) for m in loaded if m.artifact.card is not None]
    data = _test_set(plan, lineup, note) if judged and plan.accuracy else None
    if not judged:
        note("not measured, since a file without a card tells neither labels nor preprocessing")
    if data is None:
        return Scoring({}, {})
    reporter.say(f"data: {data.description}, {len(data.images)} images ({'as named' if plan.data else 'default'})")
    if data.caution:
        note(f"{data.description}: {data.caution}")
    scored = answer_images(judged, data, reporter=reporter)
    if scored.unreadable:
        note(f"{len(scored.unreadable)} unreadable files left out: {'; '.join(scored.unreadable[:3])}")
    answers = dict(zip((model.artifact.name for model in judged), scored.answers, strict=True))
    return Scoring(answers, {name: score(given, data, scored) for name, given in answers.items()})


def _test_set(plan: BenchPlan, lineup: Lineup, note: Callable[[str], None]) -> TestSet | None:
    """Return the data that was named, else the run's own test split, else None and a note why."""
    if plan.data is not None:
        return images_of(plan.data, plan.split)
    if lineup.run is None:
        note("not measured, since no data was named: --data SOURCE")
        return None
    try:
        return test_split_of(lineup.run)
    except DataError as error:
        note(f"not measured, since the run's test split is not at hand ({error})")
        return None


def _measure(
    models: Sequence[Loaded], scores: dict[str, Accuracy], host: Host, start: Conditions, protocol: Protocol,
    around: Surroundings, reporter: Reporter,
) -> list[Result]:  # fmt: skip
    """Time all models at one number of threads, block by block in turn."""
    threads = models[0].runtime.threads
    if host.emulated is not None:
        because = EMULATED.format(host.emulated)
        return [_result(model, scores, None, None, (start, start), because, ()) for model in models]
    with reporter.bar(f"latency, {threads} thread{'s' * (threads > 1)}", protocol.blocks + len(models)) as advance:
        startups = []
        for model in models:
            startups.append(_startup(model, around.probe))
            advance(1)
        session = time_in_turns(
            [whole_way_of(model.runtime, model.artifact.card) for model in models],
            protocol,
            clock=around.clock,
            conditions=around.conditions,
            after_round=partial(advance, 1),
        )
    return [
        _result(
            model, scores, times, startup, session.readings, session.invalid_because, session.warnings_of(times)
        )
        for model, times, startup in zip(models, session.times, startups, strict=True)
    ]  # fmt: skip


def _startup(model: Loaded, probe: Probe) -> Startup:
    path = model.artifact.path
    assert path is not None  # the lineup opens files only
    return measure_startup(path, model.runtime.kind, model.runtime.threads, probe=probe)


def _result(
    model: Loaded, scores: dict[str, Accuracy], times: latency.Times | None, startup: Startup | None,
    readings: Sequence[Conditions], because: str | None, warnings: Sequence[str],
) -> Result:  # fmt: skip
    artifact, runtime = model.artifact, model.runtime
    facts, card = artifact.facts, artifact.card
    path = artifact.path
    return Result(
        model=artifact.name,
        name=card.name if card is not None else Path(artifact.name).stem,
        scheme=scheme_of(artifact),
        sha256=hashlib.sha256(artifact.flatbuffer).hexdigest(),
        input_shape=facts.input.shape,
        runtime=runtime.name,
        runtime_kind=runtime.kind,
        runtime_because=runtime.why,
        threads=runtime.threads,
        latency_ms=times.infer if times else None,
        decode_resize_ms=times.decode if times else None,
        end_to_end_ms=times.end_to_end if times else None,
        overhead=times.overhead if times else None,
        startup=startup,
        accuracy=scores.get(artifact.name),
        parameters=facts.parameters,
        trainable_parameters=trainable_parameters(artifact),
        macs=facts.macs,
        size_bytes=path.stat().st_size if path else len(artifact.flatbuffer),
        flatbuffer_bytes=len(artifact.flatbuffer),
        peak_rss_bytes=startup.peak_rss_bytes if startup else None,
        operators=model.coverage.operators,
        operators_in_xnnpack=model.coverage.delegated,
        golden_lsb=model.golden_lsb,
        before=readings[0],
        between=tuple(readings[1:-1]),
        after=readings[-1],
        valid=because is None,
        invalid_because=because,
        warnings=tuple(warnings),
        unknown=() if card is not None else ("labels", "preprocessing", "threshold", "accuracy"),
    )
