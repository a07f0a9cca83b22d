"""Run folders: where a training run keeps what it decided, learned and measured.

recipe.toml  run.json  metrics.json
choices.json                            why the recipe is as it is, where it was made from data
data.json                               where data lies now that has moved since, by stage
splits/STAGE.json                       the manifest: file, label, group, split, sha256
stages/STAGE/{checkpoint.npz, weights.npz, history.csv, metrics.json, predictions.csv}
exports/*.tflite
"""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mstl_edge.data.splits import Manifest, load_manifest, save_manifest
from mstl_edge.errors import RunError, typed
from mstl_edge.moved import check_same_data, read_places, write_places
from mstl_edge.output_folder import new_folder
from mstl_edge.progress import SILENT, Reporter
from mstl_edge.recipe import Recipe, absolute_source, load_recipe, stage_named, to_toml, with_absolute_paths, with_data
from mstl_edge.schemas.choices import CHOICES, Choices
from mstl_edge.storage import write_text

RUNS = Path("runs")
SCHEMA = "mstl-edge/run/1"


@dataclass(frozen=True)
class StageFolder:
    """The files of one stage."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        """State after the last finished epoch."""
        return self.path / "checkpoint.npz"

    @property
    def weights(self) -> Path:
        """Weights of the whole network as this stage leaves it."""
        return self.path / "weights.npz"

    @property
    def history(self) -> Path:
        """Loss and accuracy of each epoch."""
        return self.path / "history.csv"

    @property
    def metrics(self) -> Path:
        """What the stage measured; written last, so its presence means that the stage is finished."""
        return self.path / "metrics.json"

    @property
    def predictions(self) -> Path:
        """The float model's probabilities on validation and test images."""
        return self.path / "predictions.csv"


@dataclass(frozen=True)
class RunFolder:
    """A run folder and the names in it."""

    path: Path

    @property
    def recipe_file(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.toml"

    @property
    def run_file(self) -> Path:
        """Schema, name of the recipe, when it was made, versions."""
        return self.path / "run.json"

    @property
    def choices_file(self) -> Path:
        """What was seen of the data and chosen for them, where the recipe was made from them."""
        return self.path / "choices.json"

    @property
    def metrics(self) -> Path:
        """The run's metrics, every stage of it; its presence means that training is finished."""
        return self.path / "metrics.json"

    @property
    def exports(self) -> Path:
        """Exported models."""
        return self.path / "exports"

    @property
    def test_predictions(self) -> Path:
        """The float32 and the chosen int8 file's probabilities on the test images."""
        return self.exports / "test_predictions.csv"

    @property
    def test_ledger(self) -> Path:
        """SHA-256 of every int8 file that the test split has judged."""
        return self.path / "test_ledger.json"

    def manifest(self, stage: str) -> Path:
        """The split manifest of `stage`."""
        return self.path / "splits" / f"{stage}.json"

    def stage(self, name: str) -> StageFolder:
        """The folder of `name`."""
        return StageFolder(self.path / "stages" / name)

    @property
    def places_file(self) -> Path:
        """Where the data of a stage lies now, if it has moved since the run was made."""
        return self.path / "data.json"

    def recipe(self) -> Recipe:
        """Return the recipe this run was made with, its data where they lie now."""
        return with_data(load_recipe(self.recipe_file), read_places(self.places_file))


def create_run(
    recipe: Recipe,
    out: Path | None,
    *,
    versions: dict[str, Any],
    manifests: Mapping[str, Manifest] | None = None,
    choices: Choices | None = None,
) -> RunFolder:
    """Make a fresh run folder that holds the resolved recipe, every path in it absolute.

    Args:
        recipe: What will be trained.
        out: The folder; default `runs/RECIPE-DATE-TIME`. Of two processes that name one at the same moment, one gets it.
        versions: Versions and hashes worth keeping with the run.
        manifests: The splits by stage; those that are absent are dealt when the run is trained.
        choices: Why the recipe is as it is, where it was made from data.

    Raises:
        RunError: `out` already holds something, or another process is making it.
        MstlEdgeError: It cannot be written; nothing of it is left.
    """
    whole = with_absolute_paths(recipe)
    with new_folder(out, RUNS / recipe.name) as path:
        run = RunFolder(path)
        for stage, manifest in (manifests or {}).items():
            save_manifest(run.manifest(stage), manifest)
        if choices is not None:
            CHOICES.write(run.choices_file, choices)
        made = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        facts = {"schema": SCHEMA, "recipe": recipe.name, "made": made, **versions}
        write_text(run.run_file, json.dumps(facts, indent=2) + "\n")
        write_text(run.recipe_file, to_toml(whole))
    return run


def is_run(path: Path) -> bool:
    """Return whether a folder was made by `create_run`."""
    try:
        return (path / "run.json").is_file() and (path / "recipe.toml").is_file()
    except OSError:  # a name that is too long, or a folder that may not be entered
        return False


def open_run(path: Path | None) -> RunFolder:
    """Open a run folder; without a path, the latest under `runs/`.

    Raises:
        RunError: No such run, no run at all, or one that another version wrote.
    """
    if path is None:
        path = latest_run()
    if not is_run(path):
        raise RunError("a run folder", received=path, hint="See 'mstl-edge runs list'.")
    try:
        schema = json.loads((path / "run.json").read_text(encoding="utf-8")).get("schema")
    except (OSError, json.JSONDecodeError, UnicodeDecodeError, AttributeError) as error:
        raise RunError(f"a readable run.json ({error})", received=path, hint="Train again: mstl-edge train") from error
    if schema != SCHEMA:
        raise RunError(
            f"a run of this version ({SCHEMA})",
            received=f"{path} ({schema})",
            hint=f"Train again: {typed('mstl-edge', 'train', path / 'recipe.toml')}",
        )
    return RunFolder(path)


def latest_run() -> Path:
    """Return the most recently made run folder.

    Raises:
        RunError: There is none.
    """
    found = list_runs()
    if not found:
        raise RunError("a run under runs/", hint="Make one first: mstl-edge train")
    return found[-1]


def list_runs() -> list[Path]:
    """Return the run folders under `runs/`, the latest last."""
    found = [marker.parent for marker in RUNS.glob("*/run.json")]
    return sorted(found, key=lambda path: ((path / "run.json").stat().st_mtime_ns, path.name))


def size_bytes(path: Path) -> int:
    """Return what a folder weighs on disk."""
    return sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())


def remove_run(path: Path) -> None:
    """Delete a run folder.

    Raises:
        RunError: The folder is no run.
    """
    shutil.rmtree(open_run(path).path)


def relocate_run(run: RunFolder, moved: Mapping[str, str], reporter: Reporter = SILENT) -> None:
    """Remember where the data of a run lies now, once the manifests have proven that it is the same.

    A stage without a manifest was not dealt yet, and takes any data.

    Args:
        run: The run.
        moved: Data source by stage.
        reporter: Told of progress.

    Raises:
        RecipeError: The run has no such stage.
        DataError: Another data set; the first file that differs is named.
    """
    recipe = run.recipe()
    places = {stage: absolute_source(source) for stage, source in moved.items()}
    for name, source in places.items():
        stage = stage_named(recipe, name)
        if run.manifest(name).is_file():
            check_same_data(stage, source, load_manifest(run.manifest(name)).rows, reporter)
    if places:
        write_places(run.places_file, places)


def read_json(path: Path, *, hint: str = "Train again: mstl-edge train") -> Any:
    """Return the tree in a JSON file of a run.

    Args:
        path: The file.
        hint: What makes it anew.

    Raises:
        RunError: The file is gone, truncated, or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"a readable {path.name} ({error})", received=path, hint=hint) from error


def finished_stages(run: RunFolder) -> list[str]:
    """Return the names of the stages that are finished, in the recipe's order."""
    return [stage.name for stage in run.recipe().stages if run.stage(stage.name).metrics.is_file()]
