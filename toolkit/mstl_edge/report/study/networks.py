"""A study on several networks: what each costs, and accuracy over time, size and training, with the front that nothing beats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from mstl_edge import bounded
from mstl_edge.report.draw.axis import linear_axis, log_axis
from mstl_edge.report.draw.chart import Frame, chart, dot, line, upright_bar
from mstl_edge.report.draw.labels import Point, draw_labels, place_labels
from mstl_edge.report.html import wording
from mstl_edge.report.html.blocks import Figure, Key, Section, Table
from mstl_edge.report.html.markup import Markup, tag
from mstl_edge.schemas.bench_wording import milliseconds
from mstl_edge.schemas.study import ArmOrigin, ArmResult, Cost, Costs, Study
from mstl_edge.schemas.study_choice import FLOAT, choose_network, file_of

_RADIUS = 4.5
_MEGA, _KILO = 1e6, 1e3
_INT8, _EXACT = "disc a", "ring b"
_NOTHING = "–"


@dataclass(frozen=True)
class _Network:
    """An arm's accuracy in one scheme beside what its file and its training cost."""

    arm: ArmResult
    cost: Cost
    origin: ArmOrigin

    @property
    def style(self) -> str:
        """Its mark: filled where it is int8."""
        return _EXACT if self.arm.scheme == FLOAT else _INT8

    @property
    def milliseconds(self) -> float | None:
        """Median latency of one image."""
        return None if self.cost.latency_ms is None else self.cost.latency_ms.value


def networks_section(study: Study) -> Section | None:
    """Return which network it would be, what each costs, the trade-offs, and how far weights moved; None of other studies."""
    choice = choose_network(study)
    if choice is None:
        return None
    origins = {origin.name: origin for origin in study.provenance.arms}
    measured = [
        _Network(arm, cost, origins.get(arm.name, ArmOrigin(name=arm.name)))
        for arm in study.arms
        if (cost := study.costs.of(arm.title)) is not None
    ]
    moved = [network.origin for network in measured if network.arm.scheme == FLOAT and network.origin.moved]
    return Section(
        "Which network?",
        (
            tag("p", f"{choice.words}."),
            _costs_table(study.costs, measured),
            _trade_offs(study, measured),
            *([_moved_table(moved)] if moved else []),
        ),
    )


def _costs_table(costs: Costs, measured: Sequence[_Network]) -> Table:
    head = (
        "Network", "Accuracy, %", "Same label as float32, %", "Parameters, millions", "Multiply-accumulates, millions", "File, kB",
        "Latency, ms", "Operators outside fast kernels", "Training a fold, s", "Peak memory, MB",
    )  # fmt: skip
    caption = (
        f"What each network costs: latencies in turns on {costs.host} ({costs.runtime}, "
        f"{wording.count_of(costs.threads, 'thread')}, batch 1), with the medians of the fastest and the slowest block; ~ where "
        "the machine did not hold still. Training is that of the float network in a fold, the mean over folds; features that were "
        "stored already, by an earlier fold or run, were not computed again."
    )
    return Table(head, tuple(_costs_row(network) for network in measured), caption)


def _costs_row(network: _Network) -> tuple[str | Markup | list[str | Markup], ...]:
    arm, cost, origin = network.arm, network.cost, network.origin
    alike, of = (
        sum(one.agreement.value * one.n for one in arm.float_agreement if one.agreement),
        sum(one.n for one in arm.float_agreement),
    )
    exact = arm.scheme == FLOAT
    return (
        [arm.name, tag("br"), tag("small", arm.scheme)],
        wording.percent_cell(arm.accuracy),
        f"{100 * alike / of:.1f}" if of else _NOTHING,
        f"{cost.parameters / _MEGA:.2f}",
        f"{cost.macs / _MEGA:,.0f}",
        f"{cost.size_bytes / _KILO:,.0f}",
        _latency(cost),
        _elsewhere(cost),
        f"{origin.training_seconds:,.0f}" if exact and origin.training_seconds is not None else "",
        f"{origin.peak_bytes / _MEGA:,.0f}" if exact and origin.peak_bytes is not None else "",
    )


def _elsewhere(cost: Cost) -> str | list[str | Markup]:
    if not cost.operators:
        return _NOTHING
    told = f"{sum(cost.elsewhere.values())} of {cost.operators}"
    return [told, tag("br"), tag("small", ", ".join(cost.elsewhere).lower())] if cost.elsewhere else told


def _latency(cost: Cost) -> str:
    if cost.latency_ms is None:
        return _NOTHING
    told = cost.latency_ms
    mark = "" if cost.valid else "~"
    return mark + bounded.bounded(*map(milliseconds, (told.value, told.low, told.high)))


def _trade_offs(study: Study, measured: Sequence[_Network]) -> Figure:
    deployed = {cost.title for network in measured if (cost := file_of(study, network.arm.name)) is not None}
    shown = [network for network in measured if network.arm.scheme == FLOAT or network.arm.title in deployed]
    exact = [network for network in shown if network.arm.scheme == FLOAT]
    drawings = (
        _trade_off("latency of one image, ms", shown, lambda one: one.milliseconds),
        _trade_off("size of the file, kB", shown, lambda one: one.cost.size_bytes / _KILO),
        _trade_off("training a fold, s", exact, lambda one: one.origin.training_seconds),
    )
    caption = (
        "Accuracy over latency, file size and training time (logarithmic), each network in float32 and as its smallest int8 file; "
        f"bars are 95 % intervals over folds, n = {shown[0].arm.n:,} images. "
        "A pale line joins both files of a network, the other one those that nothing beats in both. Up and to the left is better."
    )
    legend = (Key("ring", _EXACT, FLOAT), Key("dot", _INT8, "int8"), Key("line", "c", "not beaten in both"))
    return Figure(tuple(drawing for drawing in drawings if drawing is not None), caption, legend)


def _trade_off(label: str, networks: Sequence[_Network], of: Callable[[_Network], float | None]) -> Markup | None:
    places = [(value, network) for network in networks if (value := of(network))]
    if len(places) < 2:
        return None
    bounds = [bound for _, one in places for bound in (one.arm.accuracy.low, one.arm.accuracy.high)]
    values = [value for value, _ in places]
    frame = Frame(log_axis(label, values), linear_axis("accuracy, %", bounds, percent=True), height=300)
    front = unbeaten([(value, one.arm.accuracy.value) for value, one in places])
    marks = [line(frame, [x for x, _ in front], [y for _, y in front], "c thin")] if len(front) > 1 else []
    points, first = [], dict[str, tuple[float, float]]()
    for value, one in places:
        share, style = one.arm.accuracy, one.style
        if (other := first.setdefault(one.arm.name, (value, share.value))) != (value, share.value):
            marks.append(line(frame, [other[0], value], [other[1], share.value], "faint pale"))
        marks.append(upright_bar(frame, value, share.low, share.high, f"{style.split()[1]} pale"))
        note = f"{one.arm.title}: {wording.interval_in_words(share)}, {label} {value:,.3g}"
        marks.append(dot(frame, value, share.value, style, note=note, radius=_RADIUS))
        name = one.arm.name if other == (value, share.value) else ""
        points.append(Point(frame.across(value), frame.down(share.value), _RADIUS, name, style.split()[1]))
    heading = f"Accuracy over {label.split(',')[0]}"
    marks += draw_labels([placed for placed in place_labels(frame, points) if placed.point.name])
    return chart(frame, marks, heading=heading, description=f"{len(places)} points, {len(front)} of them not beaten")


def unbeaten(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points `(cost, worth)` that no other beats in both, the cheapest first: the Pareto front."""
    found: list[tuple[float, float]] = []
    for cost, worth in sorted(points, key=lambda point: (point[0], -point[1])):
        if not found or worth > found[-1][1]:
            found.append((cost, worth))
    return found


def _moved_table(origins: Sequence[ArmOrigin]) -> Table:
    caption = (
        "How far training moved each network: |after − before| / |before| of the kernels of its trained layers, means over folds, "
        "the head apart."
    )
    rows = tuple((origin.name, *_moved(origin.moved)) for origin in origins)
    return Table(("Network", "Trained layers", "In the middle", "Most", "Layer"), rows, caption)


def _moved(moved: dict[str, float]) -> tuple[str, ...]:
    most = max(moved, key=lambda layer: moved[layer])
    return f"{len(moved)}", f"{median(moved.values()):.3f}", f"{moved[most]:.3f}", most
