"""Study folders: what was planned, who is in which fold, every answer, the result.

plan.json                               arms with their resolved recipes, folds, repeats, seeds
data.json                               where data lies now that has moved since, by stage
images.json  folds.csv                  the images, and which fold each is tested in
bridges/KEY/                            a run folder for the stages before the target, shared by folds and arms
folds/ARM-SCHEME-REPEAT-FOLD.csv        out-of-fold answers; -nIMAGES behind it for a point of the learning curve
trainings/ARM-REPEAT-FOLD.json          seconds and package versions of one training, all its schemes together
failed/ARM-REPEAT-FOLD.txt              why a training on a cluster failed
models/ARM-SCHEME.tflite                the files of the first fold, where the arms are of different networks
bench.json                              what these cost on this machine
work/                                   checkpoints of the fold at hand
answers.csv                             all out-of-fold answers together
study.json                              the result
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mstl_edge.data.splits import Manifest, load_manifest, save_manifest
from mstl_edge.errors import MstlEdgeError, RunError, typed
from mstl_edge.moved import check_same_data, read_places, write_places
from mstl_edge.output_folder import new_folder
from mstl_edge.progress import SILENT, Reporter
from mstl_edge.recipe import Recipe, absolute_source, stage_named, to_tree, with_absolute_paths, with_data
from mstl_edge.runs import RunFolder, relocate_run
from mstl_edge.schemas.study_plan import STUDY_PLAN, Arm, Scheme, StudyPlan
from mstl_edge.storage import digest, write_text
from mstl_edge.study.folds import Fold

STUDIES = Path("studies")


@dataclass(frozen=True)
class StudyFolder:
    """A study folder and the names in it."""

    path: Path

    @property
    def plan_file(self) -> Path:
        """What decides the study's numbers."""
        return self.path / "plan.json"

    @property
    def manifest_file(self) -> Path:
        """The target's images; their splits mean nothing, `folds_file` says who is tested when."""
        return self.path / "images.json"

    @property
    def folds_file(self) -> Path:
        """The fold that each image is tested in, one column per repeat."""
        return self.path / "folds.csv"

    @property
    def result(self) -> Path:
        """The study's tables; its presence means that the study is finished."""
        return self.path / "study.json"

    def bridge(self, arm: Arm) -> RunFolder | None:
        """The run of the stages before the arm's target; None where there are none.

        Named by the plan as it was made, so that data that has moved finds its bridge again.
        """
        moved = read_places(self.places_file)
        as_made = next(one for one in self._plan_as_made().arms if one.name == arm.name) if moved else arm
        earlier = bridge_recipe(as_made.recipe)
        if earlier is None:
            return None
        named = RunFolder(self.path / "bridges" / bridge_key(earlier))
        return named if named.path.is_dir() else self._bridge_of_before(earlier) or named

    def _bridge_of_before(self, earlier: Recipe) -> RunFolder | None:
        """Return the bridge that a version with other keys of a recipe has trained, and named by those."""
        for path in sorted((self.path / "bridges").glob("*")):
            run = RunFolder(path)
            try:
                if run.recipe_file.is_file() and bridge_key(run.recipe()) == bridge_key(earlier):
                    return run
            except MstlEdgeError:  # damaged, or of a later version: not this one
                continue
        return None

    @property
    def all_answers(self) -> Path:
        """Every fold's answers in one CSV."""
        return self.path / "answers.csv"

    def answers(self, arm: str, scheme: Scheme, repeat: int, fold: int, images: int) -> Path:
        """The answers of one arm in one fold and scheme."""
        return self.path / "folds" / f"{arm}-{scheme}-{repeat}-{fold}{_suffix(images)}.csv"

    def training(self, arm: str, repeat: int, fold: int, images: int) -> Path:
        """What one training took, and the packages that it ran in."""
        return self.path / "trainings" / f"{arm}-{repeat}-{fold}{_suffix(images)}.json"

    def failure(self, arm: str, repeat: int, fold: int, images: int) -> Path:
        """Why one training failed that was done elsewhere."""
        return self.path / "failed" / f"{arm}-{repeat}-{fold}{_suffix(images)}.txt"

    def model(self, arm: str, scheme: Scheme) -> Path:
        """The file of an arm's first fold, without a card: its times tell what the arm costs."""
        return self.path / "models" / f"{arm}-{scheme}.tflite"

    @property
    def bench(self) -> Path:
        """What the models cost on this machine."""
        return self.path / "bench.json"

    def work(self, arm: str, repeat: int, fold: int, images: int) -> RunFolder:
        """A folder for the checkpoints of one arm in one fold."""
        return RunFolder(self.path / "work" / f"{arm}-{repeat}-{fold}{_suffix(images)}")

    @property
    def places_file(self) -> Path:
        """Where the data of a stage lies now, if it has moved since the study was made."""
        return self.path / "data.json"

    def plan(self) -> StudyPlan:
        """Return the plan this study was made with, its data where they lie now."""
        return _with_data(self._plan_as_made(), read_places(self.places_file))

    def _plan_as_made(self) -> StudyPlan:
        return STUDY_PLAN.read(self.plan_file, hint="Start a new study: mstl-edge study RECIPE")

    def manifest(self) -> Manifest:
        """Return the images of this study."""
        return load_manifest(self.manifest_file)


def _suffix(images: int) -> str:
    return f"-n{images}" if images else ""


def bridge_recipe(recipe: Recipe) -> Recipe | None:
    """Return the recipe up to its last stage; None where that is the only one."""
    return msgspec.structs.replace(recipe, stages=recipe.stages[:-1]) if len(recipe.stages) > 1 else None


def bridge_key(earlier: Recipe) -> str:
    """Name what decides the weights of a bridge; names, descriptions and quantization do not."""
    deciding = [earlier.seed, earlier.backbone, earlier.preprocess, earlier.stages]
    return digest(msgspec.json.encode(deciding)).hex()[:12]


def create_study(plan: StudyPlan, manifest: Manifest, folds: Sequence[Fold], out: Path | None) -> StudyFolder:
    """Make a fresh study folder.

    Args:
        plan: What will be done.
        manifest: The target's images.
        folds: Who is in which fold.
        out: The folder; default `studies/RECIPE-DATE-TIME`.

    Raises:
        RunError: `out` already holds something.
    """
    with new_folder(out, STUDIES / plan.recipe.name) as path:
        study = StudyFolder(path)
        save_manifest(study.manifest_file, manifest)
        write_text(study.folds_file, _folds_csv(manifest, folds))
        STUDY_PLAN.write(study.plan_file, plan)
    return study


def _with_data(plan: StudyPlan, moved: Mapping[str, str]) -> StudyPlan:
    arms = tuple(msgspec.structs.replace(arm, recipe=with_data(arm.recipe, moved)) for arm in plan.arms)
    return msgspec.structs.replace(plan, recipe=with_data(plan.recipe, moved), arms=arms)


def with_absolute_places(plan: StudyPlan) -> StudyPlan:
    """Return the plan with every path of its recipes resolved against the working folder."""
    arms = tuple(msgspec.structs.replace(arm, recipe=with_absolute_paths(arm.recipe)) for arm in plan.arms)
    return msgspec.structs.replace(plan, recipe=with_absolute_paths(plan.recipe), arms=arms)


def open_study(path: Path) -> StudyFolder:
    """Return the study in a folder.

    Raises:
        RunError: There is none, or one of another version.
    """
    study = StudyFolder(path)
    if not study.plan_file.is_file():
        raise RunError("a study folder (it holds plan.json)", received=path, hint="Start one: mstl-edge study RECIPE")
    study.plan()
    return study


def refuse_other_recipe(study: StudyFolder, given: Recipe, moved: Mapping[str, str] | None = None) -> None:
    """Refuse to go on with a study by another recipe than its own.

    Args:
        study: The study.
        given: The recipe that was named.
        moved: Stages whose data may lie elsewhere now; `relocate_study` proves that it is the same.

    Raises:
        RunError: The recipes differ; the message names the first key that does.
    """
    own, given = with_absolute_paths(study.plan().recipe), with_absolute_paths(given)
    given = with_data(given, {stage.name: stage.data for stage in own.stages if stage.name in (moved or {})})
    if given == own:
        return
    key, there, here = next(_differences(to_tree(own), to_tree(given)))
    raise RunError(
        f"the recipe that this study was made with ({key} = {there!r})",
        received=f"{key} = {here!r}",
        hint=f"Go on with its own recipe: {typed('mstl-edge', 'study', '--resume', study.path)}",
    )


def relocate_study(study: StudyFolder, moved: Mapping[str, str], reporter: Reporter = SILENT) -> None:
    """Remember where the data of a study lies now, once hashes have proven that it is the same.

    Args:
        study: The study.
        moved: Data source by stage.
        reporter: Told of progress.

    Raises:
        RecipeError: No recipe of the study has such a stage.
        DataError: Another data set; the first file that differs is named.
    """
    plan = study.plan()
    places = {stage: absolute_source(source) for stage, source in moved.items()}
    bridges = {run.path: run for arm in plan.arms if (run := study.bridge(arm)) is not None and run.run_file.is_file()}
    targets = {arm.stage.name: arm.stage for arm in plan.arms}
    for name, source in places.items():
        if name in targets:
            check_same_data(targets[name], source, study.manifest().rows, reporter)
        elif not any(name == stage.name for arm in plan.arms for stage in arm.recipe.stages):
            stage_named(plan.recipe, name)  # which says what stages there are
    for run in bridges.values():
        names = {stage.name for stage in run.recipe().stages}
        relocate_run(run, {name: source for name, source in places.items() if name in names}, reporter)
    if places:
        write_places(study.places_file, places)


def _differences(own: Any, given: Any, where: str = "") -> Any:
    """Yield the keys whose values differ, with both values."""
    if isinstance(own, dict) and isinstance(given, dict):
        for key in own:
            yield from _differences(own[key], given.get(key), f"{where}.{key}" if where else key)
    elif where == "stages" and len(own) == len(given):
        for mine, theirs in zip(own, given, strict=True):
            yield from _differences(mine, theirs, f"stages.{mine['name']}")
    elif where == "stages":
        yield where, ", ".join(stage["name"] for stage in own), ", ".join(stage["name"] for stage in given)
    elif own != given:
        yield where, own, given


def _folds_csv(manifest: Manifest, folds: Sequence[Fold]) -> str:
    tested = {(fold.repeat, position): fold.number for fold in folds for position in fold.test}
    repeats = sorted({fold.repeat for fold in folds})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "label", "group", *(f"repeat {repeat}" for repeat in repeats)])
    for position, row in enumerate(manifest.rows):
        writer.writerow([row.name, row.label, row.group, *(tested[repeat, position] for repeat in repeats)])
    return text.getvalue()
