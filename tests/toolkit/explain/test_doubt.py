"""What a file says of its own doubt travels in it, is checked when it is opened, and stands beside every answer."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from mstl_edge.artifact import open_artifact, read_artifact, write_artifact
from mstl_edge.artifact.doubt import FAMILIARITY_FILE, Doubt, LabelSets, familiar_entries, familiarity_record
from mstl_edge.artifact.feature_output import with_feature_output
from mstl_edge.classifier import load_classifier
from mstl_edge.errors import ArtifactError
from mstl_edge.metrics.familiarity import Familiar, fit_changed, fit_familiar
from mstl_edge.prediction import to_record
from mstl_edge.training.exporting.mediapipe import write_for_mediapipe

SETS = LabelSets(level=0.9, kind="class-conditional", lowest=(0.45, 0.45), images=(20, 20), origin="40 images")


@pytest.fixture(scope="module")
def familiar() -> Familiar:
    found = fit_familiar(np.random.default_rng(1).gamma(2.0, size=(60, 16)))
    assert found is not None
    return found


@pytest.fixture
def doubting(models: Path, tiny_card: Any, familiar: Familiar, tmp_path: Path) -> Callable[..., Path]:
    """Write the tiny int8 model with doubt; keywords replace parts of it."""

    def write(bound: float = 1e6, sets: LabelSets | None = SETS) -> Path:
        looks = familiar.looks(np.random.default_rng(3).gamma(2.0, size=(40, 16)))
        record = msgspec.structs.replace(familiarity_record(familiar, looks), bound=bound)
        card = tiny_card("tiny_int8", doubt=Doubt(sets=sets, familiarity=record))
        flatbuffer = with_feature_output((models / "tiny_int8.tflite").read_bytes())
        path = tmp_path / f"doubting-{bound}.tflite"
        write_artifact(path, flatbuffer, card, familiar=familiar)
        return path

    return write


def test_what_images_look_like_comes_back_as_it_was(doubting: Callable[..., Path], familiar: Familiar) -> None:
    artifact = open_artifact(doubting())
    assert artifact.familiar is not None
    np.testing.assert_array_equal(artifact.familiar.mean, familiar.mean)
    np.testing.assert_array_equal(artifact.familiar.components, familiar.components)
    pooled = np.random.default_rng(2).gamma(2.0, size=(5, 16))
    np.testing.assert_allclose(artifact.familiar.distance(pooled), familiar.distance(pooled))


@pytest.fixture
def with_changed(familiar: Familiar) -> Familiar:
    """The same with a direction in which changed images lie."""
    draw = np.random.default_rng(4)
    changed = fit_changed(draw.gamma(2.0, size=(60, 16)), draw.gamma(2.0, size=(60, 16)) + np.arange(16) / 8)
    assert changed is not None
    return dataclasses.replace(familiar, changed=changed)


def test_where_changed_images_lie_comes_back_as_it_was_and_its_bound_counts(
    models: Path, tiny_card: Any, with_changed: Familiar, tmp_path: Path, picture: Any
) -> None:
    draw = np.random.default_rng(5)
    record = familiarity_record(with_changed, with_changed.looks(draw.gamma(2.0, size=(40, 16))))
    assert record is not None
    assert record.changed is not None
    assert record.reach == record.changed.bound
    card = tiny_card("tiny_int8", doubt=Doubt(sets=SETS, familiarity=record))
    flatbuffer = with_feature_output((models / "tiny_int8.tflite").read_bytes())
    write_artifact(tmp_path / "model.tflite", flatbuffer, card, familiar=with_changed)
    artifact = open_artifact(tmp_path / "model.tflite")
    assert artifact.familiar is not None
    assert artifact.familiar.changed is not None
    pooled = draw.gamma(2.0, size=(5, 16))
    np.testing.assert_array_equal(artifact.familiar.looks(pooled), with_changed.looks(pooled))
    told = load_classifier(artifact).predict(picture(tmp_path / "a.png", 4)).familiarity
    assert told is not None
    assert told.bound == record.changed.bound
    assert told.familiar == (told.score <= told.bound)

    tree = json.loads(msgspec.json.encode(artifact.card))
    archive_path = tmp_path / "tail.zip"
    with zipfile.ZipFile(archive_path, "w") as archive:
        archive.writestr("card.json", json.dumps(tree))
        archive.writestr("labels.txt", "".join(f"{label}\n" for label in card.labels))
        archive.writestr("familiarity.f16", familiar_entries(with_changed)[FAMILIARITY_FILE])
    with pytest.raises(ArtifactError, match=r"32 bytes of changed\.f16.*none"):
        read_artifact(artifact.flatbuffer + archive_path.read_bytes())


def test_answers_carry_sets_and_familiarity(doubting: Callable[..., Path], tmp_path: Path, picture: Any) -> None:
    path = picture(tmp_path / "a.png", 4)
    near, far = (load_classifier(doubting(bound)) for bound in (1e6, 1e-6))
    for answer in (near.predict(path), near.explain(path).prediction):
        assert answer.familiarity is not None
        assert answer.familiarity.familiar
        assert answer.set is not None
        assert answer.label in answer.set
    assert near.predict(path) == near.explain(path).prediction
    assert "unlike the training images" in far.predict(path).remarks()
    record = to_record("a.png", far.predict(path))
    assert record["familiarity"].keys() == {"score", "bound", "familiar"}
    assert record["familiarity"]["familiar"] is False
    assert isinstance(record["set"], list)


@pytest.mark.parametrize(("lowest", "expected"), [((0.0, 0.0), "uncertain: normal or hemorrhage"), ((1.0, 1.0), None)])
def test_an_open_answer_names_the_labels(
    lowest: tuple[float, float], expected: str | None, doubting: Callable[..., Path], tmp_path: Path, picture: Any
) -> None:
    sets = msgspec.structs.replace(SETS, lowest=lowest)
    answer = load_classifier(doubting(sets=sets)).predict(picture(tmp_path / "a.png", 4))
    assert answer.remarks() == ([expected] if expected else [])


def test_files_without_doubt_say_nothing_of_it(exported: Callable[[str], Path], tmp_path: Path, picture: Any) -> None:
    answer = load_classifier(exported("tiny_int8")).predict(picture(tmp_path / "a.png", 4))
    assert (answer.set, answer.familiarity, answer.remarks()) == (None, None, [])
    assert not {"set", "familiarity"} & to_record("a.png", answer).keys()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (None, "bytes of familiarity.f16.*none"),
        (b"short", "5 bytes"),
        ("other", "as the card's SHA-256 says"),
        ("endless", "finite numbers"),
    ],
)
def test_a_damaged_entry_is_refused(
    entry: Any, said: str, doubting: Callable[..., Path], familiar: Familiar, tmp_path: Path
) -> None:
    artifact, whole = open_artifact(doubting()), familiar_entries(familiar)[FAMILIARITY_FILE]
    assert artifact.card is not None
    tree = json.loads(msgspec.json.encode(artifact.card))
    content = {"other": whole[:-2] + b"\x00\x3c", "endless": b"\x00\x7c" + whole[2:]}.get(entry, entry)
    if entry == "endless":
        import hashlib

        tree["doubt"]["familiarity"]["sha256"] = hashlib.sha256(content).hexdigest()
    archive_path = tmp_path / "tail.zip"
    with zipfile.ZipFile(archive_path, "w") as archive:
        archive.writestr("card.json", json.dumps(tree))
        archive.writestr("labels.txt", "".join(f"{label}\n" for label in artifact.card.labels))
        if content is not None:
            archive.writestr("familiarity.f16", content)
    with pytest.raises(ArtifactError, match=said):
        read_artifact(artifact.flatbuffer + archive_path.read_bytes())


def test_bounds_for_other_labels_are_refused(doubting: Callable[..., Path]) -> None:
    with pytest.raises(ArtifactError, match="3 bounds of label sets for 2 labels"):
        doubting(sets=msgspec.structs.replace(SETS, lowest=(0.1, 0.2, 0.3), images=(9, 9, 9)))


def test_a_copy_for_other_programs_keeps_the_sets_alone(doubting: Callable[..., Path], tmp_path: Path) -> None:
    card = write_for_mediapipe(open_artifact(doubting()), tmp_path / "copy.tflite")
    assert card.doubt is not None
    assert card.doubt.sets == SETS
    assert card.doubt.familiarity is None
    assert open_artifact(tmp_path / "copy.tflite").familiar is None
