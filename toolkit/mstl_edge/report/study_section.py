"""A study as figures and tables: the arms, what was compared, and the learning curve."""

from __future__ import annotations

from collections.abc import Sequence

from mstl_edge.metrics import Interval
from mstl_edge.report import wording
from mstl_edge.report.axis import Axis, linear_axis, log_axis
from mstl_edge.report.blocks import Figure, Key, Part, Section, Table
from mstl_edge.report.chart import Frame, band, chart, dot, level_bar, line, upright_bar
from mstl_edge.report.markup import Markup, tag
from mstl_edge.report.study_record import Arm, Comparison, Study

STYLES = ("a", "b", "c", "d", "e")
_ROW_HEIGHT = 32.0


def study_part(study: Study) -> Part:
    """Return what a study gives to the page."""
    blocks: list[Figure | Table] = [_arms_table(study.arms), _arms_figure(study.arms)]
    if study.comparisons:
        blocks += [_comparisons_table(study.comparisons), _comparisons_figure(study.comparisons)]
    missing = []
    if study.learning_curve:
        blocks.append(_learning_curve(study))
    else:
        missing.append("learning curve: mstl-edge study RECIPE --learning-curve 20,40,80,160")
    sentences = tuple(
        f"{entry.a} against {entry.b}: {wording.points_interval(entry.difference, entry.low, entry.high)} points of accuracy; {entry.verdict}."
        for entry in study.comparisons
    )
    return Part(sentences, (Section("Cross-validated study", tuple(blocks)),), tuple(missing))


def _arms_table(arms: Sequence[Arm]) -> Table:
    rows = tuple(
        (
            arm.name,
            arm.scheme or wording.NOT_MEASURED,
            arm.n,
            wording.percent_interval(arm.accuracy),
            wording.percent_interval(arm.sensitivity),
            wording.percent_interval(arm.specificity),
            wording.share_interval(arm.auc),
            wording.share_interval(arm.calibration_error),
        )
        for arm in arms
    )
    head = ("Arm", "Scheme", "n", "Accuracy, %", "Sensitivity, %", "Specificity, %", "AUC", "Calibration error")
    caption = f"The arms of the study on the same folds ({_counts(arms)} images answered out of fold), means with 95 % intervals."
    return Table(head, rows, caption, words=frozenset((0, 1)))


def _arms_figure(arms: Sequence[Arm]) -> Figure:
    values = [bound for arm in arms for bound in (arm.accuracy.low, arm.accuracy.high)]
    rows = [(arm.title, wording.percent_interval(arm.accuracy), arm.accuracy, "a") for arm in arms]
    drawing = _forest(linear_axis("accuracy, %", values, percent=True), rows, "Accuracy of each arm", reference=None)
    return Figure((drawing,), f"Cross-validated accuracy of each arm with its 95 % interval; {_counts(arms)} images.")


def _comparisons_table(comparisons: Sequence[Comparison]) -> Table:
    rows = tuple(
        (entry.a, entry.b, wording.points_interval(entry.difference, entry.low, entry.high), wording.p_value(entry.p), entry.verdict)
        for entry in comparisons
    )
    head = ("Arm", "Against", "Difference, points (95 %)", "p", "Verdict")
    return Table(head, rows, "Arms compared on the same images and folds.", words=frozenset((0, 1, 4)))


def _comparisons_figure(comparisons: Sequence[Comparison]) -> Figure:
    values = [0.0, *(bound for entry in comparisons for bound in (entry.low, entry.high))]
    rows = []
    for entry in comparisons:
        style = "c" if entry.low > 0 else "b" if entry.high < 0 else "faint"
        told = wording.points_interval(entry.difference, entry.low, entry.high)
        rows.append((f"{entry.a} − {entry.b}", told, Interval(entry.difference, entry.low, entry.high), style))
    axis = linear_axis("difference in accuracy, points", values, percent=True)
    drawing = _forest(axis, rows, "Differences between arms", reference=0.0)
    legend = (Key("dot", "c", "better"), Key("dot", "b", "worse"), Key("dot", "faint", "cannot tell"))
    caption = "Differences in cross-validated accuracy, with 95 % intervals; an interval that holds zero cannot tell the two apart."
    return Figure((drawing,), caption, legend)


def _forest(
    axis: Axis, rows: Sequence[tuple[str, str, Interval, str]], heading: str, *, reference: float | None
) -> Markup:
    """Return a row per interval, its name and its numbers above it."""
    frame = Frame(axis, Axis("", 0.0, float(len(rows)), ()), height=len(rows) * _ROW_HEIGHT + 66, left=10.0, right=16.0)
    marks = [] if reference is None else [line(frame, (reference, reference), (0.0, float(len(rows))), "faint")]
    for number, (name, told, interval, style) in enumerate(rows):
        row = len(rows) - number - 0.72
        baseline = frame.down(len(rows) - number) + 12
        marks += [
            level_bar(frame, row, interval.low, interval.high, style),
            dot(frame, interval.value, row, style, note=f"{name}: {told}"),
            tag("text", wording.short(name, 38), x=frame.left, y=baseline, class_="note"),
            tag("text", told, x=frame.width - frame.right, y=baseline, class_="note", text_anchor="end"),
        ]
    seen = "; ".join(f"{name}: {told}" for name, told, _, _ in rows)
    return chart(frame, marks, heading=heading, description=seen)


def _learning_curve(study: Study) -> Figure:
    curves: dict[str, list[tuple[int, Interval]]] = {}
    for entry in study.learning_curve:
        title = f"{entry.name}, {entry.scheme}" if entry.scheme else entry.name
        curves.setdefault(title, []).append((entry.images, entry.accuracy))
    sizes = sorted({entry.images for entry in study.learning_curve})
    bounds = [bound for entry in study.learning_curve for bound in (entry.accuracy.low, entry.accuracy.high)]
    spread = log_axis("training images (logarithmic)", sizes)
    x = Axis(spread.label, spread.low, spread.high, tuple((float(size), f"{size:,}") for size in sizes), logarithmic=True)
    frame = Frame(x, linear_axis("accuracy, %", bounds, percent=True), height=300)
    bands, marks, legend = [], [], []
    for number, (title, unsorted_points) in enumerate(curves.items()):
        style, points = STYLES[number % len(STYLES)], sorted(unsorted_points, key=lambda point: point[0])
        legend.append(Key("line", style, title))
        xs = [float(size) for size, _ in points]
        if len(xs) > 1:
            bands.append(band(frame, xs, [i.low for _, i in points], [i.high for _, i in points], style))
            marks.append(line(frame, xs, [i.value for _, i in points], style))
        else:
            bands.append(upright_bar(frame, xs[0], points[0][1].low, points[0][1].high, style))
        for size, interval in points:
            note = f"{title}, {size} images: {wording.interval_in_words(interval)}"
            marks.append(dot(frame, float(size), interval.value, style, note=note))
    caption = (
        f"Learning curve: cross-validated accuracy after training on {', '.join(f'{size:,}' for size in sizes)} images, with 95 % intervals; "
        f"{_counts(study.arms)} images answered out of fold."
    )
    seen = f"{len(curves)} curves over {len(sizes)} sizes of the training set"
    return Figure((chart(frame, [*bands, *marks], heading="Learning curve", description=seen),), caption, tuple(legend))


def _counts(arms: Sequence[Arm]) -> str:
    counts = sorted({arm.n for arm in arms})
    return f"n = {' or '.join(f'{count:,}' for count in counts)}"
