"""The story: every stage of a recipe, each standing on what the one before has taught the network."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from mstl_edge.data.seen import Seen
from mstl_edge.data.sources import DataSource, open_stage
from mstl_edge.data.splits import Manifest, load_manifest, save_manifest
from mstl_edge.output_folder import check_unused, working_alone
from mstl_edge.planning.positive import positive_class
from mstl_edge.progress import SILENT, Reporter
from mstl_edge.recipe import BackboneSpec, Recipe, StageSpec, with_absolute_paths
from mstl_edge.runs import RunFolder, create_run
from mstl_edge.schemas.choices import Choices
from mstl_edge.schemas.metrics import METRICS, RunMetrics, read_stage_metrics
from mstl_edge.training import stage_data, stages
from mstl_edge.training._keras import versions
from mstl_edge.training.fitting.checkpoint import seconds_spent
from mstl_edge.training.fitting.workshop import Workshop
from mstl_edge.training.network.graph import Weights
from mstl_edge.training.weights import loaded_backbone
from mstl_edge_models.backbones import HEAD


def check_weights(spec: BackboneSpec, seed: int) -> None:
    """Load the first weights of a backbone, to see that they are there and its own.

    Raises:
        WeightsError: See `loaded_backbone`.
    """
    loaded_backbone(spec, seed)


def check_ingredients(
    recipe: Recipe,
    seen: Mapping[str, Seen] | None = None,
    *,
    opened: Callable[[StageSpec], DataSource] = open_stage,
    weights_check: Callable[[BackboneSpec, int], None] = check_weights,
) -> None:
    """Look at every stage's data source and at the weights before a run folder is made for them.

    Args:
        recipe: What will be trained.
        seen: Data by stage that somebody has read already.
        opened: Lists the images of a stage; whoever checks several recipes remembers what they share.
        weights_check: Checks first weights; likewise.

    Raises:
        DataError: A source is missing, empty, has one class, or lacks the positive class.
        WeightsError: The first weights are missing or belong to another network.
    """
    for stage in recipe.stages:
        known = (seen or {}).get(stage.name)
        positive_class(stage, known.source.labels if known else opened(stage).labels)
    weights_check(recipe.backbone, recipe.seed)


def deal_out(
    recipe: Recipe,
    kept: Mapping[str, Manifest] | None = None,
    reporter: Reporter = SILENT,
    seen: Mapping[str, Seen] | None = None,
) -> dict[str, Manifest]:
    """Read and deal out the data of all stages, so that wrong data of the last is refused before the first is trained.

    Args:
        recipe: The stages.
        kept: Manifests by stage that were dealt before; their data is not read again.
        reporter: Told of progress.
        seen: Data by stage that somebody has read already.

    Raises:
        DataError: The data of a stage cannot be used, or judges by an image that an earlier stage is trained on.
    """
    manifests: dict[str, Manifest] = {}
    for stage in recipe.stages:
        known = (kept or {}).get(stage.name)
        found = (seen or {}).get(stage.name)
        manifests[stage.name] = known or stage_data.deal_stage(recipe, stage, manifests, found, reporter)
    return manifests


def dealt(run: RunFolder, reporter: Reporter = SILENT) -> dict[str, Manifest]:
    """Return the manifests of a run by stage; those that it lacks are dealt and kept.

    Raises:
        DataError: See `deal_out`.
    """
    recipe = run.recipe()
    files = {stage.name: run.manifest(stage.name) for stage in recipe.stages}
    kept = {name: load_manifest(file) for name, file in files.items() if file.is_file()}
    if len(kept) == len(files):
        return kept
    manifests = deal_out(recipe, kept, reporter)
    for name in files.keys() - kept.keys():
        save_manifest(files[name], manifests[name])
    return manifests


def start_run(
    recipe: Recipe,
    out: Path | None,
    *,
    reporter: Reporter = SILENT,
    seen: Mapping[str, Seen] | None = None,
    choices: Choices | None = None,
) -> RunFolder:
    """Make a run folder, once everything that training needs is there and the splits of all stages stand.

    Args:
        recipe: What will be trained.
        out: See `create_run`.
        reporter: Told of progress.
        seen: Data by stage that somebody has read already.
        choices: Why the recipe is as it is, where it was made from data.

    Raises:
        MstlEdgeError: Data, weights or the folder do not allow it; nothing is left behind.
    """
    check_unused(out)
    check_ingredients(recipe, seen)
    whole = with_absolute_paths(recipe)
    manifests = deal_out(whole, reporter=reporter, seen=seen)
    return create_run(whole, out, versions={"versions": versions()}, manifests=manifests, choices=choices)


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
    with working_alone(run.path):
        return _train(run, threads or os.cpu_count() or 1, reporter)


def _train(run: RunFolder, threads: int, reporter: Reporter) -> RunMetrics:
    recipe = run.recipe()
    for leftover in run.path.rglob("*.partial"):  # of a process that was killed while it wrote
        leftover.unlink(missing_ok=True)
    dealt(run, reporter)
    carried: Weights | None = None
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
    recipe: Recipe, stage: StageSpec, run: RunFolder, carried: Weights | None, threads: int, reporter: Reporter
) -> None:
    if stage.unfreeze_from == HEAD and stage is not recipe.stages[-1]:
        reporter.say(
            f"{stage.name}: trains its head alone, which the next stage replaces: it hands on nothing that it learned"
        )
    folder = run.stage(stage.name)
    started = time.monotonic() - seconds_spent(folder.checkpoint)
    data = stage_data.prepare_stage(recipe, stage, run, reporter)
    begun = stages.begin_network(recipe, stage, data, carried)
    network, history, scores = stages.fine_tune(begun, data, recipe, stage, Workshop(folder, threads, reporter))
    entry = stages.measure_stage(stage, data, scores, history, network)
    entry = msgspec.structs.replace(entry, seconds=round(time.monotonic() - started, 1))
    stages.save_stage(folder, data, network, history, scores, entry)
