"""What travels of a study is named by its content, leads nowhere outside the worker's folder, and is asked for once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from mstl_edge.cluster.crate import IMAGES, Content, pack, unpack
from mstl_edge.cluster.work import Delivered, Failed, do_features, do_task
from mstl_edge.errors import RunError
from mstl_edge.study.executor import FoldTask
from mstl_edge.study.folder import StudyFolder


@pytest.fixture
def bridged(planned: Callable[[], StudyFolder]) -> StudyFolder:
    """A study whose bridge is trained."""
    from mstl_edge.progress import SILENT
    from mstl_edge.training.study.images import train_bridges

    study = planned()
    train_bridges(study, 1, SILENT)
    return study


def test_a_study_unpacks_into_a_folder_that_needs_nothing_outside_it(
    bridged: StudyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crate, contents = pack(bridged)
    monkeypatch.setenv("MSTL_EDGE_CACHE", str(tmp_path / "worker"))
    asked: list[str] = []

    def content_of(key: str) -> Content:
        asked.append(key)
        return contents[key]

    there = unpack(crate, content_of)
    assert there.path.is_relative_to(tmp_path / "worker")
    assert set(asked) == contents.keys()
    plan = there.plan()
    assert plan.recipe.stages[-1].data == str(there.path / IMAGES)
    single, multi = plan.arm("single"), plan.arm("multi")
    assert Path(single.recipe.backbone.weights).is_relative_to(there.path)
    assert (
        Path(single.recipe.backbone.weights).read_bytes() == Path(bridged.plan().recipe.backbone.weights).read_bytes()
    )
    bridge, own = there.bridge(multi), bridged.bridge(bridged.plan().arm("multi"))
    assert bridge is not None
    assert own is not None
    assert bridge.stage("bridge").weights.read_bytes() == own.stage("bridge").weights.read_bytes()
    asked.clear()
    assert unpack(crate, content_of) == there
    assert asked == [], "what is there is not asked for again"


def test_equal_studies_travel_under_equal_names_wherever_they_lie(bridged: StudyFolder, tmp_path: Path) -> None:
    elsewhere = StudyFolder(tmp_path / "moved")
    shutil.copytree(bridged.path, elsewhere.path)
    assert pack(elsewhere)[0] == pack(bridged)[0]


def test_a_crate_tells_of_no_place_on_the_machine_that_packed_it(bridged: StudyFolder) -> None:
    crate, contents = pack(bridged)
    plan = bridged.plan()
    places = [plan.recipe.backbone.weights, *(stage.data for stage in plan.recipe.stages)]
    assert all(place.startswith("/") for place in places)
    texts = [content for content in contents.values() if isinstance(content, bytes)]
    for place in places:
        assert not any(place.encode() in text for text in texts)
    carried = msgspec.json.decode(contents[crate.files["plan.json"]])
    assert [arm["recipe"]["stages"][-1]["data"] for arm in carried["arms"]] == ["crate:images"] * 2


@pytest.mark.slow
def test_a_task_done_from_a_crate_leaves_the_bytes_that_it_leaves_here(
    bridged: StudyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mstl_edge.training.study.one_fold import run_fold

    crate, contents = pack(bridged)
    task = FoldTask(bridged.path, "multi", 1, 2, 0, ("float32",), 1)
    result = run_fold(task)
    here = {path.name: path.read_bytes() for path in (bridged.path / "folds").iterdir()}
    monkeypatch.setenv("MSTL_EDGE_CACHE", str(tmp_path / "worker"))
    features = do_features(crate, contents.__getitem__, "multi", range(4), 1)
    assert features is not None
    assert features.rows.shape[0] == len(features.keys) == 4 * 2, "two views of four images"
    done = do_task(crate, contents.__getitem__, task, [lambda: features, lambda: None])
    assert isinstance(done, Delivered)
    assert {Path(name).name: content for name, content in done.files.items() if name.startswith("folds/")} == here
    assert list(done.files)[-1].startswith("folds/"), "the answers come last: they say that the task is finished"
    assert done.correct == result.correct
    left = [path for path in (tmp_path / "worker" / "clusters").rglob("*.csv") if path.name != "folds.csv"]
    assert left == [], "the study lies elsewhere"


def test_a_task_that_fails_says_why_and_hands_back_what_python_says(bridged: StudyFolder) -> None:
    crate, contents = pack(bridged)
    failed = do_task(crate, {}.__getitem__, FoldTask(bridged.path, "nobody", 1, 1, 0, ("float32",), 1), [])
    assert isinstance(failed, Failed)
    assert failed.message
    assert "Traceback" in failed.log
    assert np.all([isinstance(content, bytes | np.ndarray) for content in contents.values()])


def test_places_are_read_as_the_command_line_names_them() -> None:
    from mstl_edge.cluster import Place, parse_place

    assert parse_place("local:3") == Place(workers=3)
    assert parse_place("auto") == Place(address="auto")
    assert parse_place("ray://head.lab:10001") == Place(address="ray://head.lab:10001")
    for wrong in ("local:0", "local:", "ray://", "head", "", "local:two"):
        with pytest.raises(RunError, match=r"--cluster auto, ray://HOST:PORT or local:N"):
            parse_place(wrong)
