"""A run in a few words: what it was made from, how good it is, what the gate said, and what to type next."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

from msgspec import Struct

from mstl_edge.errors import MstlEdgeError, RunError, typed
from mstl_edge.metrics import Interval
from mstl_edge.recipe import Recipe
from mstl_edge.runs import RunFolder, size_bytes
from mstl_edge.schemas.export import EXPORT, Export
from mstl_edge.schemas.metrics import METRICS, StageMetrics, read_stage_metrics

SCHEMA = "mstl-edge/run-summary/1"
_KEPT = ("recipe.toml", "metrics.json", "bench.json", "report.html")


class StageSummary(Struct, frozen=True, kw_only=True):
    """A stage and its accuracy on `n` test images; None where it is not finished, or its metrics cannot be read."""

    name: str
    data: str = ""
    finished: bool
    n: int | None = None
    accuracy: Interval | None = None


class ExportSummary(Struct, frozen=True, kw_only=True):
    """What the gate said, in words, and the file that it let through; None where it refused every one.

    `accuracy` is that of the file on `n` test images; `size_bytes` is None where the file is gone.
    """

    verdict: str
    words: str
    scheme: str | None = None
    model: str | None = None
    size_bytes: int | None = None
    n: int | None = None
    accuracy: Interval | None = None


class RunSummary(Struct, frozen=True, kw_only=True):
    """`runs show --json`. `made` is a time of ISO 8601, `files` are relative to the run, `next` is a command to type."""

    schema: str = SCHEMA
    run: str
    recipe: str
    network: str = ""
    made: str
    finished: bool
    stages: tuple[StageSummary, ...]
    export: ExportSummary | None
    size_bytes: int
    files: tuple[str, ...]
    next: str

    @property
    def last(self) -> StageSummary | None:
        """The last stage that has an accuracy."""
        return next((stage for stage in reversed(self.stages) if stage.accuracy is not None), None)


def summarise(path: Path) -> RunSummary:
    """Return what a run folder holds, as far as it can be read: a damaged or older one has a summary too."""
    run = RunFolder(path)
    recipe = _recipe(run)
    export = _export(run)
    stages = _stages(run, recipe)
    finished = run.metrics.is_file()
    return RunSummary(
        run=str(path),
        recipe=recipe.name if recipe else str(_facts(run).get("recipe", "")),
        network=_network(recipe) if recipe else "",
        made=made_at(run),
        finished=finished,
        stages=stages,
        export=export,
        size_bytes=size_bytes(path),
        files=_files(run),
        next=_next(run, export, finished=finished),
    )


def made_at(run: RunFolder) -> str:
    """Return when a run was made, from `run.json`; where that does not say, when `run.json` was written."""
    told = _facts(run).get("made")
    if isinstance(told, str):
        try:
            return datetime.datetime.fromisoformat(told).isoformat(timespec="seconds")
        except ValueError:
            pass
    written = run.run_file.stat().st_mtime
    return datetime.datetime.fromtimestamp(written).astimezone().isoformat(timespec="seconds")


def _facts(run: RunFolder) -> dict[str, object]:
    try:
        facts = json.loads(run.run_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _recipe(run: RunFolder) -> Recipe | None:
    try:
        return run.recipe()
    except MstlEdgeError:  # of a version whose recipes had other keys
        return None


def _network(recipe: Recipe) -> str:
    backbone = recipe.backbone
    return f"{backbone.name} {backbone.variant}, {backbone.input_size} pixels, seed {recipe.seed}"


def _stages(run: RunFolder, recipe: Recipe | None) -> tuple[StageSummary, ...]:
    if recipe:
        named = {stage.name: stage.data for stage in recipe.stages}
    else:
        named = dict.fromkeys(sorted(file.parent.name for file in run.path.glob("stages/*/metrics.json")), "")
    scored = _scored(run)
    return tuple(_stage(run, name, data, scored.get(name)) for name, data in named.items())


def _scored(run: RunFolder) -> dict[str, StageMetrics]:
    try:
        return {entry.name: entry for entry in METRICS.read(run.metrics, hint="").stages}
    except RunError:
        return {}


def _stage(run: RunFolder, name: str, data: str, scored: StageMetrics | None) -> StageSummary:
    file = run.stage(name).metrics
    if scored is None and file.is_file():
        try:
            scored = read_stage_metrics(file)
        except RunError:
            scored = None
    told = {"n": scored.test.n, "accuracy": scored.test.accuracy} if scored else {}
    return StageSummary(name=name, data=data, finished=file.is_file() or scored is not None, **told)  # type: ignore[arg-type]


def _export(run: RunFolder) -> ExportSummary | None:
    for name in ("export.json", "export.rejected.json"):
        file = run.exports / name
        if file.is_file():
            try:
                return _exported(run, EXPORT.read(file, hint=""))
            except RunError as error:
                return ExportSummary(verdict="unreadable", words=str(error))
    return None


def _exported(run: RunFolder, export: Export) -> ExportSummary:
    gate = export.gate
    reasons = "; ".join(export.reasons or (gate.reasons if gate else ()))
    promise = gate.promise if gate and not export.refused else ""
    model = run.path / export.model if export.model else None
    whole = model is not None and model.is_file()
    return ExportSummary(
        verdict=export.verdict or (gate.verdict if gate else ""),
        words=promise or reasons,
        scheme=export.chosen,
        model=str(model) if model else None,
        size_bytes=model.stat().st_size if model and whole else None,
        n=export.test.int8.n if export.test else None,
        accuracy=export.test.int8.accuracy if export.test else None,
    )


def _files(run: RunFolder) -> tuple[str, ...]:
    models = sorted(str(file.relative_to(run.path)) for file in run.exports.glob("*.tflite"))
    return (*(name for name in _KEPT if (run.path / name).is_file()), *models)


def _next(run: RunFolder, export: ExportSummary | None, *, finished: bool) -> str:
    if not finished:
        return typed("mstl-edge", "train", "--resume", run.path)
    if export is None or export.verdict == "unreadable" or (export.model and export.size_bytes is None):
        return typed("mstl-edge", "export", run.path)
    if export.model is not None and not (run.path / "bench.json").is_file():
        return typed("mstl-edge", "bench", run.path)
    if not (run.path / "report.html").is_file():
        return typed("mstl-edge", "report", run.path)
    return typed("mstl-edge", "predict", run.path, "IMAGE") if export.model else typed("mstl-edge", "export", run.path)
