"""Manifest rows without files, plans on tiny networks, and studies whose answers were drawn instead of trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mstl_edge.data.splits import Manifest, ManifestRow
from mstl_edge.recipe import Recipe, resolve


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSTL_EDGE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def rows() -> Callable[..., list[ManifestRow]]:
    """Make rows of `counts` images per class; every `per_patient` images of a class are one patient."""

    def make(counts: dict[str, int], *, per_patient: int = 1) -> list[ManifestRow]:
        return [
            ManifestRow(
                f"{label}/{i:04d}.png", label, f"{label}{i // per_patient}", "test", f"{label}{i}".ljust(64, "0")
            )
            for label, count in counts.items()
            for i in range(count)
        ]

    return make


@pytest.fixture(scope="session")
def manifest(rows: Callable[..., list[ManifestRow]]) -> Callable[[dict[str, int]], Manifest]:
    def make(counts: dict[str, int]) -> Manifest:
        return Manifest("drawn", tuple(counts), tuple(rows(counts)), True, ())

    return make


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory, draw_classes: Callable[..., Path]) -> dict[str, Path]:
    """A bridge and a target that share no image."""
    base = tmp_path_factory.mktemp("images")
    return {
        "bridge": draw_classes(base / "bridge", seed=1),
        "target": draw_classes(base / "target", ("healthy", "ill"), seed=2),
    }


@pytest.fixture(scope="session")
def recipe(folders: dict[str, Path]) -> Callable[..., Recipe]:
    """Return a recipe on MobileNet 0.25 at 32 pixels with bundled weights; keywords replace keys of every stage."""

    def make(*stages: str, data: dict[str, Path] | None = None, **keys: Any) -> Recipe:
        sources = {**folders, **(data or {})}
        tables = [
            {"name": name, "data": str(sources[name]), "unfreeze_from": below, "epochs": 2, "batch_size": 4, **keys}
            for name, below in zip(stages, ("conv_dw_12", "conv_dw_13")[-len(stages) :], strict=True)
        ]
        backbone = {"alpha": 0.25, "input_size": 32, "weights": "bundled"}
        quantize = {"epochs": 1, "calibration_images": 8}
        return resolve({"name": "tiny", "backbone": backbone, "stages": tables, "quantize": quantize})

    return make


def _drawn(rng: np.random.Generator, truth: np.ndarray, right: np.ndarray, classes: int) -> np.ndarray:
    """Draw probabilities whose largest is the truth's where `right`, and another class's elsewhere."""
    answers = np.where(right, truth, (truth + rng.integers(1, classes, len(truth))) % classes)
    rows = rng.uniform(0.01, 0.5, (len(truth), classes))
    rows[np.arange(len(truth)), answers] = rng.uniform(0.55, 1.5, len(truth))
    return rows / rows.sum(axis=1, keepdims=True)


def _moved(rng: np.random.Generator, rows: np.ndarray) -> np.ndarray:
    """Move probabilities a little, as quantization does."""
    noisy = np.clip(rows + rng.normal(0, 0.08, rows.shape), 0.001, None)
    return noisy / noisy.sum(axis=1, keepdims=True)


@pytest.fixture
def drawn_study(tmp_path: Path, manifest: Callable[..., Manifest], recipe: Callable[..., Recipe]) -> Callable[..., Any]:
    """Make a finished study of 60 images without training: every arm answers right with a chance of its own."""
    from mstl_edge.schemas.study_plan import StudyPlan
    from mstl_edge.study.decision import Decision
    from mstl_edge.study.folder import create_study
    from mstl_edge.study.folds import class_numbers, deal_folds
    from mstl_edge.study.plan import build_arms
    from mstl_edge.study.predictions import answered, write_answers

    def make(
        skill: dict[str, float],
        *,
        repeats: int = 2,
        curve: tuple[int, ...] = (),
        seed: int = 0,
        counts: dict[str, int] | None = None,
        schemes: tuple[str, ...] = ("float32",),
    ) -> Any:
        images = manifest(counts or {"healthy": 30, "ill": 30})
        whole = recipe("bridge", "target")
        arms = build_arms(whole, wanted=list(skill), schemes=schemes)
        plan = StudyPlan(recipe=whole, arms=arms, folds=3, repeats=repeats, learning_curve=curve)
        folds = deal_folds(images.rows, folds=3, repeats=repeats, seed=0, validation=0.2)
        study = create_study(plan, images, folds, tmp_path / "study")
        classes = class_numbers(images.rows, images.labels)
        rng = np.random.default_rng(seed)
        for arm, chance in skill.items():
            for count in (0, *curve):
                for fold in folds:
                    truth = classes[list(fold.test)]
                    right = rng.random(len(truth)) < chance
                    names = [images.rows[position].name for position in fold.test]
                    if len(images.labels) == 2:
                        p_ill = np.where(right == (truth == 1), 0.5, 0.0) + rng.uniform(0.01, 0.49, len(truth))
                        drawn = np.stack([1 - p_ill, p_ill], axis=1)
                        decision, positive = Decision(1.0, 0.5), 1
                    else:
                        drawn = _drawn(rng, truth, right, len(images.labels))
                        decision, positive = Decision(1.0, None), None
                    for scheme in schemes if not count else ("float32",):
                        moved = drawn if scheme == "float32" else _moved(rng, drawn)
                        given = answered(names, truth, moved, decision, positive=positive, epoch=2)
                        path = study.answers(arm, scheme, fold.repeat, fold.number, count)
                        write_answers(path, given, images.labels)
        return study

    return make
