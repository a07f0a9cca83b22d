"""`mstl-edge inspect`: what is in a model file, without TensorFlow and without running it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mstl_edge_cli import options
from mstl_edge_cli.console import print_json, print_table

if TYPE_CHECKING:
    from mstl_edge.artifact import Artifact, Card, KernelFacts, TensorFacts

Rows = list[tuple[str, object]]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("inspect", epilog="Example: mstl-edge inspect model-int8.tflite")(inspect)


def inspect(
    model: Annotated[Path, typer.Argument(metavar="FILE", help="A .tflite file, with or without a card.")],
    tensors: Annotated[bool, typer.Option("--tensors", help="List every tensor too (--json always does).")] = False,
    json: options.Json = False,
) -> None:
    """Show a model file: its card, operators, size, and how its kernels use the int8 range.

    Opening it verifies its bounds, hash, labels and golden images; 'mstl-edge predict' also replays those.
    """
    from mstl_edge.artifact import open_artifact

    artifact = open_artifact(model)
    if json:
        print_json(_tree(artifact))
        return
    print_table(artifact.name, ("model", ""), _model_rows(artifact))
    print_table("", ("operator", "count"), artifact.facts.operators.items())
    kernel_rows = [_kernel_row(kernel, artifact.card) for kernel in artifact.facts.kernels]
    print_table("", ("kernel", "operator", "shape", "int8 range per channel"), kernel_rows)
    if tensors:
        columns = ("number", "tensor", "type", "shape", "scale", "zero point", "held")
        print_table("", columns, map(_tensor_row, range(len(artifact.facts.tensors)), artifact.facts.tensors))
    if artifact.card is None:
        typer.echo("\nno card: labels, preprocessing and threshold are unknown")
    else:
        print_table("", ("card", ""), _card_rows(artifact.card))


def _tree(artifact: Artifact) -> dict[str, Any]:
    import msgspec

    facts = msgspec.to_builtins(artifact.facts)
    facts["full_integer"] = artifact.facts.full_integer
    card = None if artifact.card is None else msgspec.to_builtins(artifact.card)
    return {"schema": "mstl-edge/inspect/1", "model": artifact.name, "facts": facts, "card": card}


def _model_rows(artifact: Artifact) -> Rows:
    facts = artifact.facts
    rows: Rows = [
        ("flatbuffer", f"{facts.size_bytes:,} bytes"),
        ("input", _tensor(facts.input)),
        ("output", _tensor(facts.output)),
        ("second output", "none" if facts.feature_map is None else f"{_tensor(facts.feature_map)}: the feature map"),
        ("batch", "static" if facts.static else "open (some delegates refuse it)"),
        ("parameters", f"{facts.parameters:,}"),
        ("multiply-accumulates", f"{facts.macs:,}"),
    ]
    if not facts.full_integer:
        rows.append(("float", f"{len(facts.float_tensors)} tensors in {len(facts.float_operators)} operators"))
    else:
        rows.append(("float", "none: every tensor is integer"))
    return rows


def _tensor(facts: TensorFacts) -> str:
    shape = _shape(facts.shape)
    scale = "" if facts.scale is None else f", scale {facts.scale:.9g}, zero point {facts.zero_point}"
    return f"{shape} {facts.dtype}{scale}"


def _tensor_row(number: int, facts: TensorFacts) -> tuple[object, ...]:
    scale = f"{facts.scale:.9g}" if facts.scale is not None else f"{facts.scales} scales" if facts.scales else None
    held = "constant" if facts.constant else "computed"
    return str(number), facts.name, facts.dtype, _shape(facts.shape) or "scalar", scale, facts.zero_point, held


def _shape(extents: tuple[int, ...]) -> str:
    return "×".join(str(extent) for extent in extents)


def _kernel_row(kernel: KernelFacts, card: Card | None) -> tuple[str, str, str, str]:
    from mstl_edge.artifact.inspection import WEIGHT_BITS, full_range

    bits, shape = card.weight_bits if card else WEIGHT_BITS, _shape(kernel.shape)
    short, wide, full = kernel.short_channels(bits), kernel.wide_channels(bits), full_range(bits)
    if not kernel.largest:
        return kernel.name, kernel.operator, shape, kernel.dtype
    if short:
        used = f"{short} of {len(kernel.largest)} channels below {full} (lowest {min(filter(None, kernel.largest))})"
    elif wide:
        used = f"{wide} of {len(kernel.largest)} channels beyond {full} (highest {max(kernel.largest)})"
    else:
        used = f"{full} in all {len(kernel.largest)} channels"
    zero = f", {kernel.zero_channels} all zero" if kernel.zero_channels else ""
    return kernel.name, kernel.operator, shape, used + zero


def _card_rows(card: Card) -> Rows:
    rows: Rows = [
        ("name", card.name),
        ("scheme", f"{card.scheme}, {card.verdict}"),
        ("labels", ", ".join(f"{label} (positive)" if label == card.positive else label for label in card.labels)),
        ("threshold, temperature", f"{_threshold(card)}, {card.temperature:.4f}"),
        ("preprocessing", f"{card.input.preprocess.aspect} to {card.input.width}×{card.input.height}, "
         f"{card.input.preprocess.resize}, {card.input.normalization}"),
        ("golden samples", len(card.golden)),
        *_doubt_rows(card),
    ]  # fmt: skip
    for model, scores in card.metrics.items():
        accuracy = scores.get("accuracy") if isinstance(scores, dict) else None
        bounds = [accuracy.get(key) for key in ("value", "low", "high")] if isinstance(accuracy, dict) else []
        if bounds and all(isinstance(bound, float | int) for bound in bounds):
            value, low, high = bounds
            rows.append((f"accuracy, {model}", f"{value:.1%} ({low:.1%} to {high:.1%}, n = {scores.get('n')})"))
            rows += _class_rows(model, scores) if len(card.labels) > 2 else []
    rows += [(f"version of {name}", version) for name, version in card.versions.items()]
    return rows


def _doubt_rows(card: Card) -> Rows:
    """Return what the file promises about its own doubt, in words."""
    doubt = card.doubt
    if doubt is None:
        return [("doubt", "none: the file was written before there was any")]
    rows: Rows = []
    if (sets := doubt.sets) is not None:
        rows.append(
            ("label sets", f"hold the true label in {sets.level:.0%} of images {sets.whose}; fitted on {sets.origin}")
        )
    if (told := doubt.familiarity) is not None:
        rows.append(
            (
                "familiarity",
                f"{told.level:.0%} of unseen images lie within {told.reach:.2f}; fitted on {told.images} images",
            )
        )
    return rows + [("left out", reason) for reason in doubt.left_out]


def _threshold(card: Card) -> str:
    return (
        f"none: the most probable of {len(card.labels)} classes" if card.threshold is None else f"{card.threshold:.4f}"
    )


def _class_rows(model: str, scores: dict[str, Any]) -> Rows:
    """Return what a model scored on each class; nothing where its card was written before classes were scored."""
    import msgspec

    from mstl_edge.metrics import ClassificationMetrics
    from mstl_edge_cli.scores import percent, share

    try:
        scored = msgspec.convert(scores, ClassificationMetrics)
    except msgspec.ValidationError:  # what the gate saw has no scores of classes
        return []
    told = [
        (
            f"{label}, {model}",
            f"recall {percent(one.recall)} %, precision {percent(one.precision)} %, AUC {share(one.auc)}",
        )
        for label, one in scored.classes.items()
    ]
    return [(f"macro-F1, {model}", share(scored.macro_f1)), *told] if told else []
