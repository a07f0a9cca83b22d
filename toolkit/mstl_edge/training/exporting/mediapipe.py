"""Further files of an export for MediaPipe Tasks and ML Kit: uint8 or float input, one output, TFLite Metadata.

They are ours as well: they carry the card and golden answers of their own, and `mstl-edge predict` reads them.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import msgspec
import numpy as np

from mstl_edge.artifact import Artifact, Card, draw_golden_images, inspect_flatbuffer, open_artifact, write_artifact
from mstl_edge.artifact.card import input_contract
from mstl_edge.artifact.tflite_metadata import encode_metadata
from mstl_edge.artifact.uint8_ends import for_image_programs
from mstl_edge.errors import ArtifactError, typed
from mstl_edge.folders import replacing_folder
from mstl_edge.progress import SILENT, Reporter
from mstl_edge.runs import RunFolder
from mstl_edge.runtime import load_runtime, record_golden, to_input, to_real
from mstl_edge.schemas.export import EXPORT, Export, MediaPipeFile
from mstl_edge.training.exporting.seal import EXPORTS, SUMMARY

SUFFIX = "-mediapipe.tflite"
COMPARED_IMAGES = 16
SAME = 1e-5
"""Difference of probabilities that a float file may show after its constants moved to other addresses."""


def write_mediapipe_files(run: RunFolder, reporter: Reporter = SILENT) -> Export:
    """Write one such file beside every model file that an export left under its final name.

    Args:
        run: An exported run; of a refused export, the float files get a copy.
        reporter: Told of progress.

    Returns:
        The summary with the field `mediapipe`; `export.json` holds it too.

    Raises:
        ArtifactError: A file does not answer as the one that it is made from.
        MstlEdgeError: The disk is full or the folder cannot be written.
    """
    listed = []
    with replacing_folder(run.exports) as exports:
        record = EXPORT.read(exports / SUMMARY, hint=f"Export it again: {typed('mstl-edge', 'export', run.path)}")
        for row in record.candidates:
            source = PurePosixPath(row.path)
            if source.parent.name != EXPORTS or source.suffix != ".tflite":
                continue
            target = source.with_name(source.stem + SUFFIX)
            reporter.say(f"writing {target.name}")
            path = exports / target.name
            write_for_mediapipe(open_artifact(exports / source.name), path)
            listed.append(MediaPipeFile(path=str(target), of=row.path, size_bytes=path.stat().st_size))
        record = msgspec.structs.replace(record, mediapipe=tuple(listed))
        EXPORT.write(exports / SUMMARY, record)
    return record


def write_for_mediapipe(artifact: Artifact, path: Path) -> Card:
    """Write `artifact` for MediaPipe Tasks, and return its card.

    Raises:
        ArtifactError: `artifact` has no card, or the new file does not answer as it does.
        MstlEdgeError: The disk is full or the folder cannot be written.
    """
    if artifact.card is None:
        raise ArtifactError(
            "a model with a card, which names its labels",
            received=f"{artifact.name}, a .tflite without one",
            hint="Export one with 'mstl-edge export'.",
        )
    flatbuffer = for_image_programs(artifact.flatbuffer, encode_metadata(artifact.card))
    _check_same_answers(artifact, flatbuffer)
    contract = input_contract(inspect_flatbuffer(flatbuffer), artifact.card.input.preprocess)
    doubt = artifact.card.doubt and msgspec.structs.replace(
        artifact.card.doubt, familiarity=None
    )  # it has no feature map
    card = msgspec.structs.replace(artifact.card, input=contract, golden=(), doubt=doubt)
    return write_artifact(path, flatbuffer, card, record_golden(flatbuffer))


def _check_same_answers(artifact: Artifact, flatbuffer: bytes) -> None:
    """Hold the rewritten graph against the one that the gate judged, so that its verdict stays true."""
    images = np.stack(draw_golden_images(artifact.facts.input.shape[1], COMPARED_IMAGES))
    before, after = (load_runtime(model, runtime="litert") for model in (artifact, flatbuffer))
    answers = [to_real(each.invoke(to_input(images, each.input)), each.output) for each in (before, after)]
    difference = float(np.abs(answers[0] - answers[1]).max())
    if not difference <= (0.0 if before.output.quantized else SAME):
        raise ArtifactError(
            f"a file that answers as {artifact.name} does", received=f"probabilities that differ by {difference:.2g}"
        )
