"""One arm in one fold: train the target stage, fit the decision, answer the test images in every scheme."""

from __future__ import annotations

import functools
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mstl_edge import __version__
from mstl_edge.data.sources import Split, source_folder
from mstl_edge.data.splits import Manifest
from mstl_edge.metrics import softmax
from mstl_edge.planning.positive import positive_class
from mstl_edge.progress import SILENT
from mstl_edge.recipe import Recipe
from mstl_edge.runs import StageFolder
from mstl_edge.schemas.metrics import Fitted
from mstl_edge.schemas.study_plan import Arm, Scheme, StudyPlan
from mstl_edge.storage import digest, write_bytes
from mstl_edge.study.decision import Decision, fit_decision
from mstl_edge.study.executor import FoldResult, FoldTask
from mstl_edge.study.folder import StudyFolder
from mstl_edge.study.folds import EVERYTHING, Fold, deal_folds
from mstl_edge.study.peak_memory import forget_peak, peak_bytes
from mstl_edge.study.predictions import FoldAnswers, answered, read_answers, write_answers
from mstl_edge.study.processor import cpu_kind
from mstl_edge.study.provenance import TrainingRecord, write_record
from mstl_edge.training import stage_data, stages
from mstl_edge.training._keras import keras, versions
from mstl_edge.training.asking import answers as int8_answers
from mstl_edge.training.convert import to_float_flatbuffer
from mstl_edge.training.fitting.checkpoint import seconds_spent
from mstl_edge.training.fitting.features import Images
from mstl_edge.training.fitting.workshop import Workshop
from mstl_edge.training.network.classifier import LOGITS, with_softmax
from mstl_edge.training.network.distance import relative_distances
from mstl_edge.training.network.graph import Weights
from mstl_edge.training.network.passes.absorb import absorb_batch_norm
from mstl_edge.training.quantize.candidates import FloatTwin, Kind, build_candidates
from mstl_edge.training.stage_data import StageData
from mstl_edge.training.trained import Trained

Keep = Callable[[Scheme, bytes], None]
QUANTIZING_PACKAGES = ("ai-edge-litert", "tensorflow-model-optimization")


@dataclass(frozen=True)
class OpenArm:
    """What all folds of an arm share.

    Attributes:
        plan: The study's plan.
        arm: The arm.
        data: All images of the target.
        carried: Weights that the stages before the target leave, or None.
    """

    plan: StudyPlan
    arm: Arm
    data: StageData
    carried: Weights | None


def run_fold(task: FoldTask) -> FoldResult:
    """Do one task, unless its answers are on disk already.

    Raises:
        MstlEdgeError: Images or disk do not allow it; other folds' answers stay.
    """
    started = time.monotonic()
    study = StudyFolder(task.study)
    opened = open_arm(task.study, task.arm)
    labels = opened.data.manifest.labels
    files = {s: study.answers(task.arm, s, task.repeat, task.fold, task.images) for s in task.schemes}
    if not all(path.is_file() for path in files.values()):
        place = (task.arm, task.repeat, task.fold, task.images)
        earlier = seconds_spent(study.work(*place).stage(opened.arm.stage.name).checkpoint)
        network = _train(opened, task, study)
        for scheme, probabilities in _probabilities(network, task.schemes, task.threads, _keeper(opened, task, study)):
            write_answers(files[scheme], _answers(network, probabilities), labels)
        seconds = time.monotonic() - started + earlier
        whole = earlier == 0.0
        record = TrainingRecord(
            round(seconds, 1),
            _versions(),
            training_seconds=round(network.seconds, 1) if whole else None,
            peak_bytes=network.peak_bytes if whole else None,
            moved=network.moved,
            cpu=cpu_kind(),
        )
        write_record(study.training(*place), record)
        shutil.rmtree(network.trained.run.path)
        keras.backend.clear_session()
    correct = {scheme: float(read_answers(path, labels).correct.mean()) for scheme, path in files.items()}
    return FoldResult(task, correct, time.monotonic() - started)


def _keeper(opened: OpenArm, task: FoldTask, study: StudyFolder) -> Keep | None:
    """Return what keeps the files of the first fold of a study on several networks; None where none is kept."""
    if not opened.plan.of_networks or (task.repeat, task.fold, task.images) != (1, 1, EVERYTHING):
        return None
    return lambda scheme, flatbuffer: write_bytes(study.model(task.arm, scheme), flatbuffer)


def _versions() -> dict[str, str]:
    found = {"mstl-edge": __version__, **versions()}
    for name in QUANTIZING_PACKAGES:
        with suppress(metadata.PackageNotFoundError):  # floats alone need no tfmot
            found[name] = metadata.version(name)
    return found


@functools.cache  # of any size: all arms of a fold come before the next fold, so that a full cache would never hit
def open_arm(study_path: Path, name: str) -> OpenArm:
    """Return what all folds of an arm share, read once.

    Raises:
        MstlEdgeError: Images are gone or others, or the weights that a bridge leaves are.
    """
    study = StudyFolder(study_path)
    plan = study.plan()
    arm = plan.arm(name)
    folder = source_folder(plan.target.data)
    data = stage_data.read_images(arm.recipe, arm.stage, study.manifest(), folder, SILENT)
    bridge = study.bridge(arm)
    carried = None if bridge is None else _carried(bridge.stage(arm.recipe.stages[-2].name).weights)
    return OpenArm(plan, arm, data, carried)


@functools.cache
def _carried(weights: Path) -> Weights:
    """Read what a bridge leaves once for all arms that stand on it."""
    return stages.read_weights(weights)


@dataclass(frozen=True)
class FoldNetwork:
    """The float network of one fold.

    Attributes:
        trained: Network and images in the form that quantization takes.
        decision: Fitted on validation images.
        test_logits: `(n, classes)`.
        epoch: The epoch that validation chose.
        seconds: What training took.
        peak_bytes: The most memory that the process held meanwhile, None where nothing tells it.
        moved: How far each layer went, see `relative_distances`.
    """

    trained: Trained
    decision: Decision
    test_logits: NDArray[np.float32]
    epoch: int
    seconds: float
    peak_bytes: int | None
    moved: dict[str, float]


def _train(opened: OpenArm, task: FoldTask, study: StudyFolder) -> FoldNetwork:
    plan, arm = opened.plan, opened.arm
    fold = _find_fold(plan, opened.data.manifest, task)
    data = fold_data(opened.data, fold)
    recipe = msgspec.structs.replace(arm.recipe, seed=_seed(arm.recipe, plan, task))
    work = study.work(task.arm, task.repeat, task.fold, task.images)
    work.path.mkdir(parents=True, exist_ok=True)
    labels = data.manifest.labels
    positive = positive_class(arm.stage, labels)
    forget_peak()
    started = time.monotonic()
    begun = stages.begin_network(recipe, arm.stage, data, opened.carried)
    folder = work.stage(arm.stage.name)
    network, history, scores = stages.fine_tune(begun, data, recipe, arm.stage, Workshop(folder, task.threads))
    seconds, peak = time.monotonic() - started, peak_bytes()
    moved = {name: far for name, far in relative_distances(begun, network).items() if name != LOGITS}
    decision = fit_decision(
        scores.validation, data.part("validation")[1], positive=positive, sensitivity=plan.sensitivity
    )
    entry = Fitted(
        labels=labels,
        positive=None if positive is None else labels[positive],
        temperature=decision.temperature,
        threshold=decision.threshold,
    )
    trained = Trained(work, recipe, arm.stage, entry, network, data)
    epoch = stages.selected_epoch(arm.stage, history)
    return FoldNetwork(trained, decision, scores.test, epoch, seconds, peak, moved)


def _answers(network: FoldNetwork, probabilities: NDArray[Any]) -> FoldAnswers:
    trained = network.trained
    names = [row.name for row in trained.data.manifest.part("test")]
    classes = trained.data.part("test")[1]
    return answered(names, classes, probabilities, network.decision, positive=trained.positive, epoch=network.epoch)


def _probabilities(
    network: FoldNetwork, schemes: tuple[Scheme, ...], threads: int, keep: Keep | None = None
) -> Iterator[tuple[Scheme, NDArray[Any]]]:
    """Yield each scheme with its `(n, classes)` answers to the test images.

    Int8 answers come from the file that a device would get, without card and golden samples, in the runtime that a device uses.
    `keep` is handed each file.
    """
    kinds: list[Kind] = [kind for kind in ("ptq", "qat") if f"int8-{kind}" in schemes]
    trained = network.trained
    if kinds or keep is not None:
        absorbed = absorb_batch_norm(with_softmax(trained.network, network.decision.temperature))
        twin = to_float_flatbuffer(absorbed)
        if keep is not None:
            keep("float32", twin)  # before the answers, whose presence says that the fold is done
    if "float32" in schemes:
        yield "float32", softmax(network.test_logits, network.decision.temperature)
    if not kinds:
        return
    pixels = trained.pixels(trained.data.part("test")[0])
    workshop = Workshop(StageFolder(trained.run.path / "stages" / "quantize"), threads)
    for made in build_candidates(trained, FloatTwin(absorbed, twin), kinds, workshop, signature=False):
        scheme: Scheme = "int8-ptq" if made.kind == "ptq" else "int8-qat"
        if keep is not None:
            keep(scheme, made.flatbuffer)
        yield scheme, int8_answers(made.flatbuffer, pixels, threads=threads)


def _find_fold(plan: StudyPlan, manifest: Manifest, task: FoldTask) -> Fold:
    return next(
        fold
        for fold in plan_folds(plan, manifest, task.images)
        if (fold.repeat, fold.number) == (task.repeat, task.fold)
    )


def plan_folds(plan: StudyPlan, manifest: Manifest, images: int) -> list[Fold]:
    """Return the plan's folds; every arm gets the same."""
    return deal_folds(
        manifest.rows,
        folds=plan.folds,
        repeats=plan.repeats,
        seed=plan.fold_seed,
        validation=plan.target.split.validation,
        images=images,
    )


def fold_data(data: StageData, fold: Fold) -> StageData:
    """Return the images of one fold, dealt as the fold says; others are left out."""
    dealt: dict[Split, tuple[int, ...]] = {"train": fold.train, "validation": fold.validation, "test": fold.test}
    part = {position: split for split, positions in dealt.items() for position in positions}
    kept = sorted(part)
    rows = tuple(replace(data.manifest.rows[i], split=part[i]) for i in kept)
    manifest = replace(data.manifest, rows=rows)
    images = Images(data.images.pixels.select(kept), tuple(data.images.keys[i] for i in kept))
    return StageData(manifest, images, data.classes[kept])


def _seed(recipe: Recipe, plan: StudyPlan, task: FoldTask) -> int:
    """Return a seed of the fold's own, the same for every arm whose recipe has the same."""
    parts = (recipe.seed, plan.fold_seed, task.repeat, task.fold)
    return int.from_bytes(digest(*map(str, parts))[:4], "little")
