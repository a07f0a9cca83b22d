"""Study folders: what was planned, who is in which fold, every answer, the result.

plan.json                               arms with their resolved recipes, folds, repeats, seeds
images.json  folds.csv                  the images, and which fold each is tested in
bridges/KEY/                            a run folder for the stages before the target, shared by folds and arms
folds/ARM-SCHEME-REPEAT-FOLD.csv        out-of-fold answers; -nIMAGES behind it for a point of the learning curve
trainings/ARM-REPEAT-FOLD.json          seconds and package versions of one training, all its schemes together
work/                                   checkpoints of the fold at hand
answers.csv                             all out-of-fold answers together
study.json                              the result
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mstl_edge.data.splits import Manifest, load_manifest, save_manifest
from mstl_edge.errors import RunError
from mstl_edge.recipe import Recipe, to_tree
from mstl_edge.runs import RunFolder, check_unused
from mstl_edge.schemas.study_plan import STUDY_PLAN, Arm, Scheme, StudyPlan
from mstl_edge.storage import digest, write_text
from mstl_edge.training.study.folds import Fold

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
        """The run of the stages before the arm's target; None where there are none."""
        earlier = bridge_recipe(arm.recipe)
        return None if earlier is None else RunFolder(self.path / "bridges" / _key(earlier))

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

    def work(self, arm: str, repeat: int, fold: int, images: int) -> RunFolder:
        """A folder for the checkpoints of one arm in one fold."""
        return RunFolder(self.path / "work" / f"{arm}-{repeat}-{fold}{_suffix(images)}")

    def plan(self) -> StudyPlan:
        """Return the plan this study was made with."""
        return STUDY_PLAN.read(self.plan_file, hint="Start a new study: mstl-edge study RECIPE")

    def manifest(self) -> Manifest:
        """Return the images of this study."""
        return load_manifest(self.manifest_file)


def _suffix(images: int) -> str:
    return f"-n{images}" if images else ""


def bridge_recipe(recipe: Recipe) -> Recipe | None:
    """Return the recipe up to its last stage; None where that is the only one."""
    return msgspec.structs.replace(recipe, stages=recipe.stages[:-1]) if len(recipe.stages) > 1 else None


def _key(earlier: Recipe) -> str:
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
    check_free(out)
    study = StudyFolder(out or _unused(STUDIES / f"{plan.recipe.name}-{time.strftime('%Y%m%d-%H%M%S')}"))
    save_manifest(study.manifest_file, manifest)
    write_text(study.folds_file, _folds_csv(manifest, folds))
    STUDY_PLAN.write(study.plan_file, plan)
    return study


def check_free(out: Path | None) -> None:
    """Refuse an output folder that holds something; asked before anything slow begins.

    Raises:
        RunError: It does.
    """
    if out is not None and (out / "plan.json").is_file():
        raise RunError(
            "an output folder that does not exist or is empty",
            received=out,
            hint=f"Go on with that study by 'mstl-edge study --resume {out}', or choose another --out.",
        )
    check_unused(out)


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


def refuse_other_recipe(study: StudyFolder, given: Recipe) -> None:
    """Refuse to go on with a study by another recipe than its own.

    Raises:
        RunError: The recipes differ; the message names the first key that does.
    """
    own = study.plan().recipe
    if given == own:
        return
    key, there, here = next(_differences(to_tree(own), to_tree(given)))
    raise RunError(
        f"the recipe that this study was made with ({key} = {there!r})",
        received=f"{key} = {here!r}",
        hint=f"Go on with its own recipe: mstl-edge study --resume {study.path}",
    )


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


def _unused(path: Path) -> Path:
    """Return `path`, or the first of `path-2`, `path-3` … that does not exist."""
    candidate, number = path, 2
    while candidate.exists():
        candidate, number = path.with_name(f"{path.name}-{number}"), number + 1
    return candidate
