"""A trained run → model files: the float twin, int8 candidates through the gate, and what was decided."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import msgspec

from mstl_edge.artifact import Card, Hashes, inspect_flatbuffer
from mstl_edge.artifact.card import input_contract
from mstl_edge.errors import GateRefusedError
from mstl_edge.progress import SILENT, Reporter
from mstl_edge.recipe import to_tree
from mstl_edge.runs import RunFolder, StageFolder
from mstl_edge.storage import write_bytes, write_text
from mstl_edge.training import gate
from mstl_edge.training._keras import versions
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
from mstl_edge.training.held_out import paired_test, score_test
from mstl_edge.training.pool import gather_beside, gather_pool
from mstl_edge.training.qat import answers
from mstl_edge.training.seal import seal
from mstl_edge.training.trained import Trained, file_hash, open_trained

EXPORT_SCHEMA = "mstl-edge/export/1"
FloatScheme = Literal["float32", "float16", "dynamic"]

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
class Judged:
    """A candidate with what the gate said of it."""

    candidate: Candidate
    report: gate.GateReport


def export_float(run: RunFolder, schemes: Sequence[FloatScheme], *, reporter: Reporter = SILENT) -> dict[str, Any]:
    """Write the named schemes of a run's last stage, the float32 twin always among them.

    Returns:
        The tree of `export.json`.

    Raises:
        RunError: The run is not finished.
    """
    trained = open_trained(run, reporter)
    folded = _folded(trained)
    written = {}
    for scheme in dict.fromkeys(("float32", *schemes)):
        flatbuffer = _CONVERSIONS[scheme](folded)
        path = run.exports / f"{trained.recipe.name}-{scheme}.tflite"
        test = trained.entry["test"] if scheme == "float32" else score_test(trained, flatbuffer)
        verdict = "float" if scheme == "float32" else "unchecked"
        seal(path, flatbuffer, _card(trained, flatbuffer, scheme, verdict, {str(scheme): test}))
        written[scheme] = path
    chosen = schemes[0]
    candidates = [
        {
            "scheme": scheme,
            "accuracy": trained.entry["validation"]["accuracy"] if scheme == "float32" else None,
            "agreement": None,
            "size_bytes": path.stat().st_size,
            "path": _relative(run, path),
        }
        for scheme, path in written.items()
    ]
    return _write_summary(run, written[chosen], written["float32"], chosen, candidates, {})


def export_int8(
    run: RunFolder, options: Int8Options, *, threads: int = 1, reporter: Reporter = SILENT
) -> dict[str, Any]:
    """Build int8 candidates, judge them, and write the chosen one beside its float32 twin.

    Returns:
        The tree of `export.json`.

    Raises:
        RunError: The run is not finished.
        GateRefusedError: No candidate passed; they are kept under `.rejected` names.
    """
    trained = open_trained(run, reporter)
    spec = trained.recipe.quantize
    bounds = gate.Bounds(
        spec.max_drop if options.max_drop is None else options.max_drop,
        spec.min_agreement if options.min_agreement is None else options.min_agreement,
        spec.agreement_images,
    )
    folded = _folded(trained)
    reporter.say("converting the float32 twin")
    float_flatbuffer = to_float_flatbuffer(folded)
    pixels, classes, keys = trained.calibration(spec.calibration_images)
    judged_keys = {*trained.data.part("validation")[0].keys, *trained.data.part("test")[0].keys}
    warnings = gate.calibration_warnings(pixels, classes, keys, judged_keys)
    for warning in warnings:
        reporter.say(f"calibration: {warning}")
    pool = gather_pool(trained, bounds.agreement_images, reporter)
    float_answers = (keras_answers(folded, pool.pixels), answers(float_flatbuffer, pool.pixels, threads=threads))
    judged: list[Judged] = []
    for kind in options.kinds:
        reporter.say(f"building the {kind} candidate")
        start = next((entry.candidate for entry in judged if entry.candidate.kind == "ptq"), None)
        candidate = _build(kind, trained, folded, pixels, start, threads, reporter)
        judged.append(Judged(candidate, _judge(candidate, float_answers, pool, bounds, trained, options, threads)))
    return _conclude(trained, float_flatbuffer, judged, warnings, options)


def _folded(trained: Trained) -> Any:
    return fold_batch_norm(with_softmax(trained.model, trained.entry["temperature"]))


def _build(
    kind: Kind,
    trained: Trained,
    folded: Any,
    pixels: Any,
    start: Candidate | None,
    threads: int,
    reporter: Reporter,
) -> Candidate:
    if kind == "qat":
        folder = StageFolder(trained.run.path / "stages" / "quantize")
        return build_quantization_aware(
            trained, folded, pixels, folder, threads=threads, reporter=reporter, start=start
        )
    if kind == "ptq":
        return build_post_training(folded, pixels, gather_beside(trained))
    return build_mixed(folded, pixels, gather_beside(trained))


def _judge(
    candidate: Candidate,
    float_answers: tuple[Any, Any],
    pool: gate.Pool,
    bounds: gate.Bounds,
    trained: Trained,
    options: Int8Options,
    threads: int,
) -> gate.GateReport:
    fake_quant = keras_answers(candidate.fake_quant, pool.pixels) if candidate.fake_quant is not None else None
    given = gate.Answers(*float_answers, answers(candidate.flatbuffer, pool.pixels, threads=threads), fake_quant)
    return gate.judge(
        given,
        pool,
        candidate.flatbuffer,
        bounds,
        positive=trained.positive,
        threshold=trained.entry["threshold"],
        allow_float=options.allow_float,
    )


def choose(judged: Sequence[Judged]) -> Judged | None:
    """Return the candidate to ship: quantization-aware, unless another is more accurate on validation; None if all were refused."""
    passed = [entry for entry in judged if entry.report.verdict != "refused"]
    preference = ("qat", "ptq", "mixed")
    return max(
        passed,
        key=lambda entry: (entry.report.accuracy["int8"].value, -preference.index(entry.candidate.kind)),
        default=None,
    )


def _conclude(
    trained: Trained, float_flatbuffer: bytes, judged: list[Judged], warnings: list[str], options: Int8Options
) -> dict[str, Any]:
    run, name = trained.run, trained.recipe.name
    float_path = run.exports / f"{name}-float32.tflite"
    seal(
        float_path,
        float_flatbuffer,
        _card(trained, float_flatbuffer, "float32", "float", {"float32": trained.entry["test"]}),
    )
    chosen = choose(judged)
    if chosen is None:
        _reject(trained, judged)
    test = paired_test(trained, float_flatbuffer, chosen.candidate.flatbuffer)
    rows = [{**_float_row(trained, float_path), "flatbuffer_bytes": len(float_flatbuffer)}]
    for entry in judged:
        path = _write_candidate(trained, entry, chosen, test)
        rows.append(_row(run, entry, path, entry is chosen))
    int8_path = run.exports / f"{name}-int8.tflite"
    details = {
        "test": test,
        "float_flatbuffer_bytes": len(float_flatbuffer),
        "calibration_warnings": warnings,
        "verdict": chosen.report.verdict,
        "reasons": list(chosen.report.reasons),
    }
    return _write_summary(run, int8_path, float_path, f"int8-{chosen.candidate.kind}", rows, details)


def _write_candidate(trained: Trained, entry: Judged, chosen: Judged, test: dict[str, Any]) -> Path:
    run, candidate = trained.run, entry.candidate
    metrics = {"validation": gate.report_tree(entry.report), "notes": candidate.notes}
    if entry is chosen:
        path = run.exports / f"{trained.recipe.name}-int8.tflite"
        metrics |= {"float32": test["float32"], "int8": test["int8"]}
    else:
        path = run.exports / "candidates" / f"{trained.recipe.name}-int8-{candidate.kind}.tflite"
    verdict = "unchecked" if entry.report.verdict == "refused" else entry.report.verdict
    seal(path, candidate.flatbuffer, _card(trained, candidate.flatbuffer, "int8", verdict, metrics))
    return path


def _reject(trained: Trained, judged: list[Judged]) -> NoReturn:
    """Keep every candidate with its report under a name that nothing loads by accident, and refuse."""
    folder = trained.run.exports
    for entry in judged:
        path = folder / f"{trained.recipe.name}-int8-{entry.candidate.kind}.tflite.rejected"
        write_bytes(path, entry.candidate.flatbuffer)
        report = {**gate.report_tree(entry.report), "notes": entry.candidate.notes}
        write_text(path.with_name(path.name + ".json"), json.dumps(report, indent=2) + "\n")
    first = judged[0]
    raise GateRefusedError(
        "an int8 model that keeps the float model's answers",
        received="; ".join(f"{entry.candidate.kind}: {entry.report.reasons[0]}" for entry in judged),
        hint=f"See {folder / (trained.recipe.name + '-int8-' + first.candidate.kind)}.tflite.rejected.json, "
        "or set other bounds by --max-drop and --min-agreement.",
    )


def _card(trained: Trained, flatbuffer: bytes, scheme: Any, verdict: Any, metrics: dict[str, Any]) -> Card:
    run, stage = trained.run, trained.stage
    return Card(
        name=trained.recipe.name,
        recipe=to_tree(trained.recipe),
        labels=trained.labels,
        positive=trained.entry["positive"],
        input=input_contract(inspect_flatbuffer(flatbuffer), trained.recipe.preprocess),
        scheme=scheme,
        threshold=trained.entry["threshold"],
        temperature=trained.entry["temperature"],
        verdict=verdict,
        metrics=metrics,
        hashes=Hashes(
            data={spec.name: file_hash(run.manifest(spec.name)) for spec in trained.recipe.stages},
            weights=file_hash(run.stage(stage.name).weights),
        ),
        versions=versions(),
    )


def _float_row(trained: Trained, path: Path) -> dict[str, Any]:
    return {
        "scheme": "float32",
        "accuracy": trained.entry["validation"]["accuracy"],
        "agreement": None,
        "size_bytes": path.stat().st_size,
        "path": _relative(trained.run, path),
        "chosen": False,
    }


def _row(run: RunFolder, entry: Judged, path: Path, chosen: bool) -> dict[str, Any]:
    return {
        "scheme": f"int8-{entry.candidate.kind}",
        "accuracy": msgspec.to_builtins(entry.report.accuracy["int8"]),
        "agreement": msgspec.to_builtins(entry.report.agreement),
        "size_bytes": path.stat().st_size,
        "flatbuffer_bytes": len(entry.candidate.flatbuffer),
        "path": _relative(run, path),
        "chosen": chosen,
        "gate": gate.report_tree(entry.report),
        "notes": entry.candidate.notes,
    }


def _relative(run: RunFolder, path: Path) -> str:
    return path.relative_to(run.path).as_posix()


def _write_summary(
    run: RunFolder,
    model: Path,
    float_model: Path,
    chosen: str,
    candidates: list[dict[str, Any]],
    details: dict[str, Any],
) -> dict[str, Any]:
    tree = {
        "schema": EXPORT_SCHEMA,
        "model": _relative(run, model),
        "float_model": _relative(run, float_model),
        "chosen": chosen,
        "candidates": candidates,
        **details,
    }
    write_text(run.exports / "export.json", json.dumps(tree, indent=2) + "\n")
    return tree
