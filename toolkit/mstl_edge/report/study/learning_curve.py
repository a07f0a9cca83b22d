"""A study's learning curve: accuracy over the number of training images, and what arms differ by at each."""

from __future__ import annotations

from mstl_edge.report.draw.axis import Axis, linear_axis, log_axis
from mstl_edge.report.draw.chart import Frame, band, chart, dot, line, upright_bar
from mstl_edge.report.html import wording
from mstl_edge.report.html.blocks import Figure, Key
from mstl_edge.report.html.markup import Markup
from mstl_edge.report.study.study_tables import STYLE_OF, counts, difference_forest
from mstl_edge.schemas.study import ArmResult, LearningCurve

STYLES = ("a", "b", "c", "d", "e")


def learning_figure(curve: LearningCurve) -> Figure:
    """Return the curve of every arm, and beside it the differences at every size."""
    by_arm: dict[str, list[ArmResult]] = {}
    for arm in sorted(curve.arms, key=lambda arm: arm.images):
        by_arm.setdefault(arm.title, []).append(arm)
    sizes = sorted({arm.images for arm in curve.arms})
    legend = tuple(Key("line", STYLES[number % len(STYLES)], title) for number, title in enumerate(by_arm))
    caption = (
        f"Learning curve: cross-validated accuracy after training and validating on {', '.join(f'{size:,}' for size in sizes)} "
        f"images, with 95 % intervals; {counts(curve.arms)} images answered out of fold."
    )
    drawings = [_curves(by_arm, sizes)]
    if curve.comparisons:
        drawings.append(difference_forest(curve.comparisons, "From one arm to another"))
        coloured = "; ".join(f"{_COLOURS[style]}: {verdict}" for verdict, style in STYLE_OF.items())
        caption += f" From one arm to another: differences at each number of images; {coloured}."
    return Figure(tuple(drawings), caption, legend)


_COLOURS = {"b": "red", "c": "green", "faint": "grey"}


def _curves(by_arm: dict[str, list[ArmResult]], sizes: list[int]) -> Markup:
    arms = [arm for points in by_arm.values() for arm in points]
    bounds = [bound for arm in arms for bound in (arm.accuracy.low, arm.accuracy.high)]
    spread = log_axis("training images (logarithmic)", sizes)
    ticks = tuple((float(size), f"{size:,}") for size in sizes)
    x = Axis(spread.label, spread.low, spread.high, ticks, logarithmic=True)
    frame = Frame(x, linear_axis("accuracy, %", bounds, percent=True), height=300)
    behind, marks = [], []
    for number, (title, points) in enumerate(by_arm.items()):
        style = STYLES[number % len(STYLES)]
        shift = 1 + 0.025 * (number - (len(by_arm) - 1) / 2)  # bars of one size side by side
        places = [arm.images * shift for arm in points]
        lows, highs = [arm.accuracy.low for arm in points], [arm.accuracy.high for arm in points]
        behind.append(band(frame, places, lows, highs, f"{style} pale"))
        marks.append(line(frame, places, [arm.accuracy.value for arm in points], style))
        for place, arm in zip(places, points, strict=True):
            note = f"{title}, {arm.images:,} images: {wording.interval_in_words(arm.accuracy)}"
            marks.append(upright_bar(frame, place, arm.accuracy.low, arm.accuracy.high, f"{style} pale"))
            marks.append(dot(frame, place, arm.accuracy.value, style, note=note))
    seen = f"{len(by_arm)} curves over {len(sizes)} sizes of the training set"
    return chart(frame, [*behind, *marks], heading="Learning curve", description=seen)
