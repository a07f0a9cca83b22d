"""The figures of a training run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mstl_edge.metrics import auc_interval, classification_metrics, expected_calibration_error, roc_auc
from mstl_edge.report import wording
from mstl_edge.report.axis import Axis, linear_axis, unit_axis
from mstl_edge.report.blocks import Figure, Key
from mstl_edge.report.chart import Frame, band, chart, dot, line, upright_bar
from mstl_edge.report.curves import DRAWS, reliability, roc_band, roc_curve, stairs
from mstl_edge.report.markup import Markup, tag
from mstl_edge.report.paired import Paired, labels_differ
from mstl_edge.report.records import Grid
from mstl_edge.report.run_record import QUANTIZE, Answered, RunRecord

Named = Sequence[tuple[str, Answered]]
SQUARE_HEIGHT = 344.0
_DIAGONAL = ((0.0, 1.0), (0.0, 1.0))


def training_curves(run: RunRecord) -> list[Figure]:
    """Return loss and accuracy over epochs, a figure per stage; fine-tuning for int8 is the last."""
    figures = []
    kept = {entry.name: entry for entry in run.stages}
    for name, history in run.histories.items():
        entry = kept.get(name, run.last)
        selected = entry.selected_epoch if name in kept else None
        what = f"Stage {name}" if name in kept else "Fine-tuning under fake quantization"
        told = f" The vertical line marks epoch {selected}, whose weights were kept." if selected else ""
        counts = f"n = {entry.images['train']:,} training and {entry.images['validation']:,} validation images"
        legend = (Key("line", "b dashed", "training"), Key("line", "a", "validation"))
        drawings = tuple(_curve(history, quantity, name, selected) for quantity in ("loss", "accuracy"))
        figures.append(Figure(drawings, f"{what}: loss and accuracy after each epoch; {counts}.{told}", legend))
    return figures


def _curve(history: Grid, quantity: str, stage: str, selected: int | None) -> Markup:
    epochs = history.column("epoch")
    training, validation = history.column(quantity), history.column(f"validation_{quantity}")
    percent = quantity == "accuracy"
    values = [*training, *validation]
    y = linear_axis(
        "accuracy, %" if percent else "loss", [min(values), 1.0] if percent else [0.0, *values], percent=percent
    )
    x = _epoch_axis(int(epochs[0]), int(epochs[-1]))
    frame = Frame(x, y)
    marks = [line(frame, list(epochs), list(training), "b dashed"), line(frame, list(epochs), list(validation), "a")]
    if selected is not None:
        marks.insert(0, line(frame, [selected, selected], [y.low, y.high], "faint"))
        at = int(np.argmin(np.abs(epochs - selected)))
        marks.append(dot(frame, selected, float(validation[at]), "a", note=f"epoch {selected}: {validation[at]:.3f}"))
    title = {QUANTIZE: "int8 fine-tuning"}.get(stage, wording.short(stage))
    return chart(
        frame,
        marks,
        heading=f"{title}: {quantity}",
        description=f"{quantity} after epochs {int(epochs[0])} to {int(epochs[-1])}: training {training[0]:.3f} to "
        f"{training[-1]:.3f}, validation {validation[0]:.3f} to {validation[-1]:.3f}",
    )


def _epoch_axis(first: int, last: int) -> Axis:
    step = max(1, -(-(last - first) // 6))
    ticks = tuple((float(epoch), str(epoch)) for epoch in range(first, last + 1, step))
    return Axis("epoch", float(first) - 0.5, float(last) + 0.5, ticks)


def roc(models: Named) -> Figure:
    """Return ROC curves with their pointwise intervals and the operating point."""
    shown = [(name, answers) for name, answers in models if 0 < answers.is_positive.sum() < len(answers.classes)]
    areas = []
    for name, answers in shown:
        positives = int(answers.is_positive.sum())
        area = roc_auc(answers.is_positive, answers.positive)
        interval = auc_interval(area, positives, len(answers.classes) - positives)
        areas.append(
            f"{name}: AUC {wording.share_interval(interval)}, n = {positives} {answers.entry.positive} and "
            f"{len(answers.classes) - positives} others"
        )
    caption = (
        f"ROC on the test images. {'; '.join(areas)}. Band: pointwise 95 % interval ({DRAWS:,} seeded bootstrap samples of the "
        "images, each class by itself; where the classes are separated almost perfectly it is too narrow, the interval of the "
        "AUC is not). Ring: the decision threshold that validation chose."
    )
    legend = (Key("line", "a", "ROC curve"), Key("band", "a", "95 % interval"), Key("ring", "b", "chosen threshold"))
    return Figure(tuple(_roc(name, answers) for name, answers in shown), caption, legend)


def _roc(name: str, answers: Answered) -> Markup:
    frame = Frame(unit_axis("1 − specificity, %"), unit_axis("sensitivity, %"), height=SQUARE_HEIGHT)
    is_positive, scores = answers.is_positive, answers.positive
    wrong, found = roc_curve(is_positive, scores)
    at, low, high = roc_band(is_positive, scores)
    corners, lows = stairs(at, low)
    highs = stairs(at, high)[1]
    said_positive = answers.decided == answers.entry.positive_index
    point = (float(said_positive[~is_positive].mean()), float(said_positive[is_positive].mean()))
    note = (
        f"threshold {answers.entry.threshold:.3f}: sensitivity {wording.percent(point[1])}, "
        f"specificity {wording.percent(1 - point[0])}"
    )
    marks = [
        band(frame, list(corners), list(lows), list(highs), "a"),
        line(frame, *_DIAGONAL, "faint"),
        line(frame, list(wrong), list(found), "a"),
        dot(frame, *point, "ring b", note=note, radius=5),
    ]
    return chart(frame, marks, heading=wording.short(name, 34), description=f"ROC curve; {note}")


def confusions(models: Named) -> Figure:
    """Return confusion matrices of the test images."""
    counts = "; ".join(f"{name}: n = {len(answers.classes)}" for name, answers in models)
    caption = (
        f"Confusion matrices on the test images ({counts}): rows are the truth, columns the answer; counts, and the share "
        "of the row. Darker is more."
    )
    return Figure(tuple(_confusion(name, answers) for name, answers in models), caption)


def _confusion(name: str, answers: Answered) -> Markup:
    entry = answers.entry
    scores = classification_metrics(
        answers.classes, answers.probabilities, positive=entry.positive_index, threshold=entry.threshold
    )
    most = 12 if len(entry.labels) < 4 else 7
    corner = tag("th", tag("small", "truth ↓ answer →"))
    head = tag(
        "tr", corner, [tag("th", wording.short(label, most), scope="col", title=label) for label in entry.labels]
    )
    rows = []
    for label, row in zip(entry.labels, scores.confusion, strict=True):
        total = max(1, sum(row))
        cells = [
            tag("td", count, tag("small", f"{100 * count / total:.0f} %"), style=f"--share:{count / total:.3f}")
            for count in row
        ]
        rows.append(tag("tr", tag("th", wording.short(label, most), scope="row", title=label), cells))
    table = tag(
        "table", tag("caption", wording.short(name, 34)), tag("thead", head), tag("tbody", rows), class_="confusion"
    )
    return tag("div", table, class_="chart")


def reliability_diagram(models: Named) -> Figure:
    """Return how often what was given a probability came true."""
    errors = [
        f"{name}: n = {len(answers.classes)}, expected calibration error "
        f"{expected_calibration_error(answers.classes, answers.probabilities):.3f}"
        for name, answers in models
    ]
    caption = (
        f"Reliability on the test images. {'; '.join(errors)} (15 equal bins). Points: bins of equal numbers of images, with "
        "95 % Wilson intervals; ticks: single images, those of the positive class above, all others below. On the diagonal, "
        "probabilities mean what they say."
    )
    legend = (Key("dot", "a", "share observed, 95 % interval"), Key("line", "faint", "perfect calibration"))
    return Figure(tuple(_reliability(name, answers) for name, answers in models), caption, legend)


def _reliability(name: str, answers: Answered) -> Markup:
    frame = Frame(unit_axis("predicted probability, %"), unit_axis("observed, %"), height=SQUARE_HEIGHT)
    bins = reliability(answers.is_positive, answers.positive)
    marks = [line(frame, *_DIAGONAL, "faint")]
    for probability, came_true in zip(answers.positive, answers.is_positive, strict=True):
        place, edge = frame.across(float(probability)), frame.down(1.0 if came_true else 0.0)
        marks.append(tag("line", x1=place, x2=place, y1=edge, y2=edge + (7 if came_true else -7), class_="rug"))
    marks.append(line(frame, [entry.probability for entry in bins], [entry.observed.value for entry in bins], "a thin"))
    for entry in bins:
        marks.append(upright_bar(frame, entry.probability, entry.observed.low, entry.observed.high, "a"))
        told = wording.interval_in_words(entry.observed)
        note = f"{entry.n} images, mean probability {wording.percent(entry.probability)}: {told} observed"
        marks.append(dot(frame, entry.probability, entry.observed.value, "a", note=note))
    seen = f"{len(bins)} bins of probabilities of {answers.entry.positive} against the share that came true"
    return chart(frame, marks, heading=wording.short(name, 34), description=seen)


def float_against_int8(paired: Paired) -> Figure:
    """Return both files' probabilities of the positive class, a point per test image."""
    entry = paired.int8.entry
    frame = Frame(unit_axis("float32 probability, %"), unit_axis("int8 probability, %"), height=SQUARE_HEIGHT)
    threshold = entry.threshold
    marks = [line(frame, *_DIAGONAL, "faint")]
    if len(entry.labels) == 2:
        marks += [
            line(frame, (threshold, threshold), (0.0, 1.0), "faint dashed"),
            line(frame, (0.0, 1.0), (threshold, threshold), "faint dashed"),
        ]
    pairs = zip(paired.float32.positive, paired.int8.positive, paired.int8.is_positive, strict=True)
    for row, (floating, quantized, is_positive) in enumerate(pairs, start=1):
        note = f"test row {row}: float32 {wording.percent(floating)}, int8 {wording.percent(quantized)}"
        marks.append(dot(frame, float(floating), float(quantized), "b" if is_positive else "ring a", note=note))
    differences = np.abs(paired.float32.probabilities - paired.int8.probabilities)
    n = len(paired.int8.classes)
    caption = (
        f"Probability of {entry.positive} by the float32 and the int8 file for each of n = {n} test images. "
        f"{labels_differ(paired)} of {n} are labelled differently; largest difference {differences.max():.3f}, mean "
        f"{differences.mean():.3f}. Dashed: the decision threshold, {threshold:.3f}."
    )
    others = " / ".join(label for label in entry.labels if label != entry.positive)
    legend = (Key("dot", "b", entry.positive), Key("ring", "a", others))
    drawing = chart(frame, marks, heading="float32 against int8", description=f"{n} points near the diagonal")
    return Figure((drawing,), caption, legend)
