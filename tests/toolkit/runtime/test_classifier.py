from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mstl_edge
import mstl_edge.classifier as classifier_module
from mstl_edge.artifact import write_artifact
from mstl_edge.classifier import (
    AHEAD_PER_DECODER,
    MAX_DECODERS,
    decoders,
    load_classifier,
)
from mstl_edge.errors import ArtifactError, DataError
from mstl_edge.prediction import Prediction, Unreadable, to_record
from mstl_edge.preprocess import load_image

Picture = Callable[[Path, int], Path]


def test_the_three_documented_lines_work(exported: Callable[[str], Path], tmp_path: Path, picture: Picture) -> None:
    classifier = mstl_edge.load_classifier(str(exported("tiny_int8")))
    prediction = classifier.predict(str(picture(tmp_path / "a.png", 1)))
    assert prediction.label in ("normal", "hemorrhage")
    assert prediction.probability == prediction.probabilities[prediction.label]
    assert classifier.replayed_lsb is not None


def test_a_path_and_its_bytes_give_the_same_answer(
    exported: Callable[[str], Path], tmp_path: Path, picture: Picture
) -> None:
    classifier = load_classifier(exported("tiny_float32"))
    path = picture(tmp_path / "a.png", 2)
    assert classifier.predict(path) == classifier.predict(path.read_bytes())


def test_float_and_int8_twins_answer_alike(exported: Callable[[str], Path], tmp_path: Path, picture: Picture) -> None:
    path = picture(tmp_path / "a.png", 3)
    answers = [load_classifier(exported(model)).predict(path) for model in ("tiny_float32", "tiny_int8")]
    assert answers[0].probabilities["normal"] == pytest.approx(answers[1].probabilities["normal"], abs=0.03)


def test_the_cards_threshold_decides(
    models: Path, tmp_path: Path, tiny_card: Callable[..., Any], picture: Picture
) -> None:
    path = picture(tmp_path / "a.png", 4)
    labels = []
    for threshold in (0.05, 0.95):
        model = tmp_path / f"{threshold}.tflite"
        write_artifact(model, (models / "tiny_int8.tflite").read_bytes(), tiny_card(threshold=threshold))
        labels.append(load_classifier(model).predict(path).label)
    assert labels == ["hemorrhage", "normal"]


def test_the_largest_of_three_classes_decides(
    exported: Callable[[str], Path], tmp_path: Path, picture: Picture
) -> None:
    prediction = load_classifier(exported("three_classes")).predict(picture(tmp_path / "a.png", 5))
    assert prediction.probability == max(prediction.probabilities.values())
    assert list(prediction.probabilities) == ["a", "b", "c"]


def test_probabilities_of_preprocessed_pixels_are_those_of_predict(
    exported: Callable[[str], Path], tmp_path: Path, picture: Picture
) -> None:
    classifier = load_classifier(exported("tiny_int8"))
    paths = [picture(tmp_path / f"{seed}.png", seed) for seed in range(3)]
    pixels = np.stack([load_image(path, 32, classifier.card.input.preprocess) for path in paths])
    expected = [list(classifier.predict(path).probabilities.values()) for path in paths]
    np.testing.assert_array_equal(classifier.probabilities(pixels), np.float32(expected))


def test_many_images_come_in_order_and_an_unreadable_one_does_not_stop_the_others(
    exported: Callable[[str], Path], tmp_path: Path, picture: Picture
) -> None:
    classifier = load_classifier(exported("tiny_int8"))
    paths = [picture(tmp_path / f"{seed}.png", seed) for seed in range(12)]
    paths[5].write_bytes(b"not an image")
    paths.append(tmp_path / "missing.png")
    answers = list(classifier.predict_many(paths))
    assert [path for path, _ in answers] == paths
    unreadable = [path.name for path, answer in answers if isinstance(answer, Unreadable)]
    assert unreadable == ["5.png", "missing.png"]
    for path, answer in answers[:3]:
        assert answer == classifier.predict(path)


def test_what_is_remarked_of_a_file_comes_with_its_answer(exported: Callable[[str], Path], tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 4096, (64, 64)).astype(np.uint16)
    levels[3, 3] = 65_535
    stray, plain = tmp_path / "stray.png", tmp_path / "plain.png"
    Image.fromarray(levels).save(stray)
    Image.fromarray(levels % 4096).save(plain)
    classifier = load_classifier(exported("tiny_int8"))
    (_, warned), (_, silent) = classifier.predict_many([stray, plain])
    assert isinstance(warned, Prediction)
    assert isinstance(silent, Prediction)
    assert len(warned.warnings) == 1
    assert "1 pixel far above all others" in warned.warnings[0]
    assert to_record("x.png", warned)["warnings"] == list(warned.warnings)
    assert silent.warnings == ()
    assert "warnings" not in to_record("x.png", silent)
    assert classifier.predict(stray) == warned


def test_an_image_that_takes_too_much_memory_does_not_stop_the_others(
    exported: Callable[[str], Path], tmp_path: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = load_classifier(exported("tiny_int8"))
    paths = [picture(tmp_path / f"{seed}.png", seed) for seed in range(5)]
    Image.new("RGBA", (50, 50)).save(paths[2])

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image, "alpha_composite", fail)
    answers = [answer for _, answer in classifier.predict_many(paths)]
    assert [isinstance(answer, Prediction) for answer in answers] == [True, True, False, True, True]
    assert isinstance(answers[2], Unreadable)
    assert "fits into memory. Received: 2.png" in answers[2].error


def test_decoding_runs_only_a_few_images_ahead(
    exported: Callable[[str], Path], tmp_path: Path, picture: Picture
) -> None:
    classifier = load_classifier(exported("tiny_int8"))
    path = picture(tmp_path / "a.png", 1)
    taken = 0

    def endless() -> Iterator[Path]:
        nonlocal taken
        while True:
            taken += 1
            yield path

    answers = classifier.predict_many(endless())
    for done, _ in enumerate(itertools.islice(answers, 50), 1):
        assert taken <= done + AHEAD_PER_DECODER * decoders()
    answers.close()  # type: ignore[attr-defined]


def test_every_core_decodes(
    exported: Callable[[str], Path], tmp_path: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = load_classifier(exported("tiny_int8"))
    paths = [picture(tmp_path / f"{seed}.png", seed) for seed in range(4)]
    together = threading.Barrier(2, timeout=30)

    def decode_with_another(*arguments: Any) -> Any:
        together.wait()  # breaks unless two decode at once
        return load_image(*arguments)

    monkeypatch.setattr(classifier_module, "usable_cores", lambda: 2)
    monkeypatch.setattr(classifier_module, "load_image", decode_with_another)
    assert [path for path, _ in classifier.predict_many(paths)] == paths


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 2), (4, 3), (64, 3)])
def test_decoders_follow_the_cores_and_stay_few(cores: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier_module, "usable_cores", lambda: cores)
    assert decoders() == threads <= MAX_DECODERS


def test_the_record_is_the_documented_json() -> None:
    prediction = Prediction("b", 0.75, {"a": 0.25, "b": 0.75})
    assert to_record("x.png", prediction) == {
        "image": "x.png", "label": "b", "probability": 0.75, "probabilities": {"a": 0.25, "b": 0.75},
    }  # fmt: skip
    assert to_record("x.png", Unreadable("why")) == {"image": "x.png", "error": "why"}


def test_one_unreadable_image_is_a_data_error(exported: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(DataError):
        load_classifier(exported("tiny_int8")).predict(tmp_path / "missing.png")


def test_a_model_that_is_not_a_classifier_is_one_clear_line(models: Path) -> None:
    with pytest.raises(ArtifactError, match=r"\[1, 32, 32, 3\] → \[1, 32, 32, 1\]"):
        load_classifier(models / "not_a_classifier.tflite")


def test_a_foreign_model_says_what_it_cannot_know(models: Path) -> None:
    with pytest.raises(ArtifactError) as caught:
        load_classifier(models / "three_classes.tflite")
    assert "without one" in str(caught.value)
    assert "mstl-edge bench" in str(caught.value)
