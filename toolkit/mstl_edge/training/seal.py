"""What an export leaves in a run: sealed model files, rejected candidates with their reports, and the summary of both."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from mstl_edge.artifact import Card, Hashes, inspect_flatbuffer, write_artifact
from mstl_edge.artifact.card import input_contract
from mstl_edge.metrics import Agreement, Interval
from mstl_edge.recipe import to_tree
from mstl_edge.runs import RunFolder
from mstl_edge.runtime import record_golden
from mstl_edge.storage import write_bytes, write_text
from mstl_edge.training import gate
from mstl_edge.training._keras import versions
from mstl_edge.training.candidates import Candidate
from mstl_edge.training.trained import Trained, file_hash

EXPORT_SCHEMA = "mstl-edge/export/1"
FloatScheme = Literal["float32", "float16", "dynamic"]
Tree = dict[str, Any]


@dataclass(frozen=True)
class Judged:
    """A candidate with what the gate said of it."""

    candidate: Candidate
    report: gate.GateReport

    @property
    def refused(self) -> bool:
        """Whether it may not get a name that anything loads."""
        return self.report.verdict == "refused"


def seal(trained: Trained, path: Path, flatbuffer: bytes, scheme: Any, verdict: Any, metrics: Tree) -> None:
    """Write a model file with its card and golden answers, measured in every runtime at hand.

    Args:
        trained: The run.
        path: The file.
        flatbuffer: The model.
        scheme: How it is quantized, see `Card`.
        verdict: What the gate said, see `Card`.
        metrics: What it scored, by model.

    Raises:
        ArtifactError: The card does not fit the model.
        MstlEdgeError: The disk is full or the folder cannot be written.
    """
    run, stage = trained.run, trained.stage
    card = Card(
        name=trained.recipe.name,
        recipe=to_tree(trained.recipe),
        labels=trained.labels,
        positive=trained.entry.positive,
        input=input_contract(inspect_flatbuffer(flatbuffer), trained.recipe.preprocess),
        scheme=scheme,
        threshold=trained.entry.threshold,
        temperature=trained.entry.temperature,
        verdict=verdict,
        metrics=metrics,
        hashes=Hashes(
            data={spec.name: file_hash(run.manifest(spec.name)) for spec in trained.recipe.stages},
            weights=file_hash(run.stage(stage.name).weights),
        ),
        versions=versions(),
    )
    write_artifact(path, flatbuffer, card, record_golden(flatbuffer))


def seal_float(
    trained: Trained,
    scheme: FloatScheme,
    flatbuffer: bytes,
    accuracy: Interval | None = None,
    agreement: Agreement | None = None,
) -> Tree:
    """Write a float file and return its row.

    Args:
        trained: The run.
        scheme: How its weights are kept.
        flatbuffer: The model.
        accuracy: On validation images; None takes what training measured, which is the float32 twin's.
        agreement: With the float32 twin; None for itself.
    """
    path = trained.run.exports / f"{trained.recipe.name}-{scheme}.tflite"
    measured = msgspec.to_builtins(trained.measured.validation.accuracy if accuracy is None else accuracy)
    agreed = msgspec.to_builtins(agreement)
    twin = agreement is None
    metrics = (
        {"float32": msgspec.to_builtins(trained.measured.test)}
        if twin
        else {"validation": {"accuracy": measured, "agreement": agreed}}
    )
    seal(trained, path, flatbuffer, scheme, "float" if twin else "unchecked", metrics)
    return {
        "scheme": scheme,
        "accuracy": measured,
        "agreement": agreed,
        "size_bytes": path.stat().st_size,
        "flatbuffer_bytes": len(flatbuffer),
        "path": relative(trained.run, path),
        "chosen": False,
    }


def keep_candidate(trained: Trained, entry: Judged, chosen: Judged | None, test: Tree) -> Tree:
    """Write an int8 candidate under the name that its verdict allows, and return its row.

    The chosen one is `exports/RECIPE-int8.tflite`, others that passed lie under `exports/candidates`, and a refused one gets a
    name that nothing loads by accident, its report beside it.
    """
    run, candidate, report = trained.run, entry.candidate, entry.report
    told = {"validation": gate.report_tree(report), "notes": candidate.notes}
    if entry.refused:
        path = _rejected(trained, candidate.kind)
        write_bytes(path, candidate.flatbuffer)
        write_text(
            path.with_name(path.name + ".json"),
            json.dumps({**told["validation"], "notes": candidate.notes}, indent=2) + "\n",
        )
    elif entry is chosen:
        path = run.exports / f"{trained.recipe.name}-int8.tflite"
        scores = {"float32": test["float32"], "int8": test["int8"]}
        seal(trained, path, candidate.flatbuffer, candidate.scheme, report.verdict, {**told, **scores})
    else:
        path = run.exports / "candidates" / f"{trained.recipe.name}-int8-{candidate.kind}.tflite"
        seal(trained, path, candidate.flatbuffer, candidate.scheme, report.verdict, told)
    return {
        "scheme": f"int8-{candidate.kind}",
        "accuracy": msgspec.to_builtins(report.accuracy["int8"]),
        "agreement": msgspec.to_builtins(report.agreement),
        "size_bytes": path.stat().st_size,
        "flatbuffer_bytes": len(candidate.flatbuffer),
        "path": relative(run, path),
        "chosen": entry is chosen,
        "gate": told["validation"],
        "notes": candidate.notes,
    }


def _rejected(trained: Trained, kind: str) -> Path:
    return trained.run.exports / f"{trained.recipe.name}-int8-{kind}.tflite.rejected"


def drop_earlier(run: RunFolder, kept: Collection[str]) -> None:
    """Remove int8 files, rejected ones and test answers that an earlier export left and this one did not write again.

    Args:
        run: The run.
        kept: Files of this export, relative to the run folder.
    """
    reports = {f"{path}.json" for path in kept}
    stale = [
        *run.exports.glob("*-int8.tflite"),
        *run.exports.glob("candidates/*.tflite"),
        *run.exports.glob("*.rejected*"),
    ]
    for path in stale:
        if relative(run, path) not in {*kept, *reports}:
            path.unlink()
    if not any(path.endswith("-int8.tflite") for path in kept):
        run.test_predictions.unlink(missing_ok=True)


def relative(run: RunFolder, path: Path) -> str:
    """Return a file's name in its run folder."""
    return path.relative_to(run.path).as_posix()


def write_summary(run: RunFolder, model: str | None, chosen: str | None, rows: list[Tree], details: Tree) -> Tree:
    """Write `export.json` and return its tree.

    Args:
        run: The run.
        model: The chosen file; None where the gate refused all.
        chosen: Its scheme.
        rows: The float32 twin and every other file.
        details: Further fields.
    """
    tree = {
        "schema": EXPORT_SCHEMA,
        "model": model,
        "float_model": rows[0]["path"],
        "chosen": chosen,
        "candidates": rows,
        **details,
    }
    write_text(run.exports / "export.json", json.dumps(tree, indent=2) + "\n")
    return tree
