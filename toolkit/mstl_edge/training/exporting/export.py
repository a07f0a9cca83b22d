"""A trained run → model files: the float twin, int8 candidates through the gate, and what was decided."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from mstl_edge.artifact import inspect_flatbuffer
from mstl_edge.artifact.feature_output import with_feature_output
from mstl_edge.folders import replacing_folder
from mstl_edge.metrics import conformal
from mstl_edge.progress import SILENT, Reporter
from mstl_edge.runs import RunFolder, StageFolder
from mstl_edge.schemas.export import Export, ExportedFile
from mstl_edge.training.asking import answers
from mstl_edge.training.convert import to_dynamic_flatbuffer, to_float16_flatbuffer, to_float_flatbuffer
from mstl_edge.training.exporting.outcome import accepted, choose, keep_refused, refusal, summary_of, summed_up
from mstl_edge.training.exporting.seal import SUMMARY, FloatScheme, Judged, drop_earlier, keep_candidate, seal_float
from mstl_edge.training.fitting.workshop import Workshop
from mstl_edge.training.judging import evidence, gate
from mstl_edge.training.judging.held_out import paired_test
from mstl_edge.training.judging.jury import Jury, gather_jury
from mstl_edge.training.network.classifier import with_softmax
from mstl_edge.training.network.graph import Graph
from mstl_edge.training.network.passes.absorb import absorb_batch_norm
from mstl_edge.training.quantize.candidates import Candidate, FloatTwin, Kind, build_candidates, keras_answers
from mstl_edge.training.quantize.lessons import calibration_warnings
from mstl_edge.training.trained import Trained, open_trained
from mstl_edge.training.unseen.cross_fit import CrossFitted, cross_fit
from mstl_edge.training.unseen.doubt import fit_doubt

_CONVERSIONS: dict[FloatScheme, Callable[[Graph], bytes]] = {
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
        cross_fit: Parts to judge the procedure on, 0 for none; None takes the recipe's where validation images are few.
        allow_float: Accept float operators, and try a candidate that keeps its worst layers in float.
        single_output: Leave the feature map out, for programs that take one output.
        coverage: Share of images whose set of labels is promised to hold the true one.
    """

    kinds: tuple[Kind, ...] = ("ptq", "qat")
    max_drop: float | None = None
    min_agreement: float | None = None
    cross_fit: int | None = None
    allow_float: bool = False
    single_output: bool = False
    coverage: float = conformal.LEVEL


@dataclass(frozen=True)
class _Network:
    """The float network in the forms that an export needs: as trained, and what files are made of.

    `single_output`: no file made of it puts its feature map out.
    """

    whole: Graph
    twin: FloatTwin
    single_output: bool


def export_float(
    run: RunFolder,
    schemes: Sequence[FloatScheme],
    *,
    single_output: bool = False,
    coverage: float = conformal.LEVEL,
    threads: int = 1,
    reporter: Reporter = SILENT,
) -> Export:
    """Write the named schemes of a run's last stage, the float32 twin always among them.

    What an int8 export left beside them stays, and stays the chosen model.

    Raises:
        RunError: The run is not finished.
    """
    before = accepted(run)
    trained = open_trained(run, reporter)
    network = _network(trained, single_output=single_output)
    jury = None
    if any(scheme != "float32" for scheme in schemes):
        jury = gather_jury(trained, network.twin.flatbuffer, threads, reporter)
    doubted = fit_doubt(network.twin.flatbuffer, trained, (), level=coverage, threads=threads)
    with replacing_folder(run.exports) as exports:
        rows = [seal_float(trained, exports, "float32", network.twin.flatbuffer, doubted=doubted)]
        rows += _other_floats(trained, exports, network, schemes, jury, threads)
        if before is None:
            row = next(row for row in rows if row.scheme == schemes[0])
            rows = [msgspec.structs.replace(other, chosen=other is row) for other in rows]
            record = Export(float_model=rows[0].path, model=row.path, chosen=row.scheme, candidates=tuple(rows))
        else:
            new = {row.scheme: row for row in rows}
            kept = tuple(row for row in before.candidates if row.scheme not in new)
            record = msgspec.structs.replace(before, candidates=(*rows, *kept))
        return summed_up(exports / SUMMARY, record)


def export_int8(
    run: RunFolder,
    options: Int8Options,
    *,
    beside: Sequence[FloatScheme] = (),
    threads: int = 1,
    reporter: Reporter = SILENT,
) -> Export:
    """Build int8 candidates, judge them, and write the chosen one beside its float32 twin.

    Args:
        run: The run.
        options: Candidates and bounds.
        beside: Float schemes to write as well.
        threads: Threads of the engine.
        reporter: Told of progress.

    Raises:
        RunError: The run is not finished.
        GateRefusedError: No candidate passed. They are kept under `.rejected` names; an int8 file that an earlier export left
            stays with its `export.json`, and `export.rejected.json` says why, else `export.json` does.
    """
    before = accepted(run)
    trained = open_trained(run, reporter)
    reporter.say("converting the float32 twin")
    network = _network(trained, single_output=options.single_output)
    jury = gather_jury(trained, network.twin.flatbuffer, threads, reporter)
    warnings = _calibration_warnings(trained, reporter)
    answered = list(_answered(trained, network, jury, options, threads, reporter))
    crossed = _cross_fitted(trained, jury, options, threads, reporter)
    judged = [_judged(trained, candidate, given, jury, crossed, options) for candidate, given in answered]
    told = Export(
        candidates=(), float_flatbuffer_bytes=len(network.twin.flatbuffer), calibration_warnings=tuple(warnings),
    )  # fmt: skip
    chosen = choose(judged)
    reporter.say("fitting what the files say of their own doubt")
    shipped = {"float32": network.twin.flatbuffer} | (
        {chosen.candidate.kind: chosen.candidate.flatbuffer} if chosen else {}
    )
    doubts = {
        scheme: fit_doubt(flatbuffer, trained, crossed.unseen.get(scheme, ()), level=options.coverage, threads=threads)
        for scheme, flatbuffer in shipped.items()
    }
    with replacing_folder(run.exports) as exports:
        if chosen is None and before is not None:
            keep_refused(trained, exports, judged, told, before)
        else:
            drop_earlier(exports)
            test = (
                paired_test(trained, exports, network.twin.flatbuffer, chosen.candidate.flatbuffer) if chosen else None
            )
            floats = [seal_float(trained, exports, "float32", network.twin.flatbuffer, doubted=doubts["float32"])]
            floats += _other_floats(trained, exports, network, beside, jury, threads)
            kept = [
                keep_candidate(trained, exports, entry, chosen, test, doubts.get(entry.candidate.kind))
                for entry in judged
            ]
            record = summary_of(told, [*floats, *kept], judged, chosen)
            record = summed_up(exports / SUMMARY, msgspec.structs.replace(record, test=test))
    if chosen is None:
        raise refusal(run, judged, before)
    return record


def _network(trained: Trained, *, single_output: bool) -> _Network:
    whole = with_softmax(trained.network, trained.entry.temperature)
    absorbed = absorb_batch_norm(whole)
    flatbuffer = _ended(to_float_flatbuffer(absorbed), single_output=single_output)
    return _Network(whole, FloatTwin(absorbed, flatbuffer), single_output)


def _ended(flatbuffer: bytes, *, single_output: bool) -> bytes:
    return flatbuffer if single_output else with_feature_output(flatbuffer)


def _other_floats(
    trained: Trained,
    exports: Path,
    network: _Network,
    schemes: Sequence[FloatScheme],
    jury: Jury | None,
    threads: int,
) -> list[ExportedFile]:
    """Write the float schemes beside the float32 twin."""
    rows = []
    for scheme in dict.fromkeys(schemes):
        if scheme != "float32" and jury is not None:
            flatbuffer = _ended(_CONVERSIONS[scheme](network.twin.absorbed), single_output=network.single_output)
            given = answers(flatbuffer, jury.own.flat, threads=threads)
            rows.append(seal_float(trained, exports, scheme, flatbuffer, jury.compare(given, trained)))
    return rows


def _calibration_warnings(trained: Trained, reporter: Reporter) -> list[str]:
    pixels, classes, keys = trained.calibration(trained.recipe.quantize.calibration_images)
    judged_keys = {*trained.data.part("validation")[0].keys, *trained.data.part("test")[0].keys}
    warnings = calibration_warnings(pixels, classes, keys, judged_keys)
    for warning in warnings:
        reporter.say(f"calibration: {warning}")
    return warnings


def _answered(
    trained: Trained, network: _Network, jury: Jury, options: Int8Options, threads: int, reporter: Reporter
) -> Iterator[tuple[Candidate, tuple[gate.Answers, list[evidence.Paired]]]]:
    """Yield each candidate with its answers to the jury's images."""
    few = jury.own.flat[: gate.CONVERSION_IMAGES]
    float_keras = keras_answers(network.whole, few)
    workshop = Workshop(StageFolder(trained.run.path / "stages" / "quantize"), threads, reporter)
    for built in build_candidates(trained, network.twin, options.kinds, workshop):
        candidate = replace(built, flatbuffer=_ended(built.flatbuffer, single_output=network.single_output))
        reporter.say(f"asking the {candidate.kind} candidate")
        rows = [answers(candidate.flatbuffer, panel.flat, threads=threads) for panel in jury.panels]
        fake_quant = None if candidate.fake_quant is None else keras_answers(candidate.fake_quant, few)
        given = gate.Answers(float_keras, jury.float_answers[0], rows[0], fake_quant)
        yield candidate, (given, jury.paired(rows, trained))


def _cross_fitted(trained: Trained, jury: Jury, options: Int8Options, threads: int, reporter: Reporter) -> CrossFitted:
    parts = parts_wanted(trained, jury, options)
    if parts < 2:
        return CrossFitted({})
    found = cross_fit(trained, options.kinds, parts, threads=threads, reporter=reporter)
    if found.left_out:
        reporter.say(f"cross-fitting was left out: {found.left_out}")
    return found


def parts_wanted(trained: Trained, jury: Jury, options: Int8Options) -> int:
    """Return the parts to judge the procedure on: as asked for, else the recipe's where too few images were kept from training."""
    if options.cross_fit is not None:
        return options.cross_fit
    return 0 if jury.carrying >= gate.ENOUGH_TO_PROVE else trained.recipe.quantize.cross_fit


def _judged(
    trained: Trained,
    candidate: Candidate,
    given: tuple[gate.Answers, list[evidence.Paired]],
    jury: Jury,
    crossed: CrossFitted,
    options: Int8Options,
) -> Judged:
    file_answers, paired = given
    procedure = crossed.evidence.get(candidate.kind)
    spec = trained.recipe.quantize
    bounds = gate.Bounds(
        spec.max_drop if options.max_drop is None else options.max_drop,
        spec.min_agreement if options.min_agreement is None else options.min_agreement,
        spec.weight_bits,
    )
    report = gate.judge(
        file_answers,
        [paired[0], *([procedure] if procedure else []), *paired[1:]],
        inspect_flatbuffer(candidate.flatbuffer),
        bounds,
        decision=trained.entry,
        allow_float=options.allow_float,
    )
    return Judged(candidate, report)
