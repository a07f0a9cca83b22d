"""A study of two arms on tiny images, planned, and done by one process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mstl_edge.recipe import Recipe, resolve
from mstl_edge.schemas.study_plan import StudyPlan
from mstl_edge.study.folder import StudyFolder
from mstl_edge.study.plan import build_arms
from mstl_edge_models import weights

Files = dict[str, bytes]


def files_of(study: StudyFolder) -> Files:
    """Return the answers of a study by name."""
    return {path.name: path.read_bytes() for path in sorted((study.path / "folds").glob("*.csv"))}


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory, draw_classes: Callable[..., Path]) -> StudyPlan:
    """Two stages and one, both from a file of first weights, two folds: four trainings."""
    base = tmp_path_factory.mktemp("images")
    file = base / "first.h5"
    file.write_bytes(weights.path("mobilenet_v1_0.25_bundled.h5").read_bytes())
    target = {"name": "target", "data": str(draw_classes(base / "target", ("healthy", "ill"), seed=2))}
    bridge = {"name": "bridge", "data": str(draw_classes(base / "bridge", seed=1)), "unfreeze_from": "conv_dw_12"}
    shared = {"epochs": 2, "batch_size": 4}
    recipe: Recipe = resolve(
        {
            "name": "tiny",
            "backbone": {"alpha": 0.25, "input_size": 32, "weights": str(file)},
            "stages": [bridge | shared, target | shared | {"unfreeze_from": "conv_dw_13", "augment": {"views": 2}}],
            "quantize": {"epochs": 1, "calibration_images": 8},
        }
    )
    arms = build_arms(recipe, wanted=("single", "multi"), schemes=["float32"])
    return StudyPlan(recipe=recipe, arms=arms, folds=2, repeats=1)


@pytest.fixture(scope="module")
def one_thread(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Pin this process to one thread, as workers are, in a cache of its own."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MSTL_EDGE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patched.setenv("TF_NUM_INTRAOP_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def planned(plan: StudyPlan, tmp_path_factory: pytest.TempPathFactory, one_thread: Any) -> Callable[[], StudyFolder]:
    """Make a study that nothing was done of."""
    from mstl_edge.training.study.run import start_study

    return lambda: start_study(plan, tmp_path_factory.mktemp("studies") / "study")


@pytest.fixture(scope="module")
def by_one_process(plan: StudyPlan, tmp_path_factory: pytest.TempPathFactory, one_thread: Any) -> Files:
    """The answers of the study, done here: in a process of its own, since threads are pinned when TensorFlow is imported."""
    import subprocess
    import sys

    from mstl_edge.training.study.run import start_study

    study = start_study(plan, tmp_path_factory.mktemp("alone") / "study")
    command = [sys.executable, "-m", "mstl_edge_cli", "study", "--resume", str(study.path), "--threads", "1"]
    subprocess.run(command, check=True, capture_output=True)
    return files_of(study)
