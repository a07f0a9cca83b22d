"""The story: every stage of a recipe, each standing on what the one before has taught the network."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from mstl_edge.progress import SILENT, Reporter
from mstl_edge.recipe import Recipe, StageSpec
from mstl_edge.runs import RunFolder, read_json
from mstl_edge.storage import write_text
from mstl_edge.training import graph, stages

METRICS_SCHEMA = "mstl-edge/metrics/1"


def train(run: RunFolder, *, threads: int | None = None, reporter: Reporter = SILENT) -> dict[str, Any]:
    """Train every stage of the run's recipe that is not finished yet.

    Godasu, El-Gayar and Sutrave, "Multi-stage transfer learning system with light-weight architectures in medical image
    classification", AMCIS 2020: fine-tune on a bridge data set, replace the head, fine-tune again on the target; at each
    stage the lower layers stay frozen and the new head is trained together with the top convolution layers.

    Args:
        run: A run folder; a finished stage in it is kept, an unfinished one goes on after its last finished epoch.
        threads: CPU threads; default all.
        reporter: Told of progress.

    Returns:
        The tree of `metrics.json`.

    Raises:
        MstlEdgeError: Data, weights or disk do not allow it; what is finished stays.
    """
    started = time.monotonic()
    recipe = run.recipe()
    threads = threads or os.cpu_count() or 1
    carried: graph.Weights | None = None
    measured = []
    for stage in recipe.stages:
        folder = run.stage(stage.name)
        if folder.metrics.is_file():
            reporter.say(f"{stage.name}: finished earlier, kept")
        else:
            _train_stage(recipe, stage, run, carried, threads, reporter)
        carried = stages.read_weights(folder.weights)
        measured.append(read_json(folder.metrics))
    seconds = round(time.monotonic() - started, 1)
    metrics = {
        "schema": METRICS_SCHEMA,
        "recipe": recipe.name,
        "seed": recipe.seed,
        "stages": measured,
        "seconds": seconds,
    }
    write_text(run.metrics, json.dumps(metrics, indent=2) + "\n")
    return metrics


def _train_stage(
    recipe: Recipe, stage: StageSpec, run: RunFolder, carried: graph.Weights | None, threads: int, reporter: Reporter
) -> None:
    data = stages.prepare_stage(recipe, stage, run, reporter)
    stages.positive_class(stage, data.manifest.labels)
    model = stages.build_network(recipe, stage, len(data.manifest.labels), carried)
    history, scores = stages.fine_tune(model, data, recipe, stage, run.stage(stage.name), threads, reporter)
    entry = stages.measure_stage(stage, data, scores, history, model)
    stages.save_stage(run.stage(stage.name), data, model, history, scores, entry)
