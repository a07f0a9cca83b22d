"""The gate's verdicts on answers made up to the point."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mstl_edge.artifact import inspect_flatbuffer
from mstl_edge.training import gate

BOUNDS = gate.Bounds(max_drop=1.0, min_agreement=0.97, agreement_images=500)


def _answers(positive: np.ndarray, flipped: int = 0, *, fake_quant_flipped: int | None = None) -> gate.Answers:
    """Four models that agree, except that int8 gives the other answer on the first images (negative: on the last)."""
    exact = np.stack([1 - positive, positive], axis=1).astype(np.float32)

    def with_flips(count: int) -> np.ndarray:
        changed = exact.copy()
        flips = slice(0, count) if count >= 0 else slice(count, None)
        changed[flips] = changed[flips, ::-1]
        return changed

    fake = None if fake_quant_flipped is None else with_flips(fake_quant_flipped)
    return gate.Answers(exact, exact, with_flips(flipped), fake)


def _pool(n: int, labelled: int, positive: np.ndarray) -> gate.Pool:
    pixels = np.zeros((n, 2, 2, 3), dtype=np.uint8)
    return gate.Pool(
        pixels, (positive[:labelled] > 0.5).astype(np.int64), {"validation": labelled, "drawn": n - labelled}
    )


def _judge(models: Path, n: int, labelled: int, flipped: int, **given: int) -> gate.GateReport:
    return _judge_answers(models, _answers(_positive(n), flipped, **given), n, labelled)


def _judge_answers(models: Path, answers: gate.Answers, n: int, labelled: int) -> gate.GateReport:
    flatbuffer = (models / "tiny_int8.tflite").read_bytes()
    pool = _pool(n, labelled, _positive(n))
    return gate.judge(answers, pool, flatbuffer, BOUNDS, positive=1, threshold=0.5, allow_float=False)


def _positive(n: int) -> np.ndarray:
    return np.where(np.arange(n) % 2 == 0, 0.9, 0.1)


@pytest.fixture(autouse=True)
def kept_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny model is no MobileNet: whether its channels reach 127 is tested elsewhere."""
    monkeypatch.setattr(gate, "promise_breaches", lambda facts, **_: [])


def test_equal_answers_on_many_labelled_images_are_proven(models: Path) -> None:
    report = _judge(models, 1000, 1000, 0)
    assert report.verdict == "proven"
    assert report.reasons == ()
    assert report.agreement.agreement.value == 1.0


def test_few_labelled_images_leave_it_undecided_and_say_so(models: Path) -> None:
    report = _judge(models, 500, 24, 0)
    assert report.verdict == "undecided"
    assert "24 validation images cannot exclude a drop above 1 points" in report.reasons[0]


def test_too_few_images_for_agreement_leave_it_undecided(models: Path) -> None:
    report = _judge(models, 400, 400, 0)
    assert report.verdict == "undecided"
    assert any("agreement was judged on 400 images, fewer than 500" in reason for reason in report.reasons)


def test_no_recipe_can_ask_for_so_few_images_that_agreement_is_proven(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.BOUNDS", gate.Bounds(max_drop=100.0, min_agreement=0.0, agreement_images=10))
    assert _judge(models, 499, 499, 0).reasons == ("agreement was judged on 499 images, fewer than 500",)
    assert _judge(models, 500, 500, 0).verdict == "proven"


def test_agreement_that_may_lie_below_the_bound_leaves_it_undecided(models: Path) -> None:
    report = _judge(models, 1000, 10, -25)
    assert report.agreement.agreement.value > 0.97 > report.agreement.agreement.low
    assert report.verdict == "undecided"
    assert any("cannot exclude an agreement below 97 % (down to 96." in reason for reason in report.reasons)


def test_a_float_file_that_differs_from_keras_is_refused_too(models: Path) -> None:
    given = _answers(_positive(1000))
    swapped = gate.Answers(given.float_keras[:, ::-1], given.float_tflite, given.int8_tflite, None)
    report = _judge_answers(models, swapped, 1000, 1000)
    assert report.verdict == "refused"
    assert report.reasons[0].startswith("the float file agrees with its own Keras model on only 0.0 %")
    assert report.accuracy["float_keras"].value == 0.0


def test_keras_may_answer_fewer_images_than_the_files(models: Path) -> None:
    given = _answers(_positive(1000))
    few = gate.Answers(given.float_keras[:600], given.float_tflite, given.int8_tflite, given.float_keras[:600])
    report = _judge_answers(models, few, 1000, 500)
    assert (report.agreement.n, report.float_conversion.n) == (1000, 600)
    assert report.accuracy["fake_quant_keras"].value == 1.0


def test_labels_that_differ_too_often_are_refused(models: Path) -> None:
    report = _judge(models, 1000, 10, -40)
    assert report.verdict == "refused"
    assert "labels agree on 96.00 % of 1000 images, below 97 %" in report.reasons[0]


def test_a_certain_drop_in_accuracy_is_refused(models: Path) -> None:
    report = _judge(models, 2000, 500, 50)
    assert report.verdict == "refused"
    assert "accuracy drops by 10.0 points" in report.reasons[0]
    assert report.mcnemar.a_only == 50
    assert report.mcnemar.b_only == 0
    assert report.mcnemar.p < 1e-10


def test_a_file_that_differs_from_its_own_fake_quantization_is_called_a_broken_conversion(models: Path) -> None:
    report = _judge(models, 1000, 10, 0, fake_quant_flipped=100)
    assert report.verdict == "refused"
    assert "the conversion is broken" in report.reasons[0]
    assert report.int8_conversion is not None
    assert report.int8_conversion.agreement.value == pytest.approx(0.9)


def test_a_float_file_breaches_every_part_of_the_int8_promise(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    facts = inspect_flatbuffer((models / "tiny_float32.tflite").read_bytes())
    breaches = gate.promise_breaches(facts, allow_float=False)
    assert any(breach.startswith("stays float: CONV_2D") for breach in breaches)
    assert any("not int8 with 1/128 and 0" in breach for breach in breaches)
    excused = gate.promise_breaches(facts, allow_float=True)
    assert [breach for breach in breaches if not breach.startswith("stays float")] == excused
    assert any("the output is float32" in breach for breach in excused)


@pytest.mark.parametrize(
    ("count", "classes", "low", "high", "judged", "said"),
    [
        (10, 2, 0, 255, 0, "only 10 calibration images"),
        (60, 1, 0, 255, 0, "calibration images of one class only"),
        (60, 2, 127, 128, 0, "were they scaled twice?"),
        (60, 2, 0, 255, 3, "3 calibration images are also validation or test images"),
    ],
)
def test_the_calibration_check_names_the_likely_mistake(
    count: int, classes: int, low: int, high: int, judged: int, said: str
) -> None:
    pixels = np.random.default_rng(0).integers(low, high + 1, (count, 4, 4, 3)).astype(np.uint8)
    keys = tuple(str(number).encode() for number in range(count))
    warnings = gate.calibration_warnings(pixels, np.arange(count) % classes, keys, set(keys[:judged]))
    assert len(warnings) == 1
    assert said in warnings[0]


def test_a_sound_set_of_calibration_images_raises_no_warning() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (100, 4, 4, 3)).astype(np.uint8)
    keys = tuple(str(number).encode() for number in range(100))
    assert gate.calibration_warnings(pixels, np.arange(100) % 2, keys, set()) == []
