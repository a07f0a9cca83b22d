"""Which model files are measured, and where each value came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mstl_edge.artifact import Artifact, not_a_classifier, open_artifact
from mstl_edge.errors import ArtifactError, MstlEdgeError, RunError, typed
from mstl_edge.runs import RunFolder, open_run
from mstl_edge.schemas.export import EXPORT, Export
from mstl_edge_models import backbones

EXPORT_FILE = "export.json"


@dataclass(frozen=True)
class Lineup:
    """The models in the order they are measured; `run` is where they come from, None for files from elsewhere.

    `because` says in a few words how they were found; `candidates` maps the file names of candidates that the export did not
    choose to what it calls them, such as `int8-ptq`; `refused` are those of them that the gate refused.
    """

    artifacts: tuple[Artifact, ...]
    run: RunFolder | None
    because: str
    candidates: dict[str, str] = field(default_factory=dict)
    refused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exported:
    """The files of an export: the float twin, the chosen model, and the candidates beside it, by what the export calls them.

    `refused` are candidates that the gate refused, while it let another one through.
    """

    float_model: Path
    model: Path
    candidates: dict[Path, str]
    refused: tuple[Path, ...]


def line_up(named: Sequence[Path], *, candidates: bool = False) -> Lineup:
    """Open what was named: model files, or the exports of a run folder (the latest run where nothing is named).

    Args:
        named: Model files, or one run folder.
        candidates: Take the candidates that the export did not choose, too.

    Raises:
        ArtifactError: A file is damaged or no image classifier.
        RunError: No run, or one without an export.
        MstlEdgeError: A file is named twice, or candidates are asked of files.
    """
    folders = [path for path in named if path.is_dir()]
    if not named or folders:
        if len(named) > 1:
            raise MstlEdgeError("model files, or one run folder", received=", ".join(map(str, named)))
        run = open_run(folders[0] if folders else None)
        exported = exported_models(run)
        beside = exported.candidates if candidates else {}
        paths = dict.fromkeys([exported.float_model, exported.model, *beside])
        because = f"exports of {run.path}{'' if folders else ' (latest)'}"
        opened = tuple(_classifier(path) for path in paths)
        return Lineup(
            opened, run, because,
            candidates={path.name: scheme for path, scheme in beside.items()},
            refused=tuple(path.name for path in exported.refused if path in beside),
        )  # fmt: skip
    if candidates:
        raise MstlEdgeError(
            "a run folder, or nothing, for --candidates",
            received=", ".join(map(str, named)),
            hint="See 'mstl-edge runs list'.",
        )
    if len({path.resolve() for path in named}) != len(named):
        raise MstlEdgeError("each model once", received=", ".join(map(str, named)))
    return Lineup(tuple(_classifier(path) for path in named), _run_of(named), "as named")


def exported_models(run: RunFolder) -> Exported:
    """Return what `mstl-edge export` chose, its float twin, and the candidates it did not choose.

    Raises:
        RunError: Nothing was exported yet, by another version, or the gate refused every candidate.
    """
    file = run.exports / EXPORT_FILE
    hint = f"Export it: {typed('mstl-edge', 'export', run.path)}"
    if not file.is_file():
        raise RunError("a run with exported models", received=f"{run.path}, without {EXPORT_FILE}", hint=hint)
    export = EXPORT.read(file, hint=hint)
    if export.model is None or export.float_model is None:
        raise _refused(run, export)
    floating, model = run.path / export.float_model, run.path / export.model
    rows = {run.path / row.path: row for row in export.candidates if row.path}
    beside = {path: row.scheme for path, row in rows.items() if path not in (floating, model)}
    refused = [path for path, row in rows.items() if path in beside and row.gate and row.gate.verdict == "refused"]
    return Exported(floating, model, beside, tuple(refused))


def _refused(run: RunFolder, export: Export) -> RunError:
    floating = export.float_model
    alone = (
        f", or measure the float model alone: {typed('mstl-edge', 'bench', run.path / floating)}" if floating else ""
    )
    again = f"{typed('mstl-edge', 'export', run.path)} --int8 --max-drop 5 --min-agreement 0.95"
    return RunError(
        "a run whose export passed the gate",
        received=f"{run.path}, whose int8 candidates the gate refused",
        hint=f"Export it with other bounds: {again}{alone}",
    )


def _run_of(paths: Sequence[Path]) -> RunFolder | None:
    """Return the run folder in whose `exports` all files lie, None where there is no such one."""
    folders = {path.resolve().parent for path in paths}
    if len(folders) != 1:
        return None
    folder = folders.pop()
    while folder.name in ("exports", "candidates"):
        folder = folder.parent
        if (folder / "run.json").is_file():
            return open_run(folder)
    return None


def _classifier(path: Path) -> Artifact:
    artifact = open_artifact(path)
    source, answer = artifact.facts.input.shape, artifact.facts.output.shape
    if not (len(source) == 4 and source[3] == 3 and len(answer) == 2 and answer[1] >= 2):
        error = not_a_classifier(artifact.facts)
        raise ArtifactError(error.expected, received=f"{artifact.name}: {error.received}", hint=error.hint)
    if source[1] != source[2]:
        raise ArtifactError("a square input", received=f"{artifact.name}: {source[2]}×{source[1]}")
    return artifact


def name_of(artifact: Artifact) -> str:
    """Return the card's name, else the file's."""
    return artifact.card.name if artifact.card is not None else Path(artifact.name).stem


def scheme_of(artifact: Artifact) -> str:
    """Return how the model is quantized: by its card, else by what its tensors are."""
    if artifact.card is not None:
        return artifact.card.scheme
    facts = artifact.facts
    if facts.full_integer:
        return "int8"
    kinds = {kernel.dtype for kernel in facts.kernels} | {tensor.dtype for tensor in facts.tensors if tensor.constant}
    return "dynamic" if "int8" in kinds else "float16" if "float16" in kinds else "float32"


def trainable_parameters(artifact: Artifact) -> int | None:
    """Return how many of the file's weights and biases the last stage trained; None where the card can't tell.

    BatchNorm is absorbed, so a layer counts its kernel and one bias per output channel. The card can tell where every convolution
    is a cut point, as in MobileNet V1: in the file they stand in the registry's order, the head last.
    """
    card, kernels = artifact.card, artifact.facts.kernels
    if card is None:
        return None
    recipe: dict[str, Any] = card.recipe
    backbone = backbones.REGISTRY.get(str(recipe.get("backbone", {}).get("name")))
    stages = recipe.get("stages") or [{}]
    first = stages[-1].get("unfreeze_from")
    names = backbone.cut_names(backbone.default) if backbone is not None else ()
    if first not in names or len(kernels) != len(names):
        return None
    counts = []
    for kernel in kernels:
        channels = kernel.shape[3 if kernel.operator == "DEPTHWISE_CONV_2D" else 0]
        size = 1
        for extent in kernel.shape:
            size *= extent
        counts.append(size + channels)
    if sum(counts) != artifact.facts.parameters:
        return None
    return sum(counts[names.index(first) :])
