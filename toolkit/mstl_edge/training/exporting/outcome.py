"""What an export says of itself: which candidate is shipped, the summary, and a refusal beside an earlier success."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from mstl_edge.errors import GateRefusedError
from mstl_edge.runs import RunFolder
from mstl_edge.schemas.export import EXPORT, Export, ExportedFile
from mstl_edge.training.exporting.seal import REFUSAL, SUMMARY, Judged, keep_candidate
from mstl_edge.training.trained import Trained


def accepted(run: RunFolder) -> Export | None:
    """Return the summary of an earlier export whose model passed and is still there; None where there is none."""
    path = run.exports / SUMMARY
    if not path.is_file():
        return None
    record = EXPORT.read(path, hint=f"Delete it to export anew: {path}")
    int8 = record.model is not None and record.gate is not None and (run.path / record.model).is_file()
    return record if int8 else None


def choose(judged: Sequence[Judged]) -> Judged | None:
    """Return the candidate to ship: the one that agrees with float on most images, quantization-aware where two are equal.

    None where all were refused. Accuracy would be the coarser measure: of a hundred images two candidates rarely differ in one.
    """
    preference = ("qat", "ptq", "mixed")
    return max(
        (entry for entry in judged if not entry.refused),
        key=lambda entry: (entry.report.agreement.agreement.value, -preference.index(entry.candidate.kind)),
        default=None,
    )


def summary_of(told: Export, rows: list[ExportedFile], judged: list[Judged], chosen: Judged | None) -> Export:
    """Return the summary of an export."""
    if chosen is None:
        reasons = tuple(f"{entry.candidate.kind}: {reason}" for entry in judged for reason in entry.report.reasons)
        nearest = max(judged, key=lambda entry: entry.report.agreement.agreement.value).report
        return msgspec.structs.replace(
            told, float_model=rows[0].path, candidates=tuple(rows), gate=nearest, verdict="refused", reasons=reasons
        )
    row = next(row for row in rows if row.chosen)
    return msgspec.structs.replace(
        told, float_model=rows[0].path, model=row.path, chosen=row.scheme, candidates=tuple(rows),
        gate=chosen.report, verdict=chosen.report.verdict, reasons=chosen.report.reasons,
    )  # fmt: skip


def keep_refused(trained: Trained, exports: Path, judged: list[Judged], told: Export, before: Export) -> None:
    """Put rejected candidates and their summary beside an export that passed; nothing of that is touched."""
    for path in exports.glob("*.rejected*"):
        path.unlink()
    rows = [keep_candidate(trained, exports, entry, None, None) for entry in judged]
    record = summary_of(told, [before.candidates[0], *rows], judged, None)
    summed_up(exports / REFUSAL, record)


def summed_up(path: Path, record: Export) -> Export:
    """Write a summary, and return it as it was written."""
    whole = msgspec.structs.replace(record, schema=EXPORT.identifier)
    EXPORT.write(path, whole)
    return whole


def refusal(run: RunFolder, judged: Sequence[Judged], before: Export | None) -> GateRefusedError:
    """Return the error of an export whose candidates were all refused; `before` is an earlier one that passed."""
    record = EXPORT.read(run.exports / (SUMMARY if before is None else REFUSAL), hint="Export again.")
    kept = "" if before is None else f" The earlier {before.model} stays, as it passed."
    return GateRefusedError(
        "an int8 model that keeps the float model's answers",
        received="; ".join(f"{entry.candidate.kind}: {entry.report.reasons[0]}" for entry in judged),
        hint=f"See {run.path / record.candidates[-1].path}.json, or set other bounds by --max-drop and --min-agreement.{kept}",
        tree=msgspec.to_builtins(record),
    )
