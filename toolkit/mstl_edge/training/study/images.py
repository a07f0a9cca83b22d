"""The images of a study, and the arms that have to agree on them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial

import msgspec

from mstl_edge.counted import counted
from mstl_edge.data.seen import Seen, look_at
from mstl_edge.data.sources import DataSource, open_source, open_stage
from mstl_edge.data.splits import Manifest, split_source
from mstl_edge.errors import DataError
from mstl_edge.planning.positive import ignored_positive, positive_class
from mstl_edge.progress import Reporter
from mstl_edge.runs import create_run
from mstl_edge.schemas.study_plan import Arm, StudyPlan
from mstl_edge.study.folder import StudyFolder, bridge_key, bridge_recipe
from mstl_edge.training import pipeline, stage_data
from mstl_edge.training._keras import versions


def gather_images(plan: StudyPlan, reporter: Reporter, seen: Seen | None = None) -> Manifest:
    """Check every arm's ingredients, and read the target's images.

    Args:
        plan: The study's plan.
        reporter: Told of progress.
        seen: The target's data, where somebody has read them already.

    Returns:
        The images with label and group; splits that folders declare are ignored, since folds are dealt from all images.

    Raises:
        DataError: Images or labels cannot be used, arms differ in images, labels or positive class, or a sensitivity is required
            of more than two classes.
        WeightsError: First weights are missing or belong to another network.
    """
    # Arms share most of what they are made of: each source is listed once, and each network built once.
    opened, weights_check = partial(open_stage, opened=cache(open_source)), cache(pipeline.check_weights)
    for arm in plan.arms:
        pipeline.check_ingredients(arm.recipe, opened=opened, weights_check=weights_check)
    target = plan.target
    source = opened(target)
    if plan.sensitivity and len(source.labels) > 2:
        raise DataError(
            "two classes for --sensitivity, which moves the threshold between them",
            received=f"{len(source.labels)} classes ({', '.join(source.labels)})",
            hint="Leave --sensitivity out: of more than two classes the most probable one is the answer.",
        )
    for arm in plan.arms:
        _check_agrees(plan, arm, source, opened(arm.stage))
    scan = (seen or look_at(target, plan.recipe.preprocess, reporter, source)).scan
    whole = msgspec.structs.replace(target.split, resplit=True, subset=0)
    manifest = split_source(source, scan, whole, seed=plan.recipe.seed)
    patients = "" if manifest.patients_known else "; patients unknown, near-duplicates kept together"
    reporter.say(f"{target.name}: {counted(len(manifest.rows), 'image')}, {' / '.join(manifest.labels)}{patients}")
    if ignored := ignored_positive(target, source.labels):
        reporter.say(ignored)
    if any(image.declared for image in source.images):
        reporter.say(f"{target.name}: the splits that its folders declare are ignored; folds are dealt from all images")
    return manifest


def _check_agrees(plan: StudyPlan, arm: Arm, source: DataSource, own: DataSource) -> None:
    first, hint = plan.target, f"Name one data set for all: --data {arm.stage.name}=PATH"
    if own.labels != source.labels:
        raise DataError(
            f"the same labels in every arm ({', '.join(source.labels)} as in {plan.recipe.name})",
            received=f"{', '.join(own.labels)} in arm {arm.name}",
            hint=hint,
        )
    if {(image.name, image.label) for image in own.images} != {(image.name, image.label) for image in source.images}:
        raise DataError(
            f"the same images in every arm ({len(source.images)} of {source.source})",
            received=f"{len(own.images)} of {own.source} in arm {arm.name}",
            hint=hint,
        )
    wanted, given = (positive_class(stage, own.labels) for stage in (first, arm.stage))
    if wanted is not None and given is not None and wanted != given:
        raise DataError(
            f"the same positive class in every arm ({own.labels[wanted]})",
            received=f"{own.labels[given]} in arm {arm.name}",
            hint="Set 'positive' in the last stage of that recipe.",
        )


def deal_bridges(plan: StudyPlan, manifest: Manifest, reporter: Reporter) -> dict[str, dict[str, Manifest]]:
    """Deal out the data of the stages before the target, once for all arms that share them.

    Args:
        plan: The study's plan.
        manifest: The target's images.
        reporter: Told of progress.

    Returns:
        Manifests by stage, by the key of the bridge.

    Raises:
        DataError: Data cannot be used, or a bridge is trained on an image of the target.
    """
    dealt: dict[str, dict[str, Manifest]] = {}
    for arm in plan.arms:
        earlier = bridge_recipe(arm.recipe)
        if earlier is None:
            continue
        key = bridge_key(earlier)
        if key not in dealt:
            dealt[key] = pipeline.deal_out(earlier, reporter=reporter)
        _refuse_target_images(arm, manifest, dealt[key])
    return dealt


def make_bridges(study: StudyFolder, dealt: Mapping[str, Mapping[str, Manifest]]) -> None:
    """Make the run folders of the stages before the target, with the splits of `deal_bridges`."""
    for arm in study.plan().arms:
        earlier, run = bridge_recipe(arm.recipe), study.bridge(arm)
        if earlier is not None and run is not None and not run.recipe_file.is_file():
            create_run(earlier, run.path, versions={"versions": versions()}, manifests=dealt[run.path.name])


def _refuse_target_images(arm: Arm, manifest: Manifest, bridge: Mapping[str, Manifest]) -> None:
    # Whatever part of the manifest an image was dealt to, some fold tests it.
    judged = tuple(replace(row, split="test") for row in manifest.rows)
    stage_data.refuse_overlap(arm.stage, replace(manifest, rows=judged), bridge)


def train_bridges(study: StudyFolder, threads: int, reporter: Reporter) -> None:
    """Train the stages before the target, once for all folds and for all arms that share them.

    Raises:
        DataError: A bridge was trained on an image of the target.
    """
    manifest = study.manifest()
    for arm in study.plan().arms:
        earlier, run = bridge_recipe(arm.recipe), study.bridge(arm)
        if earlier is None or run is None or run.metrics.is_file():
            continue
        if not run.recipe_file.is_file():
            shutil.rmtree(run.path, ignore_errors=True)  # of a process that was killed while it made the folder
            create_run(earlier, run.path, versions={"versions": versions()})
        _refuse_target_images(arm, manifest, pipeline.dealt(run, reporter))
        reporter.say(f"{arm.name}: training what comes before {arm.stage.name}, once for all folds")
        pipeline.train(run, threads=threads, reporter=reporter)
