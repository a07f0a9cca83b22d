"""The story: every stage of a recipe, each standing on what the one before has taught the network."""

from __future__ import annotations

import os
import time

import msgspec

from mstl_edge.data.sources import open_source
from mstl_edge.progress import SILENT, Reporter
from mstl_edge.recipe import Recipe, StageSpec
from mstl_edge.runs import RunFolder
from mstl_edge.schemas.metrics import METRICS, RunMetrics, read_stage_metrics
from mstl_edge.training import graph, stages
from mstl_edge.training.checkpoint import seconds_spent
from mstl_edge.training.positive import positive_class


def check_ingredients(recipe: Recipe) -> None:
    """Look at every stage's data source and at the weights before a run folder is made for them.

    Raises:
        DataError: A source is missing, empty, has one class, or lacks the positive class.
        WeightsError: The first weights are missing or belong to another network.
    """
    for stage in recipe.stages:
        source = open_source(stage.data, patient=stage.split.patient, column=stage.split.column)
        positive_class(stage, source.labels)
    stages.build_network(recipe, recipe.stages[0], 2, None)


def train(run: RunFolder, *, threads: int | None = None, reporter: Reporter = SILENT) -> RunMetrics:
    """Train every stage of the run's recipe that is not finished yet.

    Godasu, El-Gayar and Sutrave, "Multi-stage transfer learning system with light-weight architectures in medical image
    classification", AMCIS 2020: fine-tune on a bridge data set, replace the head, fine-tune again on the target; at each
    stage the lower layers stay frozen and the new head is trained together with the top convolution layers.

    Args:
        run: A run folder; a finished stage in it is kept, an unfinished one goes on after its last finished epoch.
        threads: CPU threads; default all.
        reporter: Told of progress.

    Returns:
        What is in `metrics.json`.

    Raises:
        MstlEdgeError: Data, weights or disk do not allow it; what is finished stays.
    """
    recipe = run.recipe()
    threads = threads or os.cpu_count() or 1
    for leftover in run.path.rglob("*.partial"):  # of a process that was killed while it wrote
        leftover.unlink()
    carried: graph.Weights | None = None
    measured = []
    for stage in recipe.stages:
        folder = run.stage(stage.name)
        if folder.metrics.is_file():
            reporter.say(f"{stage.name}: finished earlier, kept")
        else:
            _train_stage(recipe, stage, run, carried, threads, reporter)
        carried = stages.read_weights(folder.weights)
        measured.append(read_stage_metrics(folder.metrics))
    metrics = RunMetrics(
        recipe=recipe.name,
        seed=recipe.seed,
        stages=tuple(measured),
        seconds=round(sum(entry.seconds or 0.0 for entry in measured), 1),
    )
    METRICS.write(run.metrics, metrics)
    return metrics


def _train_stage(
    recipe: Recipe, stage: StageSpec, run: RunFolder, carried: graph.Weights | None, threads: int, reporter: Reporter
) -> None:
    folder = run.stage(stage.name)
    started = time.monotonic() - seconds_spent(folder.checkpoint)
    data = stages.prepare_stage(recipe, stage, run, reporter)
    positive_class(stage, data.manifest.labels)
    model = stages.build_network(recipe, stage, len(data.manifest.labels), carried)
    history, scores = stages.fine_tune(model, data, recipe, stage, folder, threads, reporter)
    entry = stages.measure_stage(stage, data, scores, history, model)
    entry = msgspec.structs.replace(entry, seconds=round(time.monotonic() - started, 1))
    stages.save_stage(folder, data, model, history, scores, entry)
