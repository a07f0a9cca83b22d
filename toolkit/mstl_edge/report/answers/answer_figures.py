"""What answers look like: ROC, confusion, reliability, float32 against int8. For a run's models and for a study's arms alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mstl_edge.metrics import Interval, auc_interval, class_calibration_error, expected_calibration_error, roc_auc
from mstl_edge.report.answers.answers import Answered, Paired
from mstl_edge.report.answers.class_views import View, answer_views, paired_views
from mstl_edge.report.draw.chart import (
    MOST_LARGE,
    Frame,
    band,
    chart,
    dot,
    inside_note,
    line,
    square_frame,
    upright_bar,
)
from mstl_edge.report.draw.curves import DRAWS, reliability, roc_band, roc_curve, stairs
from mstl_edge.report.html import wording
from mstl_edge.report.html.blocks import Figure, Key
from mstl_edge.report.html.markup import Markup, number, tag

Named = Sequence[tuple[str, Answered]]
_DIAGONAL = ((0.0, 1.0), (0.0, 1.0))
_RUG = 7.0


def counted(models: Named) -> str:
    """Return how many images were answered, said once where all models answered equally many."""
    told = {name: _images(answers) for name, answers in models}
    if len(set(told.values())) == 1:
        return next(iter(told.values()))
    return "; ".join(f"{name}: {count}" for name, count in told.items())


def _images(answers: Answered) -> str:
    again = f", each answered in {answers.repeats} repeats" if answers.repeats > 1 else ""
    return f"n = {answers.n:,} images{again}"


def roc(models: Named, *, asked: str, ring: str) -> tuple[Figure, ...]:
    """Return ROC curves with their pointwise intervals and the operating point; of more than two classes, a figure for each.

    Args:
        models: Their names and answers; those without images of a class and of others are left out.
        asked: What the answers are to, such as `the test images`.
        ring: What the operating point of a positive class is.
    """
    return tuple(figure for view in answer_views(models) for figure in _roc_figure(view, asked, ring))


def _roc_figure(view: View[Answered], asked: str, ring: str) -> tuple[Figure, ...]:
    shown = [(name, answers) for name, answers in view.shown if answers.has_both]
    if not shown:
        return ()
    ring = "where the most probable class is the answer" if view.of else ring
    caption = (
        f"ROC{view.against} on {asked} ({counted(shown)}). Band: pointwise 95 % interval ({DRAWS:,} seeded "
        "bootstrap samples of the images, each class by itself; where the classes are separated almost perfectly it is too "
        f"narrow, the interval of the AUC, Newcombe's, is not). Ring: {ring}."
    )
    legend = (Key("line", "a", "ROC curve"), Key("band", "a", "95 % interval"), Key("ring", "b", "operating point"))
    return (Figure(tuple(_roc(name, answers, len(shown)) for name, answers in shown), caption, legend),)


def _roc(name: str, answers: Answered, panels: int) -> Markup:
    frame = square_frame("1 − specificity, %", "sensitivity, %", panels)
    is_positive, scores = answers.is_positive, answers.scores
    wrong, found = roc_curve(is_positive, scores)
    at, low, high = roc_band(is_positive[: answers.n], scores.reshape(answers.repeats, answers.n).T)
    corners, lows = stairs(at, low)
    highs = stairs(at, high)[1]
    said_positive = answers.decided == answers.column
    point = (float(said_positive[~is_positive].mean()), float(said_positive[is_positive].mean()))
    rates = f"sensitivity {wording.percent(point[1])}, specificity {wording.percent(1 - point[0])}"
    told = rates if answers.threshold is None else f"threshold {answers.threshold:.3f}: {rates}"
    area = f"AUC {wording.share_interval(_area(answers))}"
    marks = [
        band(frame, list(corners), list(lows), list(highs), "a"),
        line(frame, *_DIAGONAL, "faint"),
        line(frame, list(wrong), list(found), "a"),
        dot(frame, *point, "ring b", note=told, radius=5),
        inside_note(frame, area, row=1),
        inside_note(frame, _by_class(answers), row=0),
    ]
    return chart(frame, marks, heading=wording.short(name, 34), description=f"ROC curve; {area}; {told}")


def _area(answers: Answered) -> Interval:
    """Return the area under the curve of all answers; its interval counts images."""
    positives = int(answers.is_positive[: answers.n].sum())
    return auc_interval(roc_auc(answers.is_positive, answers.scores), positives, answers.n - positives)


def _by_class(answers: Answered) -> str:
    positives = int(answers.is_positive[: answers.n].sum())
    return f"{positives} {wording.short(answers.positive_label, 12)}, {answers.n - positives} others"


Confusion = tuple[str, tuple[str, ...], Sequence[Sequence[int]]]
"""A model's name, its classes, and its answers counted as `[truth][answer]`."""


def confusions(models: Sequence[Confusion], *, asked: str, count: str) -> Figure:
    """Return confusion matrices.

    Args:
        models: What is shown.
        asked: What the answers are to, such as `the test images`.
        count: How many images those are.
    """
    caption = (
        f"Confusion matrices on {asked} ({count}): rows are the truth, columns the answer; counts, and the share of the row. "
        "Darker is more."
    )
    return Figure(tuple(_confusion(*model, len(models)) for model in models), caption)


def _confusion(name: str, labels: tuple[str, ...], counts: Sequence[Sequence[int]], panels: int) -> Markup:
    corner = tag("th", tag("small", "truth ↓ answer →" if panels <= MOST_LARGE else "truth ↓"))
    head = tag("tr", corner, [tag("th", label, scope="col", title=label) for label in labels])
    rows = []
    for label, row in zip(labels, counts, strict=True):
        total = max(1, sum(row))
        cells = [
            tag("td", count, tag("small", f"{100 * count / total:.0f} %"), style=f"--share:{count / total:.3f}")
            for count in row
        ]
        rows.append(tag("tr", tag("th", label, scope="row", title=label), cells))
    caption = tag("caption", wording.short(name, 34))
    return tag("div", tag("table", caption, tag("thead", head), tag("tbody", rows), class_="confusion"), class_="chart")


def reliability_diagrams(models: Named, *, asked: str) -> tuple[Figure, ...]:
    """Return how often what was given a probability came true; of more than two classes, a figure for each."""
    return tuple(_reliability_figure(view, asked) for view in answer_views(models))


def _reliability_figure(view: View[Answered], asked: str) -> Figure:
    models = view.shown
    repeated = any(answers.repeats > 1 for _, answers in models)
    error = f"calibration error of the probability of {view.of}" if view.of else "expected calibration error"
    caption = (
        f"Reliability{view.against} on {asked} ({counted(models)}). ECE: {error}, 15 equal bins"
        f"{', mean of the repeats' if repeated else ''}. Points: bins of equal numbers of "
        f"{'answers' if repeated else 'images'}, with 95 % Wilson intervals"
        f"{' that count an image once' if repeated else ''}; ticks: single {'answers' if repeated else 'images'}, those of the "
        f"{'class' if view.of else 'positive class'} above, all others below. On the diagonal, probabilities mean what they say."
    )
    legend = (Key("dot", "a", "share observed, 95 % interval"), Key("line", "faint", "perfect calibration"))
    return Figure(tuple(_reliability(name, answers, len(models)) for name, answers in models), caption, legend)


def _reliability(name: str, answers: Answered, panels: int) -> Markup:
    frame = square_frame("predicted probability, %", "observed, %", panels)
    bins = reliability(answers.is_positive, answers.scores, answers.repeats)
    marks = [line(frame, *_DIAGONAL, "faint"), _rug(frame, answers)]
    marks.append(line(frame, [entry.probability for entry in bins], [entry.observed.value for entry in bins], "a thin"))
    for entry in bins:
        marks.append(upright_bar(frame, entry.probability, entry.observed.low, entry.observed.high, "a"))
        told = wording.interval_in_words(entry.observed)
        note = f"{entry.n} answers, mean probability {wording.percent(entry.probability)}: {told} observed"
        marks.append(dot(frame, entry.probability, entry.observed.value, "a", note=note))
    error = f"ECE {_calibration_error(answers):.3f}"
    marks.append(inside_note(frame, error, row=1))
    seen = f"{len(bins)} bins of probabilities of {answers.positive_label} against the share that came true; {error}"
    return chart(frame, marks, heading=wording.short(name, 34), description=seen)


def _rug(frame: Frame, answers: Answered) -> Markup:
    """Return a tick per answer as one path."""
    ticks = []
    for probability, came_true in zip(answers.scores, answers.is_positive, strict=True):
        edge, length = (frame.down(1.0), _RUG) if came_true else (frame.down(0.0), -_RUG)
        ticks.append(f"M{number(frame.across(float(probability)))} {number(edge)}v{number(length)}")
    return tag("path", d="".join(ticks), class_="rug")


def _calibration_error(answers: Answered) -> float:
    """Return the error of the most probable class's probability; of more than two classes, that of the one looked at."""
    parts = [np.array_split(values, answers.repeats) for values in (answers.classes, answers.probabilities)]
    if len(answers.labels) == 2:
        return float(np.mean([expected_calibration_error(*part) for part in zip(*parts, strict=True)]))
    number = answers.column
    return float(np.mean([class_calibration_error(c == number, p[:, number]) for c, p in zip(*parts, strict=True)]))


def float_against_int8(pairs: Sequence[tuple[str, Paired]], *, asked: str) -> tuple[Figure, ...]:
    """Return both files' probabilities of a class, a point per answer; of more than two classes, a figure for each."""
    return tuple(_scatter_figure(view.shown, asked) for view in paired_views(pairs))


def _scatter_figure(pairs: Sequence[tuple[str, Paired]], asked: str) -> Figure:
    first = pairs[0][1].int8
    thresholds = {pair.int8.threshold for _, pair in pairs}
    dashed = "" if thresholds == {None} else " Dashed: the decision threshold, where all answers have one"
    if len(thresholds) == 1 and first.threshold is not None:
        dashed = f" Dashed: the decision threshold, {first.threshold:.3f}"
    alike = ""
    if len(first.labels) > 2:
        alike = f" Alike: of the images that float32 answers {first.positive_label}, those that int8 answers so too."
    caption = (
        f"Probability of {first.positive_label} by the float32 and by the int8 file on {asked} "
        f"({counted([(name, pair.int8) for name, pair in pairs])}); the farther from the diagonal, the more quantization "
        f"changed. Δp: difference in probability, over all classes.{alike}{dashed}{'.' if dashed else ''}"
    )
    others = " / ".join(label for label in first.labels if label != first.positive_label)
    legend = (Key("dot", "b", first.positive_label), Key("ring", "a", others))
    return Figure(tuple(_scatter(name, pair, len(pairs)) for name, pair in pairs), caption, legend)


def _scatter(name: str, paired: Paired, panels: int) -> Markup:
    frame = square_frame("float32 probability, %", "int8 probability, %", panels)
    threshold, answers, radius = paired.int8.threshold, paired.int8, 3.4 if panels <= MOST_LARGE else 2.2
    marks = [line(frame, *_DIAGONAL, "faint")]
    if len(answers.labels) == 2 and threshold is not None:
        marks += [
            line(frame, (threshold, threshold), (0.0, 1.0), "faint dashed"),
            line(frame, (0.0, 1.0), (threshold, threshold), "faint dashed"),
        ]
    points = zip(paired.float32.scores, answers.scores, answers.is_positive, strict=True)
    for position, (floating, quantized, is_positive) in enumerate(points):
        note = f"{answers.place(position)}: float32 {wording.percent(floating)}, int8 {wording.percent(quantized)}"
        style = "b" if is_positive else "ring a"
        marks.append(dot(frame, float(floating), float(quantized), style, note=note, radius=radius))
    told = f"{paired.labelled_differently} of {len(answers.classes)} labels differ"
    largest, mean = f"largest Δp {paired.differences.max():.3f}", f"mean Δp {paired.differences.mean():.3f}"
    notes = [told, largest, mean]
    if len(answers.labels) > 2:
        alike, said = paired.alike_by_float
        notes.append(f"{alike} of {said} {wording.short(answers.positive_label, 12)} alike")
    marks += [inside_note(frame, text, row=row) for row, text in enumerate(notes)]
    seen = f"{len(answers.classes)} points around the diagonal; {'; '.join(notes)}"
    return chart(frame, marks, heading=wording.short(name, 34), description=seen)
