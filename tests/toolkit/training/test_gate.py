"""The gate's verdicts on answers made up to the point."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from mstl_edge.artifact import inspect_flatbuffer
from mstl_edge.schemas.export import GateReport
from mstl_edge.schemas.metrics import Fitted
from mstl_edge.training.judging import gate
from mstl_edge.training.judging.evidence import Paired
from mstl_edge.training.quantize.lessons import calibration_warnings

BOUNDS = gate.Bounds(max_drop=3.0, min_agreement=0.97)
FITTED = Fitted(labels=("normal", "bleed"), positive="bleed", temperature=1.0, threshold=0.5)


def _paired(
    n: int,
    flipped: int = 0,
    *,
    views: int = 1,
    origin: str = "target validation",
    carries: bool = True,
    labelled: bool = True,
) -> Paired:
    """Float is right on every image; int8 gives the other label to every view of the first images."""
    classes = np.arange(n) % 2
    floats = np.repeat(classes[:, None], views, axis=1)
    quantized = floats.copy()
    quantized[:flipped] = 1 - quantized[:flipped]
    apart = np.where(floats == quantized, 0.01, 0.8)
    return Paired(origin, carries, "file", floats, quantized, apart, float(apart.max()), classes if labelled else None)


def _answers(paired: Paired, *, float_keras_flipped: int = 0, fake_quant_flipped: int | None = None) -> gate.Answers:
    """Probabilities that stand for the labels of a panel, view by view."""

    def rows(labels: np.ndarray, flips: int = 0) -> np.ndarray:
        changed = labels.reshape(-1).copy()
        changed[:flips] = 1 - changed[:flips]
        positive = np.where(changed == 1, 0.9, 0.1)
        return np.stack([1 - positive, positive], axis=1).astype(np.float32)

    fake = None if fake_quant_flipped is None else rows(paired.quantized_labels, fake_quant_flipped)
    floats = rows(paired.float_labels)
    return gate.Answers(rows(paired.float_labels, float_keras_flipped), floats, rows(paired.quantized_labels), fake)


def _judge(*evidence: Paired, answers: gate.Answers | None = None, bounds: gate.Bounds = BOUNDS) -> GateReport:
    facts = inspect_flatbuffer((Path(__file__).parents[2] / "data" / "models" / "tiny_int8.tflite").read_bytes())
    given = answers or _answers(evidence[0])
    return gate.judge(given, evidence, facts, bounds, decision=FITTED, allow_float=False)


@pytest.fixture(autouse=True)
def kept_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny model is no MobileNet: whether its channels reach 127 is tested elsewhere."""
    monkeypatch.setattr(gate, "promise_breaches", lambda facts, **_: [])


def test_equal_answers_on_enough_images_of_the_kind_are_proven_and_the_bound_is_said() -> None:
    report = _judge(_paired(128))
    assert (report.verdict, report.reasons, report.images) == ("proven", (), 128)
    assert report.promise == (
        "int8 costs at most 2.1 points of accuracy and labels at least 97.9 % of images as float does (95 %), "
        "on 128 images of the kind it is for"
    )


def test_few_images_leave_it_undecided_and_the_number_that_would_decide_is_told() -> None:
    report = _judge(_paired(24))
    assert report.verdict == "undecided"
    assert report.images_to_decide is not None
    assert 24 < report.images_to_decide < 128
    assert report.reasons == (
        f"24 images cannot exclude a drop above 3 points (up to 10.1); about {report.images_to_decide} that the two answer as "
        "differently would",
    )
    assert _judge(_paired(report.images_to_decide)).verdict == "proven"


def test_many_images_of_another_kind_prove_nothing() -> None:
    """Seen: 30 validation images of a five-class set and 1,970 drawn head CTs were one pool of judges."""
    other = _paired(1970, origin="drawn", carries=False, labelled=False)
    report = _judge(_paired(30), other)
    assert (report.verdict, report.images) == ("undecided", 30)
    assert report == msgspec.structs.replace(_judge(_paired(30)), origins=report.origins)
    assert [(origin.origin, origin.images, origin.carries) for origin in report.origins] == [
        ("target validation", 30, True),
        ("drawn", 1970, False),
    ]


def test_another_kind_that_disagrees_refuses_nothing_but_is_shown() -> None:
    report = _judge(_paired(128), _paired(200, 100, origin="bridge held-out", carries=False, labelled=False))
    assert report.verdict == "proven"
    assert report.origins[1].agreement is not None
    assert report.origins[1].agreement.agreement.value == 0.5
    assert report.origins[1].drop is None


def test_views_of_an_image_do_not_count_as_further_images() -> None:
    one, many = _judge(_paired(40)), _judge(_paired(40, views=8))
    assert one.images == many.images == 40
    assert one.drop_at_most == many.drop_at_most
    assert many.origins[0].views == 8
    assert many.validation_n == many.accuracy["int8"].value * 40 == 40


def test_the_file_and_the_procedure_carry_the_verdict_together_and_are_told_apart() -> None:
    crossed = replace(_paired(104, 1, origin="target cross-fitted"), judged="procedure")
    report = _judge(_paired(24), crossed)
    assert report.images == 128
    assert [origin.judged for origin in report.origins] == ["file", "procedure"]
    assert report.validation_n == 24
    assert report.mcnemar.a_only == 1


def test_agreement_below_the_bound_is_refused_where_the_images_are_enough() -> None:
    report = _judge(_paired(100, 4))
    assert report.verdict == "refused"
    assert "labels agree on 96.00 % of 100 images, below 97 %" in report.reasons[0]


def test_agreement_is_told_for_each_label_that_float_gives() -> None:
    normal, bleed = _judge(_paired(101, 1)).agreement.by_class
    assert normal.agreement is not None
    assert bleed.agreement is not None
    assert (normal.n, bleed.n) == (51, 50)
    assert normal.agreement.value == pytest.approx(50 / 51)
    assert bleed.agreement.value == 1.0


def test_one_image_of_thirty_refuses_nothing() -> None:
    report = _judge(_paired(30, 1))
    assert report.agreement.agreement.value < BOUNDS.min_agreement
    assert report.verdict == "undecided"


def test_few_images_refuse_where_agreement_is_below_the_bound_for_certain() -> None:
    report = _judge(_paired(30, 6), bounds=gate.Bounds(max_drop=100.0, min_agreement=0.97))
    assert report.verdict == "refused"
    assert "below 97 %" in report.reasons[0]


def test_a_drop_that_is_there_is_not_mended_by_more_images() -> None:
    report = _judge(_paired(100, 3))
    assert report.verdict == "undecided"
    assert report.images_to_decide is None
    assert "does lose as much" in report.reasons[0]


def test_a_certain_drop_in_accuracy_is_refused() -> None:
    report = _judge(_paired(500, 50))
    assert report.verdict == "refused"
    assert "accuracy drops by 10.0 points" in report.reasons[0]
    assert (report.mcnemar.a_only, report.mcnemar.b_only) == (50, 0)
    assert report.mcnemar.p < 1e-10
    assert report.images_to_decide is None


def test_a_float_file_that_differs_from_keras_is_refused_too() -> None:
    paired = _paired(200)
    report = _judge(paired, answers=_answers(paired, float_keras_flipped=200))
    assert report.verdict == "refused"
    assert report.reasons[0].startswith("the float file agrees with its own Keras model on only 0.0 %")
    assert report.accuracy["float_keras"].value == 0.0


def test_keras_may_answer_fewer_views_than_the_files() -> None:
    paired = _paired(100, views=4)
    given = _answers(paired, fake_quant_flipped=0)
    assert given.fake_quant_keras is not None
    few = gate.Answers(given.float_keras[:60], given.float_tflite, given.int8_tflite, given.fake_quant_keras[:60])
    report = _judge(paired, answers=few)
    assert report.float_conversion is not None
    assert (report.agreement.n, report.float_conversion.n) == (100, 60)
    assert report.accuracy["fake_quant_keras"].value == 1.0


def test_a_file_that_differs_from_its_own_fake_quantization_is_called_a_broken_conversion() -> None:
    paired = _paired(1000)
    report = _judge(paired, answers=_answers(paired, fake_quant_flipped=100))
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
    warnings = calibration_warnings(pixels, np.arange(count) % classes, keys, set(keys[:judged]))
    assert len(warnings) == 1
    assert said in warnings[0]


def test_a_sound_set_of_calibration_images_raises_no_warning() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (100, 4, 4, 3)).astype(np.uint8)
    keys = tuple(str(number).encode() for number in range(100))
    assert calibration_warnings(pixels, np.arange(100) % 2, keys, set()) == []
