"""Run folders: where a training run keeps what it decided, learned and measured.

recipe.toml  run.json  metrics.json
splits/STAGE.json                       the manifest: file, label, group, split, sha256
stages/STAGE/{checkpoint.npz, weights.npz, history.csv, metrics.json, predictions.csv}
exports/*.tflite
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mstl_edge.errors import RunError
from mstl_edge.recipe import Recipe, load_recipe, to_toml
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

    def recipe(self) -> Recipe:
        """Return the recipe this run was made with."""
        return load_recipe(self.recipe_file)


def create_run(recipe: Recipe, out: Path | None, *, versions: dict[str, Any]) -> RunFolder:
    """Make a fresh run folder that holds the resolved recipe.

    Args:
        recipe: What will be trained.
        out: The folder; default `runs/RECIPE-DATE-TIME`.
        versions: Versions and hashes worth keeping with the run.

    Raises:
        RunError: `out` already holds something.
    """
    check_unused(out)
    path = out or _unused(RUNS / f"{recipe.name}-{time.strftime('%Y%m%d-%H%M%S')}")
    run = RunFolder(path)
    write_text(run.recipe_file, to_toml(recipe))
    write_text(path / "run.json", json.dumps({"schema": SCHEMA, "recipe": recipe.name, **versions}, indent=2) + "\n")
    return run


def check_unused(out: Path | None) -> None:
    """Refuse an output folder that holds something; asked before anything slow begins.

    Raises:
        RunError: It does.
    """
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        resume = f"Go on with it by 'mstl-edge train --resume {out}', or choose" if is_run(out) else "Choose"
        raise RunError(
            "an output folder that does not exist or is empty", received=out, hint=f"{resume} another --out."
        )


def is_run(path: Path) -> bool:
    """Return whether a folder was made by `create_run`."""
    return (path / "run.json").is_file() and (path / "recipe.toml").is_file()


def _unused(path: Path) -> Path:
    candidate, number = path, 2
    while candidate.exists():
        candidate, number = path.with_name(f"{path.name}-{number}"), number + 1
    return candidate


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
    except (json.JSONDecodeError, UnicodeDecodeError, AttributeError) as error:
        raise RunError(f"a readable run.json ({error})", received=path, hint="Train again: mstl-edge train") from error
    if schema != SCHEMA:
        raise RunError(
            f"a run of this version ({SCHEMA})",
            received=f"{path} ({schema})",
            hint=f"Train again: mstl-edge train {path / 'recipe.toml'}",
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
