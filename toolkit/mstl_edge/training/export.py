"""A trained run → model files: the float twin, int8 candidates through the gate, and what was decided."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.errors import GateRefusedError
from mstl_edge.progress import SILENT, Reporter
from mstl_edge.runs import RunFolder, StageFolder
from mstl_edge.training import gate
from mstl_edge.training.candidates import (
    Candidate,
    Kind,
    build_mixed,
    build_post_training,
    build_quantization_aware,
    keras_answers,
)
from mstl_edge.training.convert import to_dynamic_flatbuffer, to_float16_flatbuffer, to_float_flatbuffer
from mstl_edge.training.fold import fold_batch_norm
from mstl_edge.training.graph import with_softmax
from mstl_edge.training.held_out import paired_test
from mstl_edge.training.pool import gather_beside, gather_pool
from mstl_edge.training.qat import answers, calibrated
from mstl_edge.training.seal import FloatScheme, Judged, Tree, drop_earlier, keep_candidate, seal_float, write_summary
from mstl_edge.training.trained import Trained, open_trained

_CONVERSIONS: dict[FloatScheme, Callable[[Any], bytes]] = {
    "float32": to_float_flatbuffer,
    "float16": to_float16_flatbuffer,
    "dynamic": to_dynamic_flatbuffer,
}


@dataclass(frozen=True)
class Int8Options:
    """What `--int8` may be told.

    Attributes:
        kinds: Candidates to build.
        max_drop: Largest drop in points of accuracy; None takes the recipe's.
        min_agreement: Smallest share of equal labels; None takes the recipe's.
        allow_float: Accept float operators, and try a candidate that keeps its worst layers in float.
    """

    kinds: tuple[Kind, ...] = ("ptq", "qat")
    max_drop: float | None = None
    min_agreement: float | None = None
    allow_float: bool = False


@dataclass(frozen=True)
class _Jury:
    """The images that judge, and the float twin's answers to them."""

    pool: gate.Pool
    float_answers: NDArray[np.float32]


def export_float(
    run: RunFolder, schemes: Sequence[FloatScheme], *, threads: int = 1, reporter: Reporter = SILENT
) -> Tree:
    """Write the named schemes of a run's last stage, the float32 twin always among them.

    Returns:
        The tree of `export.json`.

    Raises:
        RunError: The run is not finished.
    """
    trained = open_trained(run, reporter)
    folded = fold_batch_norm(_with_softmax(trained))
    twin = to_float_flatbuffer(folded)
    jury = None
    if any(scheme != "float32" for scheme in schemes):
        jury = _gather_jury(trained, twin, trained.recipe.quantize.agreement_images, threads, reporter)
    rows = _float_files(trained, folded, twin, schemes, jury, threads)
    row = next(row for row in rows if row["scheme"] == schemes[0])
    row["chosen"] = True
    return write_summary(run, row["path"], row["scheme"], rows, {})


def export_int8(
    run: RunFolder,
    options: Int8Options,
    *,
    beside: Sequence[FloatScheme] = (),
    threads: int = 1,
    reporter: Reporter = SILENT,
) -> Tree:
    """Build int8 candidates, judge them, and write the chosen one beside its float32 twin.

    Args:
        run: The run.
        options: Candidates and bounds.
        beside: Float schemes to write as well.
        threads: Threads of the engine.
        reporter: Told of progress.

    Returns:
        The tree of `export.json`.

    Raises:
        RunError: The run is not finished.
        GateRefusedError: No candidate passed; they are kept under `.rejected` names, and `export.json` says why.
    """
    trained = open_trained(run, reporter)
    spec = trained.recipe.quantize
    bounds = gate.Bounds(
        spec.max_drop if options.max_drop is None else options.max_drop,
        spec.min_agreement if options.min_agreement is None else options.min_agreement,
        spec.agreement_images,
    )
    model = _with_softmax(trained)
    folded = fold_batch_norm(model)
    reporter.say("converting the float32 twin")
    twin = to_float_flatbuffer(folded)
    jury = _gather_jury(trained, twin, bounds.agreement_images, threads, reporter)
    float_keras = keras_answers(model, jury.pool.pixels[: gate.CONVERSION_IMAGES])
    warnings = _calibration_warnings(trained, reporter)
    judged = []
    for candidate in _candidates(trained, folded, twin, options.kinds, threads, reporter):
        reporter.say(f"judging the {candidate.kind} candidate")
        given = _answers(candidate, float_keras, jury, threads)
        report = gate.judge(
            given,
            jury.pool,
            candidate.flatbuffer,
            bounds,
            positive=trained.positive,
            threshold=trained.entry.threshold,
            allow_float=options.allow_float,
        )
        judged.append(Judged(candidate, report))
    rows = _float_files(trained, folded, twin, beside, jury, threads)
    details = {"float_flatbuffer_bytes": len(twin), "calibration_warnings": warnings}
    return _conclude(trained, twin, judged, rows, details)


def _with_softmax(trained: Trained) -> Any:
    return with_softmax(trained.model, trained.entry.temperature)


def _gather_jury(trained: Trained, twin: bytes, wanted: int, threads: int, reporter: Reporter) -> _Jury:
    pool = gather_pool(trained, wanted, reporter)
    return _Jury(pool, answers(twin, pool.pixels, threads=threads))


def _float_files(
    trained: Trained, folded: Any, twin: bytes, schemes: Sequence[FloatScheme], jury: _Jury | None, threads: int
) -> list[Tree]:
    """Write the float32 twin and the other float schemes, and return their rows."""
    rows = [seal_float(trained, "float32", twin)]
    for scheme in dict.fromkeys(schemes):
        if scheme != "float32" and jury is not None:
            flatbuffer = _CONVERSIONS[scheme](folded)
            given = answers(flatbuffer, jury.pool.pixels, threads=threads)
            accuracy, agreement = gate.compare(
                jury.float_answers,
                given,
                jury.pool,
                positive=trained.positive,
                threshold=trained.entry.threshold,
            )
            rows.append(seal_float(trained, scheme, flatbuffer, accuracy, agreement))
    return rows


def _calibration_warnings(trained: Trained, reporter: Reporter) -> list[str]:
    pixels, classes, keys = trained.calibration(trained.recipe.quantize.calibration_images)
    judged_keys = {*trained.data.part("validation")[0].keys, *trained.data.part("test")[0].keys}
    warnings = gate.calibration_warnings(pixels, classes, keys, judged_keys)
    for warning in warnings:
        reporter.say(f"calibration: {warning}")
    return warnings


def _candidates(
    trained: Trained, folded: Any, twin: bytes, kinds: Sequence[Kind], threads: int, reporter: Reporter
) -> Iterator[Candidate]:
    """Yield the candidates; each must be judged before the next is asked for, since fine-tuning goes on in the same network."""
    pixels = trained.calibration(trained.recipe.quantize.calibration_images)[0]
    reporter.say("calibrating")
    quantized = calibrated(folded, pixels, gather_beside(trained))
    order: tuple[Kind, ...] = ("ptq", "mixed", "qat")
    for kind in order:
        if kind not in kinds:
            continue
        reporter.say(f"building the {kind} candidate")
        if kind == "ptq":
            yield build_post_training(quantized)
        elif kind == "mixed":
            yield build_mixed(folded, quantized, pixels)
        else:
            folder = StageFolder(trained.run.path / "stages" / "quantize")
            yield build_quantization_aware(trained, quantized, twin, folder, threads=threads, reporter=reporter)


def _answers(candidate: Candidate, float_keras: NDArray[np.float32], jury: _Jury, threads: int) -> gate.Answers:
    pixels = jury.pool.pixels
    fake_quant = None
    if candidate.fake_quant is not None:
        fake_quant = keras_answers(candidate.fake_quant, pixels[: gate.CONVERSION_IMAGES])
    return gate.Answers(
        float_keras, jury.float_answers, answers(candidate.flatbuffer, pixels, threads=threads), fake_quant
    )


def choose(judged: Sequence[Judged]) -> Judged | None:
    """Return the candidate to ship: quantization-aware, unless another is more accurate on validation; None if all were refused."""
    preference = ("qat", "ptq", "mixed")
    return max(
        (entry for entry in judged if not entry.refused),
        key=lambda entry: (entry.report.accuracy["int8"].value, -preference.index(entry.candidate.kind)),
        default=None,
    )


def _conclude(trained: Trained, twin: bytes, judged: list[Judged], rows: list[Tree], details: Tree) -> Tree:
    """Write every candidate under the name its verdict allows, score the test split for the chosen one, and sum up."""
    run, chosen = trained.run, choose(judged)
    test = paired_test(trained, twin, chosen.candidate.flatbuffer) if chosen else {}
    rows = [*rows, *(keep_candidate(trained, entry, chosen, test) for entry in judged)]
    drop_earlier(run, {row["path"] for row in rows})
    if chosen is not None:
        told = {"test": test, **details, "verdict": chosen.report.verdict, "reasons": list(chosen.report.reasons)}
        row = next(row for row in rows if row["chosen"])
        return write_summary(run, row["path"], row["scheme"], rows, told)
    reasons = [f"{entry.candidate.kind}: {reason}" for entry in judged for reason in entry.report.reasons]
    tree = write_summary(run, None, None, rows, {**details, "verdict": "refused", "reasons": reasons})
    raise GateRefusedError(
        "an int8 model that keeps the float model's answers",
        received="; ".join(f"{entry.candidate.kind}: {entry.report.reasons[0]}" for entry in judged),
        hint=f"See {run.path / rows[-1]['path']}.json, or set other bounds by --max-drop and --min-agreement.",
        tree=tree,
    )
