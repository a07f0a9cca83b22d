"""Loss and accuracy while a run trained."""

from __future__ import annotations

import numpy as np

from mstl_edge.report.answers.records import Grid
from mstl_edge.report.draw.axis import Axis, linear_axis
from mstl_edge.report.draw.chart import Frame, chart, dot, line
from mstl_edge.report.html import wording
from mstl_edge.report.html.blocks import Figure, Key
from mstl_edge.report.html.markup import Markup
from mstl_edge.report.run.run_record import QUANTIZE, RunRecord


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
