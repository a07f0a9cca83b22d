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
    blocks: list[Figure | Table | Markup] = [tag("p", _method(study)), _arms_table(study), _arms_figure(study)]
    if study.comparisons:
        blocks += [
            _comparisons_figure(study.comparisons),
            _comparisons_table(study.comparisons, "Arms compared on the same images and folds"),
        ]
    missing = []
    curve = study.learning_curve
    if curve.arms:
        blocks.append(_learning_curve(curve.arms))
        if curve.comparisons:
            caption = "Arms compared after training on fewer images, on the same images and folds"
            blocks.append(_comparisons_table(curve.comparisons, caption))
    else:
        missing.append("learning curve: mstl-edge study RECIPE --learning-curve 20,40,80,160")
    return Part(_headline(study), (Section("Cross-validated study", tuple(blocks)),), tuple(missing))


def _headline(study: Study) -> tuple[str, ...]:
    best = max(study.arms, key=lambda arm: arm.accuracy.value)
    first = f"Highest cross-validated accuracy: {best.title}, {wording.interval_in_words(best.accuracy)}, n = {best.n:,} images."
    return (first, *(f"{_said(entry)}." for entry in study.comparisons if _same_scheme(entry)))


def _same_scheme(entry: Comparison) -> bool:
    """Whether two ways to train are compared, in float32: the question of a study; the tables have the rest."""
    a, b = entry.a.rpartition("/"), entry.b.rpartition("/")
    return a[2] == b[2] and (not a[1] or a[2] == "float32")


def _said(entry: Comparison) -> str:
    if entry.words and entry.verdict != "cannot tell":
        return entry.words  # it names both
    told = entry.words or f"{wording.points_interval(entry.difference, entry.low, entry.high)} points, {entry.verdict}"
    return f"From {entry.a} to {entry.b}: {told}"


def _method(study: Study) -> str:
    parts = []
    if study.folds and study.repeats:
        parts.append(
            f"{study.folds}-fold cross-validation, repeated {wording.count_of(study.repeats, 'time')}, the same folds for every arm"
        )
    parts.append(
        "grouped by patient" if study.patients_known else "near-duplicate images kept together, patients unknown"
    )
    if study.threshold_rule:
        parts.append(f"thresholds chosen inside each training part by the rule: {study.threshold_rule}")
    parts.append(f"intervals: {study.interval}")
    whole = "; ".join(parts)
    return f"{whole[0].upper()}{whole[1:]}."


def _arms_table(study: Study) -> Table:
    rows = tuple(
        (
            arm.name,
            arm.scheme or wording.NOT_MEASURED,
            arm.n,
            wording.percent_cell(arm.accuracy),
            wording.percent_cell(arm.sensitivity),
            wording.percent_cell(arm.specificity),
            wording.share_cell(arm.auc),
            wording.share_cell(arm.calibration_error),
        )
        for arm in study.arms
    )
    head = ("Arm", "Scheme", "n", "Accuracy, %", "Sensitivity, %", "Specificity, %", "AUC", "Calibration error")
    caption = (
        f"The arms of the study on the same folds ({_counts(study.arms)} images answered out of fold): "
        "means over folds with 95 % intervals."
    )
    return Table(head, rows, caption, words=frozenset((0, 1)))


def _arms_figure(study: Study) -> Figure:
    values = [bound for arm in study.arms for bound in (arm.accuracy.low, arm.accuracy.high)]
    rows = [(arm.title, wording.percent_interval(arm.accuracy), arm.accuracy, "a") for arm in study.arms]
    drawing = _forest(linear_axis("accuracy, %", values, percent=True), rows, "Accuracy of each arm", reference=None)
    return Figure(
        (drawing,), f"Cross-validated accuracy of each arm with its 95 % interval; {_counts(study.arms)} images."
    )


def _comparisons_table(comparisons: Sequence[Comparison], caption: str) -> Table:
    counted = any(entry.images for entry in comparisons)
    rows = []
    for entry in comparisons:
        told = [entry.verdict, tag("div", entry.words, class_="remark")] if entry.words else entry.verdict
        images = (f"{entry.images:,}",) if counted else ()
        difference = wording.points_cell(entry.difference, entry.low, entry.high)
        rows.append((*images, entry.a, entry.b, difference, wording.p_value(entry.p), told))
    head = ("From", "To", "Difference, points", "p", "Verdict")
    words = (1, 2, 5) if counted else (0, 1, 4)
    return Table(
        ("Images", *head) if counted else head,
        tuple(rows),
        f"{caption}: accuracy of the second minus that of the first, 95 % intervals.",
        words=frozenset(words),
    )


def _comparisons_figure(comparisons: Sequence[Comparison]) -> Figure:
    values = [0.0, *(bound for entry in comparisons for bound in (entry.low, entry.high))]
    rows = []
    for entry in comparisons:
        style = "c" if entry.low > 0 else "b" if entry.high < 0 else "faint"
        told = wording.points_interval(entry.difference, entry.low, entry.high)
        rows.append((f"{entry.a} → {entry.b}", told, Interval(entry.difference, entry.low, entry.high), style))
    axis = linear_axis("difference in accuracy, points", values, percent=True)
    drawing = _forest(axis, rows, "From one arm to another", reference=0.0)
    legend = (Key("dot", "c", "helped"), Key("dot", "b", "hurt"), Key("dot", "faint", "cannot tell"))
    caption = (
        "Differences in cross-validated accuracy with 95 % intervals; where an interval holds zero, the study cannot tell "
        "the two apart."
    )
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


def _learning_curve(arms: Sequence[Arm]) -> Figure:
    curves: dict[str, list[Arm]] = {}
    for arm in sorted(arms, key=lambda arm: arm.images):
        curves.setdefault(arm.title, []).append(arm)
    sizes = sorted({arm.images for arm in arms})
    bounds = [bound for arm in arms for bound in (arm.accuracy.low, arm.accuracy.high)]
    spread = log_axis("training images (logarithmic)", sizes)
    x = Axis(
        spread.label, spread.low, spread.high, tuple((float(size), f"{size:,}") for size in sizes), logarithmic=True
    )
    frame = Frame(x, linear_axis("accuracy, %", bounds, percent=True), height=300)
    behind, marks, legend = [], [], []
    for number, (title, curve) in enumerate(curves.items()):
        style = STYLES[number % len(STYLES)]
        legend.append(Key("line", style, title))
        shift = 1 + 0.025 * (number - (len(curves) - 1) / 2)  # bars of one size side by side
        places = [arm.images * shift for arm in curve]
        behind.append(
            band(frame, places, [a.accuracy.low for a in curve], [a.accuracy.high for a in curve], f"{style} pale")
        )
        marks.append(line(frame, places, [arm.accuracy.value for arm in curve], style))
        for place, arm in zip(places, curve, strict=True):
            note = f"{title}, {arm.images:,} images: {wording.interval_in_words(arm.accuracy)}"
            marks.append(upright_bar(frame, place, arm.accuracy.low, arm.accuracy.high, f"{style} pale"))
            marks.append(dot(frame, place, arm.accuracy.value, style, note=note))
    caption = (
        f"Learning curve: cross-validated accuracy after training and validating on {', '.join(f'{size:,}' for size in sizes)} "
        f"images, with 95 % intervals; {_counts(arms)} images answered out of fold."
    )
    seen = f"{len(curves)} curves over {len(sizes)} sizes of the training set"
    return Figure(
        (chart(frame, [*behind, *marks], heading="Learning curve", description=seen),), caption, tuple(legend)
    )


def _counts(arms: Sequence[Arm]) -> str:
    counts = sorted({arm.n for arm in arms})
    return f"n = {' or '.join(f'{count:,}' for count in counts)}"
