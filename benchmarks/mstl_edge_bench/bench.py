"""The story of `mstl-edge bench`: line the models up, check them, score them, time them in turns, compare them."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mstl_edge.counted import counted
from mstl_edge.errors import DataError, MstlEdgeError
from mstl_edge.progress import SILENT, Reporter
from mstl_edge.runtime import RuntimeChoice
from mstl_edge.schemas.bench import Accuracy, BenchReport, Result
from mstl_edge_bench.compare.baseline import Baseline, check_host, check_rows, keys_to_come
from mstl_edge_bench.compare.comparison import compare_models
from mstl_edge_bench.compare.regression import Compared, compare_rows
from mstl_edge_bench.lineup import Lineup, line_up
from mstl_edge_bench.loaded import Loaded, load
from mstl_edge_bench.scoring.accuracy import Answers, Judged, answer_images, score
from mstl_edge_bench.scoring.images import SplitChoice, TestSet, images_of, moved_data, test_split_of
from mstl_edge_bench.timing import latency
from mstl_edge_bench.timing.measure import Setting, Surroundings, time_models
from mstl_edge_bench.timing.validity import busy_because


@dataclass(frozen=True)
class BenchPlan:
    """What to measure. `models` empty: the latest run's exports; `data` None: that run's own test split.

    `candidates`: those of the run that the export did not choose, too.
    """

    models: tuple[Path, ...] = ()
    data: str | None = None
    split: SplitChoice = "auto"
    candidates: bool = False
    accuracy: bool = True
    threads: tuple[int, ...] = (1,)
    runtime: RuntimeChoice = "auto"
    blocks: int = latency.LEAST_BLOCKS
    repeats: int | None = None
    warmup_ms: float = 500.0
    patience_s: float = latency.PATIENCE_S


@dataclass(frozen=True)
class Scoring:
    """Answers and scores by file name; empty where accuracy was not measured."""

    answers: dict[str, Answers]
    scores: dict[str, Accuracy]


def run_bench(
    plan: BenchPlan,
    *,
    against: Baseline | None = None,
    around: Surroundings | None = None,
    reporter: Reporter = SILENT,
) -> BenchReport:
    """Measure accuracy, latency and footprint of some models on this machine.

    Args:
        plan: What to measure.
        against: An earlier report; what changed comes into this one.
        around: The world the benchmark looks at.
        reporter: For narration and progress.

    Raises:
        ArtifactError: A file is damaged, no classifier, or answers its golden images differently here.
        RunError: No run or no export where none was named.
        DataError: Data that can't be measured on, or with labels that a model doesn't have.
        MissingExtraError: The runtime is not installed.
        MstlEdgeError: Wrong threads, blocks or patience, or a baseline that nothing can be compared with.
    """
    around = around or Surroundings()
    protocol = latency.protocol(plan.blocks, plan.repeats, warmup_ms=plan.warmup_ms, patience_s=plan.patience_s)
    threads = _checked_threads(plan.threads)
    host, start = around.host(), around.conditions()
    if against is not None:
        check_host(host, against)
    lineup = line_up(plan.models, candidates=plan.candidates)
    names = ", ".join(artifact.name for artifact in lineup.artifacts)
    reporter.say(f"models: {names} ({lineup.because})")
    loaded = [load(artifact, plan.runtime, max(threads)) for artifact in lineup.artifacts]
    reporter.say(f"runtime: {loaded[0].runtime.name}: {loaded[0].runtime.why}")
    if against is not None:
        check_rows(keys_to_come(loaded, lineup.candidates, threads), against)
    notes = [busy] if (busy := busy_because(start, host.cores)) and host.emulated is None else []
    notes += [f"{name}: a candidate that the gate refused" for name in lineup.refused]
    scoring = _score(plan, lineup, loaded, reporter, notes)
    coverages = {model.artifact.name: model.coverage for model in loaded}
    # A board with 128 MB free holds the models once, so those that were scored go before others are timed.
    del loaded
    setting = Setting(host, start, protocol, around)
    results: list[Result] = []
    for count in threads:
        timed = time_models(
            [load(artifact, plan.runtime, count) for artifact in lineup.artifacts],
            setting,
            candidates=lineup.candidates,
            scores=scoring.scores,
            reporter=reporter,
        )
        results += timed.rows
        notes += timed.notes
    comparisons = compare_models(results, coverages, scoring.answers, host)
    compared = compare_rows(results, against) if against is not None else Compared()
    return BenchReport(
        created=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        host=host,
        protocol=protocol,
        results=tuple(results),
        comparison=comparisons[0] if comparisons else None,
        comparisons=tuple(comparisons),
        changes=compared.changes,
        notes=(*notes, *compared.notes),
    )


def _checked_threads(threads: Sequence[int]) -> tuple[int, ...]:
    if not threads or min(threads) < 1:
        raise MstlEdgeError(
            "--threads from 1 on", received=",".join(map(str, threads)), hint="For example --threads 1,2"
        )
    return tuple(dict.fromkeys(threads))


def _score(plan: BenchPlan, lineup: Lineup, loaded: Sequence[Loaded], reporter: Reporter, notes: list[str]) -> Scoring:
    """Answer the test images with every model that has a card; what can't be measured becomes a note.

    Raises:
        DataError: The data that was named can't be measured on.
    """

    def note(message: str) -> None:
        notes.append(f"accuracy: {message}")
        reporter.say(notes[-1])

    if not plan.accuracy:
        return Scoring({}, {})
    judged = [Judged(m.artifact, m.artifact.card, m.runtime) for m in loaded if m.artifact.card is not None]
    data = _test_set(plan, lineup, note) if judged else None
    if not judged:
        note("not measured, since a file without a card tells neither labels nor preprocessing")
    if data is None:
        return Scoring({}, {})
    reporter.say(
        f"data: {data.description}, {counted(len(data.images), 'image')} ({'as named' if plan.data else 'default'})"
    )
    if data.caution:
        note(f"{data.description}: {data.caution}")
    scored = answer_images(judged, data, reporter=reporter)
    if scored.unreadable:
        note(f"{counted(len(scored.unreadable), 'unreadable file')} left out: {'; '.join(scored.unreadable[:3])}")
    answers = dict(zip((model.artifact.name for model in judged), scored.answers, strict=True))
    return Scoring(answers, {name: score(given, data, scored) for name, given in answers.items()})


def _test_set(plan: BenchPlan, lineup: Lineup, note: Callable[[str], None]) -> TestSet | None:
    """Return the data that was named, else the run's own test split, else None and a note why."""
    if plan.data is not None:
        moved = moved_data(lineup.run, plan.data)
        if lineup.run is not None and moved is not None:
            return test_split_of(lineup.run, moved)
        return images_of(plan.data, plan.split)
    if lineup.run is None:
        note("not measured, since no data was named: --data SOURCE")
        return None
    try:
        return test_split_of(lineup.run)
    except DataError as error:
        note(f"not measured, since the run's test split is not at hand ({error})")
        return None
