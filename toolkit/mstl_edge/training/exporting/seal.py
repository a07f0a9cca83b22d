"""What an export leaves in a run: sealed model files, rejected candidates with their reports, and the summary of both."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from mstl_edge.artifact import Card, Hashes, inspect_flatbuffer, write_artifact
from mstl_edge.artifact.card import Scheme, Verdict, input_contract
from mstl_edge.metrics import Agreement, Interval
from mstl_edge.recipe import to_tree
from mstl_edge.runtime import record_golden
from mstl_edge.schemas.export import ExportedFile, GateReport, Notes, PairedTest
from mstl_edge.schemas.versioned import read_tree
from mstl_edge.storage import write_bytes, write_text
from mstl_edge.training._keras import versions
from mstl_edge.training.judging.held_out import PREDICTIONS
from mstl_edge.training.quantize.candidates import Candidate
from mstl_edge.training.trained import Trained, file_hash
from mstl_edge.training.unseen.doubt import Doubted

FloatScheme = Literal["float32", "float16", "dynamic"]
Tree = dict[str, Any]
EXPORTS = "exports"
"""The folder of an export in its run; files are told relative to the run, wherever they lie until they are all there."""
SUMMARY, REFUSAL = "export.json", "export.rejected.json"
"""The summary of the export that counts, and of a refused one beside it."""


@dataclass(frozen=True)
class Judged:
    """A candidate with what the gate said of it."""

    candidate: Candidate
    report: GateReport

    @property
    def refused(self) -> bool:
        """Whether it may not get a name that anything loads."""
        return self.report.verdict == "refused"


@dataclass(frozen=True)
class Standing:
    """What a card says of how a file was made and judged; see `Card`."""

    scheme: Scheme
    verdict: Verdict
    metrics: Tree


def seal(trained: Trained, path: Path, flatbuffer: bytes, standing: Standing, doubted: Doubted | None = None) -> None:
    """Write a model file with its card and golden answers, measured in every runtime at hand.

    Args:
        trained: The run.
        path: The file.
        flatbuffer: The model.
        standing: How it was made and judged.
        doubted: What it can say of its own doubt.

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
        scheme=standing.scheme,
        threshold=trained.entry.threshold,
        temperature=trained.entry.temperature,
        verdict=standing.verdict,
        metrics=standing.metrics,
        hashes=Hashes(
            data={spec.name: _split_hash(run.manifest(spec.name)) for spec in trained.recipe.stages},
            weights=file_hash(run.stage(stage.name).weights),
        ),
        versions=versions(),
        doubt=doubted.doubt if doubted else None,
    )
    write_artifact(path, flatbuffer, card, record_golden(flatbuffer), doubted.familiar if doubted else None)


def _split_hash(manifest: Path) -> str:
    """Return the SHA-256 of a split, wherever its data lay: the same split gives the same card."""
    tree = {name: value for name, value in read_tree(manifest).items() if name != "source"}
    return hashlib.sha256(msgspec.json.encode(tree, order="deterministic")).hexdigest()


def seal_float(
    trained: Trained,
    exports: Path,
    scheme: FloatScheme,
    flatbuffer: bytes,
    measured: tuple[Interval, Agreement] | None = None,
    doubted: Doubted | None = None,
) -> ExportedFile:
    """Write a float file and return what is told of it.

    Args:
        trained: The run.
        exports: The folder that it is written to.
        scheme: How its weights are kept.
        flatbuffer: The model.
        measured: Accuracy on validation images, and agreement with the float32 twin; None for the twin itself, whose accuracy
            training measured.
        doubted: What the file can say of its own doubt.
    """
    path = exports / f"{trained.recipe.name}-{scheme}.tflite"
    accuracy, agreement = measured or (trained.measured.validation.accuracy, None)
    metrics: Tree = {"float32": msgspec.to_builtins(trained.measured.test)}
    if measured is not None:
        metrics = {"validation": msgspec.to_builtins({"accuracy": accuracy, "agreement": agreement})}
    verdict: Verdict = "float" if measured is None else "unchecked"
    seal(trained, path, flatbuffer, Standing(scheme, verdict, metrics), doubted)
    return ExportedFile(
        scheme=scheme,
        accuracy=accuracy,
        agreement=agreement,
        size_bytes=path.stat().st_size,
        flatbuffer_bytes=len(flatbuffer),
        path=told(exports, path),
    )


def keep_candidate(
    trained: Trained,
    exports: Path,
    entry: Judged,
    chosen: Judged | None,
    test: PairedTest | None,
    doubted: Doubted | None = None,
) -> ExportedFile:
    """Write an int8 candidate under the name that its verdict allows, and return what is told of it.

    The chosen one is `exports/RECIPE-int8.tflite`, others that passed lie under `exports/candidates`, and a refused one gets a
    name that nothing loads by accident, its report beside it.
    """
    candidate, report = entry.candidate, entry.report
    name = trained.recipe.name
    metrics: Tree = {"validation": msgspec.to_builtins(report), "notes": candidate.notes}
    if report.verdict == "refused":
        path = exports / f"{name}-int8-{candidate.kind}.tflite.rejected"
        write_bytes(path, candidate.flatbuffer)
        shown = msgspec.json.encode({**metrics["validation"], "notes": candidate.notes})
        write_text(path.with_name(path.name + ".json"), msgspec.json.format(shown, indent=2).decode() + "\n")
    elif entry is chosen:
        path = exports / f"{name}-int8.tflite"
        scores = msgspec.to_builtins({"float32": test.float32, "int8": test.int8}) if test else {}
        seal(
            trained,
            path,
            candidate.flatbuffer,
            Standing(candidate.scheme, report.verdict, {**metrics, **scores}),
            doubted,
        )
    else:
        path = exports / "candidates" / f"{name}-int8-{candidate.kind}.tflite"
        seal(trained, path, candidate.flatbuffer, Standing(candidate.scheme, report.verdict, metrics))
    return ExportedFile(
        scheme=f"int8-{candidate.kind}",
        accuracy=report.accuracy["int8"],
        agreement=report.agreement,
        size_bytes=path.stat().st_size,
        flatbuffer_bytes=len(candidate.flatbuffer),
        path=told(exports, path),
        chosen=entry is chosen,
        gate=report,
        notes=msgspec.convert(candidate.notes, Notes),
    )


def drop_earlier(exports: Path) -> None:
    """Remove int8 files, rejected ones and test answers of an earlier export, in the copy that its successor is made in."""
    stale = [
        *exports.glob("*-int8.tflite"),
        *exports.glob("candidates/*.tflite"),
        *exports.glob("*-mediapipe.tflite"),
        *exports.glob("*.rejected*"),
        *exports.glob(PREDICTIONS),
    ]
    for path in stale:
        path.unlink()


def told(exports: Path, path: Path) -> str:
    """Return a file's name as it will be in its run folder."""
    return f"{EXPORTS}/{path.relative_to(exports).as_posix()}"
