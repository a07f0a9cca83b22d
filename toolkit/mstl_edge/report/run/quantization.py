"""What the export gate saw: every candidate, the images that judged it by origin, layers skipped, the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mstl_edge.metrics import Agreement
from mstl_edge.report.answers.class_tables import CLASS_INTERVALS, agreement_table, class_table
from mstl_edge.report.html import wording
from mstl_edge.report.html.blocks import Section, Table
from mstl_edge.report.html.markup import Child, Markup, join, tag
from mstl_edge.schemas.export import Export, ExportedFile, Origin, PairedTest


def gate_sentence(export: Export) -> str:
    """Return what quantization cost and the gate's verdict, for the top of the page; nothing where no int8 file was asked for."""
    if export.refused:
        refusals = "; ".join(
            f"{row.scheme}: {', '.join(row.gate.reasons)}" for row in export.candidates if row.gate is not None
        )
        return wording.minus(f"The export gate refused every int8 candidate, and none was exported. {refusals}.")
    pair = export.test
    if pair is None:
        return ""
    alike = round(pair.agreement.agreement.value * pair.agreement.n)
    drop = wording.points_interval(pair.drop.value, pair.drop.low, pair.drop.high)
    return wording.minus(
        f"Did int8 hurt? Float32 and int8 label {alike} of {pair.agreement.n} test images alike. Quantization costs {drop} points "
        f"of accuracy (a negative cost is a gain; exact McNemar p = {wording.p_value(pair.mcnemar.p)}). "
        f"The export gate's verdict: {'; '.join([export.verdict + _promised(export), *export.reasons])}."
    )


def _promised(export: Export) -> str:
    return f": {export.gate.promise}" if export.gate is not None and export.gate.promise else ""


def quantization_section(export: Export, validated: int, labels: Sequence[str]) -> Section:
    """Return the candidates, refused ones included.

    Args:
        export: `export.json`.
        validated: Number of validation images.
        labels: The classes in the order of the outputs.
    """
    judged = [row for row in export.candidates if row.gate is not None]
    blocks: list[Table | Markup] = [_candidates_table(export, validated)]
    reasons = [
        tag("li", wording.minus(f"{row.scheme}, {row.gate.verdict}: {'; '.join(row.gate.reasons)}."))
        for row in judged
        if row.gate and row.gate.reasons
    ]
    if reasons:
        blocks.append(tag("ul", reasons))
    if judged:
        origins = _origins_table(judged)
        by_class = agreement_table([(row.scheme, row.gate.agreement) for row in judged if row.gate], labels)
        tables = [*([origins] if origins else []), _agreement_table(judged), *([by_class] if by_class else [])]
        blocks += [*tables, *_skipped(judged)]
    if export.test is not None:
        blocks.append(_test_table(export.test))
        if len(labels) > 2:
            blocks += _test_classes(export.test)
    blocks += [tag("p", wording.minus(f"Calibration: {warning}.")) for warning in export.calibration_warnings]
    return Section("Quantization", tuple(blocks))


def _candidates_table(export: Export, validated: int) -> Table:
    head = (
        "Candidate", "Verdict", "Size, MB", "Accuracy, float32, %", "Accuracy, int8, %", "Cost, points", "p, exact McNemar",
    )  # fmt: skip
    chosen = frozenset(number for number, row in enumerate(export.candidates) if row.scheme == export.chosen)
    what = "the chosen one is bold" if chosen else "the gate refused all of them"
    caption = (
        f"Exported candidates; {what}. Accuracy on n = {validated} validation images, its cost on all that carry the verdict, "
        "with 95 % intervals; a negative cost is a gain. Below p: images that only float32 : only int8 gets right."
    )
    return Table(
        head,
        tuple(_candidate_row(row) for row in export.candidates),
        caption,
        words=frozenset((0, 1)),
        marked=chosen,
    )


def _candidate_row(row: ExportedFile) -> tuple[Child, ...]:
    size, none = wording.megabytes(row.size_bytes), wording.NOT_MEASURED
    if row.gate is None:
        return (row.scheme, none, size, wording.percent_cell(row.accuracy), none, none, none)
    gate = row.gate
    split = tag("small", f"{gate.mcnemar.a_only} : {gate.mcnemar.b_only}")
    return (
        row.scheme,
        gate.verdict,
        size,
        wording.percent_cell(gate.accuracy.get("float")),
        wording.percent_cell(gate.accuracy.get("int8", row.accuracy)),
        wording.points_cell(gate.drop.value, gate.drop.low, gate.drop.high),
        join(wording.p_value(gate.mcnemar.p), tag("br"), split),
    )


def _origins_table(judged: list[ExportedFile]) -> Table | None:
    """Return what each candidate's answers were judged on, by origin; None where an older export tells no agreement of any."""
    rows = [
        (row.scheme, origin)
        for row in judged
        if row.gate
        for origin in row.gate.origins
        if origin.agreement is not None
    ]
    if not rows:
        return None
    caption = (
        "int8 against float32, by origin of the images. Verdicts rest on images of the kind that the model is for, none of which "
        "was learned from; others are told apart. Of images answered by others made like it, each was answered by a file that was "
        "trained and quantized without it. All views of an image count as one image in the 95 % intervals."
    )
    head = ("Candidate", "Images", "Answered by", "n", "Views", "Same label, %", "Cost, points", "Counts")
    return Table(
        head, tuple(_origin_row(*row) for row in rows), caption, words=frozenset((0, 1, 2, 7)), long=frozenset((1, 2))
    )


def _origin_row(scheme: str, origin: Origin) -> tuple[Child, ...]:
    drop, agreement = origin.drop, origin.agreement
    return (
        scheme,
        origin.origin,
        "the file" if origin.judged == "file" else "others made like it",
        f"{origin.images:,}",
        str(origin.views),
        wording.percent_cell(agreement.agreement if agreement else None),
        wording.points_cell(drop.value, drop.low, drop.high) if drop else wording.NOT_MEASURED,
        "yes" if origin.carries else "no",
    )


def _agreement_table(judged: list[ExportedFile]) -> Table:
    caption = (
        "Models compared: share of equal labels, and how far probabilities are apart over all classes. Fake quantization against "
        "int8, and Keras against float32, expose a broken conversion."
    )
    head = ("Candidate", "Compared", "Same label, %", "n", "Largest difference in p", "Mean difference in p")
    rows = tuple(_agreement_row(*entry) for entry in _agreements(judged))
    return Table(head, rows, caption, words=frozenset((0, 1)), long=frozenset((1,)))


def _agreements(judged: list[ExportedFile]) -> Iterator[tuple[str, str, Agreement]]:
    """Yield every comparison; that of the float32 twin once, where all candidates share it."""
    converted = [row.gate.float_conversion for row in judged if row.gate]
    shared = len(set(map(repr, converted))) == 1
    if shared and converted[0] is not None:
        yield "float32", "Keras → float32 file", converted[0]
    for row in judged:
        if row.gate is None:
            continue
        yield row.scheme, "float32 file → int8 file", row.gate.agreement
        if row.gate.int8_conversion is not None:
            yield row.scheme, "fake quantization → int8 file", row.gate.int8_conversion
        if not shared and row.gate.float_conversion is not None:
            yield row.scheme, "Keras → float32 file", row.gate.float_conversion


def _agreement_row(scheme: str, compared: str, found: Agreement) -> tuple[Child, ...]:
    apart = (wording.difference(found.largest_difference), wording.difference(found.mean_difference))
    return (scheme, compared, wording.percent_cell(found.agreement), f"{found.n:,}", *apart)


def _skipped(judged: list[ExportedFile]) -> Iterator[Table | Markup]:
    """Yield the layers that no quantizer was put on, by kind and reason, and those that a candidate keeps in float."""
    groups: dict[tuple[str, str], dict[str, list[str]]] = {}
    for row in judged:
        for layer in row.notes.skipped:
            groups.setdefault((layer.kind, layer.reason), {}).setdefault(row.scheme, []).append(layer.layer)
    rows: list[tuple[Child, ...]] = []
    for (kind, reason), by_scheme in groups.items():
        named: dict[str, list[str]] = {}
        for scheme, layers in by_scheme.items():
            named.setdefault(", ".join(layers), []).append(scheme)
        rows += [(kind, layers, reason, ", ".join(schemes)) for layers, schemes in named.items()]
    if rows:
        caption = "Layers without a quantizer of their own, and why they need none."
        yield Table(
            ("Kind", "Layers", "Reason", "Candidates"),
            tuple(rows),
            caption,
            words=frozenset(range(4)),
            long=frozenset((1, 2)),
        )
    for row in judged:
        if row.notes.kept_in_float:
            errors = row.notes.layer_errors
            kept = [f"{name} ({errors[name]:.2f})" if name in errors else name for name in row.notes.kept_in_float]
            yield tag(
                "p",
                f"{row.scheme} keeps its worst layers in float: {', '.join(kept)}. In brackets: error in steps of the output's "
                "scale; rounding alone is 0.29.",
            )


def _test_table(test: PairedTest) -> Table:
    many = len(test.int8.confusion) > 2
    rows = tuple(
        (
            name,
            wording.percent_cell(scores.accuracy),
            *(
                [wording.share_cell(scores.macro_f1)]
                if many
                else [
                    wording.percent_cell(scores.sensitivity),
                    wording.percent_cell(scores.specificity),
                    wording.share_cell(scores.auc),
                ]
            ),
        )
        for name, scores in (("float32", test.float32), ("int8", test.int8))
    )
    caption = (
        f"The float32 and the chosen int8 file on the same n = {test.int8.n} test images, in the runtime that a device uses, "
        f"scored once. Right in float32 only: {test.mcnemar.a_only}; right in int8 only: {test.mcnemar.b_only}; exact McNemar "
        f"p = {wording.p_value(test.mcnemar.p)}."
    )
    beside = ("Macro-F1",) if many else ("Sensitivity, %", "Specificity, %", "AUC")
    return Table(("File", "Accuracy, %", *beside), rows, caption)


def _test_classes(test: PairedTest) -> list[Table]:
    """Return each class of both files by itself."""
    named = (("float32", test.float32.classes, ()), ("int8", test.int8.classes, test.agreement.by_class))
    found = class_table("File", named, f"Each class by itself on the n = {test.int8.n} test images, {CLASS_INTERVALS}")
    return [] if found is None else [found]
