"""A study's tables: what decides, or all of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mstl_edge import bounded
from mstl_edge.counted import counted
from mstl_edge_cli.console import Meaning, print_table
from mstl_edge_cli.scores import CLASS_COLUMNS, NOTHING, class_cells, percent, share

if TYPE_CHECKING:
    from mstl_edge.schemas.study import ArmResult, Comparison, Cost, LearningCurve, Study

_COMPARISON = ("from", "to", "points", "verdict")
_MORE_OF_A_COMPARISON = ("p", "exact p by repeat", "images that would tell")
_DECIDING_OF_A_CLASS = ("arm", "scheme", "class", "recall %", "precision %", "as float32 %")


def print_study(study: Study, *, verbose: bool = False) -> None:
    """Print the arms, each class of more than two by itself, what each comparison came to, and the learning curve."""
    many = len(study.labels) > 2
    shape = f"{counted(study.n, 'image')}, {counted(study.folds or 0, 'fold')}, {counted(study.repeats or 1, 'repeat')}"
    print_table(
        f"{study.recipe}: {shape} (95 % intervals over folds)", _arm_columns(many=many, verbose=verbose),
        [_arm_row(arm, many=many, verbose=verbose) for arm in study.arms], repeated=2,
    )  # fmt: skip
    if many:
        _print_classes(study.arms, verbose=verbose)
    if study.costs.rows:
        _print_costs(study)
    told = f" ({study.multiplicity})" if study.multiplicity else ""
    shown = study.comparisons if verbose else _deciding(study)
    _print_comparisons(f"what each step did to accuracy, on the same images{told}", shown, verbose=verbose)
    if study.learning_curve.arms:
        _print_curve(study.learning_curve, many=many, verbose=verbose)


def _deciding(study: Study) -> list[Comparison]:
    """Return the comparisons that decide: of several networks each with the best in float32, and what int8 did to each."""
    from mstl_edge.schemas.study_choice import FLOAT, choose_network

    choice = choose_network(study)
    if choice is None:
        return list(study.comparisons)
    return [
        step
        for step in study.comparisons
        if step.of_int8 or step.primary or (choice.best.name in step.arms and step.schemes == (FLOAT, FLOAT))
    ]


def _print_costs(study: Study) -> None:
    """Print what each network costs, the smallest file first."""
    from mstl_edge.schemas.study_choice import file_of

    title = (
        f"\nwhat each file costs on {study.costs.host}, {study.costs.runtime}, {counted(study.costs.threads, 'thread')}"
    )
    columns = ("arm", "scheme", "parameters", "M MACs", "kB", "ms", "training s")
    trained = {arm.name: arm.training_seconds for arm in study.provenance.arms}
    names = dict.fromkeys(row.arm for row in study.costs.rows)
    files = sorted(filter(None, (file_of(study, name) for name in names)), key=lambda row: row.size_bytes)
    rows = [
        (
            row.arm, row.scheme, f"{row.parameters:,}", f"{row.macs / 1e6:,.0f}",
            f"{row.size_bytes / 1000:,.0f}", _milliseconds(row), _seconds(trained.get(row.arm)),
        )
        for row in files
    ]  # fmt: skip
    print_table(title, columns, rows, repeated=2)


def _milliseconds(row: Cost) -> str:
    return NOTHING if row.latency_ms is None else f"{'' if row.valid else '~'}{row.latency_ms.value:.3g}"


def _seconds(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.0f}"


def _print_curve(curve: LearningCurve, *, many: bool, verbose: bool) -> None:
    print_table(
        "\nlearning curve, float32, by the number of images to train and validate on",
        ("images", "arm", "accuracy %", "macro-F1" if many else "AUC"),
        [(arm.images, arm.name, percent(arm.accuracy), share(arm.macro_f1 if many else arm.auc)) for arm in curve.arms],
        repeated=2,
    )
    if verbose:
        columns = ("images", *_COMPARISON, *_MORE_OF_A_COMPARISON)
        rows = [[entry.images, *_comparison_row(entry, verbose=True)] for entry in curve.comparisons]
        title = "\nwhat each step did to accuracy, by the number of images"
        print_table(title, columns, rows, meanings=_meanings(curve.comparisons), repeated=3)


def _print_comparisons(title: str, comparisons: Sequence[Comparison], *, verbose: bool) -> None:
    columns = (*_COMPARISON, *(_MORE_OF_A_COMPARISON if verbose else ()))
    rows = [_comparison_row(entry, verbose=verbose) for entry in comparisons]
    print_table(f"\n{title}", columns, rows, meanings=_meanings(comparisons), repeated=2)


def _print_classes(arms: Sequence[ArmResult], *, verbose: bool) -> None:
    """Print each class by itself; with `verbose` of every arm and with every column, else what decides of float32 and int8."""
    title = "each class by itself, and where int8 answers as float32 does, by the class that float32 answers"
    columns = ("arm", "scheme", *CLASS_COLUMNS, "calibration error", "as float32 %")
    rows = [row for arm in arms for row in _class_rows(arm)]
    shown = range(len(columns)) if verbose else [columns.index(name) for name in _DECIDING_OF_A_CLASS]
    print_table(f"\n{title}", [columns[i] for i in shown], [[row[i] for i in shown] for row in rows], repeated=3)


def _arm_columns(*, many: bool, verbose: bool) -> tuple[str, ...]:
    beside = ("macro-F1",) if many else ("sensitivity %", "specificity %", "AUC") if verbose else ("AUC",)
    return ("arm", "scheme", "accuracy %", *beside, *(("calibration error",) if verbose else ()))


def _arm_row(arm: ArmResult, *, many: bool, verbose: bool) -> list[object]:
    of_two = [percent(arm.sensitivity), percent(arm.specificity)] if verbose else []
    beside = [share(arm.macro_f1)] if many else [*of_two, share(arm.auc)]
    calibration = [share(arm.calibration_error)] if verbose else []
    return [arm.name, arm.scheme, percent(arm.accuracy), *beside, *calibration]


def _class_rows(arm: ArmResult) -> list[list[object]]:
    alike = [percent(one.agreement) for one in arm.float_agreement] or [NOTHING] * len(arm.classes)
    return [
        [arm.name, arm.scheme, *class_cells(label, scores), share(scores.calibration_error), agreed]
        for (label, scores), agreed in zip(arm.classes.items(), alike, strict=True)
    ]


def _comparison_row(entry: Comparison, *, verbose: bool) -> list[object]:
    points = bounded.points(entry.difference, entry.low, entry.high, unit="")
    if not verbose:
        return [entry.a, entry.b, points, entry.verdict]
    exact = ", ".join(f"{one.p:.2g}" for one in entry.mcnemar)
    needed = entry.images_needed if entry.verdict == "cannot tell" else None
    if needed is not None and entry.n is not None and needed <= entry.n:
        needed = None  # so many are there: the folds differ more than the images alone explain
    return [entry.a, entry.b, points, _verdict(entry), NOTHING if entry.p is None else f"{entry.p:.2g}", exact, needed]


def _verdict(entry: Comparison) -> str:
    return entry.verdict if entry.verdict != "cannot tell" else f"cannot tell with n = {entry.n}"


def _meanings(comparisons: Sequence[Comparison]) -> dict[str, Meaning]:
    from mstl_edge_cli.endings.study import VERDICTS

    return VERDICTS | {_verdict(entry): VERDICTS[entry.verdict] for entry in comparisons if entry.verdict in VERDICTS}
