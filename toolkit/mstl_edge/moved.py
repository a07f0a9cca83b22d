"""Data that has moved since a run or a study was made: where it lies now, proven to be the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from mstl_edge.data.sources import open_stage
from mstl_edge.data.splits import ManifestRow
from mstl_edge.data.workers import in_order
from mstl_edge.errors import DataError, RunError
from mstl_edge.preprocess import UnreadableImageError, read_stored
from mstl_edge.progress import SILENT, Reporter
from mstl_edge.recipe import PreprocessSpec, StageSpec
from mstl_edge.storage import write_text


def check_same_data(stage: StageSpec, source: str, rows: Sequence[ManifestRow], reporter: Reporter = SILENT) -> Path:
    """Prove by the hashes of a manifest that a source holds the files that a stage was dealt.

    Args:
        stage: Whose data.
        source: Where it should lie now; further files there do not matter.
        rows: The files.
        reporter: Told of progress.

    Returns:
        The folder that the names of the rows are relative to.

    Raises:
        DataError: Nothing is there, or a file is absent or another one; the first such is named.
    """
    folder = open_stage(msgspec.structs.replace(stage, data=source)).folder
    with reporter.bar(f"{stage.name}: comparing images", len(rows)) as advance:
        for row, found in zip(rows, in_order(lambda row: _sha256(folder / row.name), rows), strict=True):
            if found != row.sha256:
                what = "with other content" if found else "which is not there"
                raise DataError(
                    f"the data that stage {stage.name} was dealt in {source}",
                    received=f"{row.name}, {what}",
                    hint=f"Name the folder that holds the same files: --data {stage.name}=PATH",
                )
            advance(1)
    return folder


def _sha256(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal; empty where it cannot be read."""
    try:
        return read_stored(path, PreprocessSpec()).sha256
    except UnreadableImageError:
        return ""


def read_places(file: Path) -> dict[str, str]:
    """Return where the data of stages lies now that has moved since; none where the file is absent.

    Raises:
        RunError: The file is damaged.
    """
    if not file.is_file():
        return {}
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(tree, dict) or not all(isinstance(place, str) for place in tree.values()):
            raise ValueError("places by stage are missing")
    except (OSError, ValueError) as error:
        raise RunError(
            f"where data lies that has moved ({error})",
            received=file,
            hint="Delete it, and name the place again by --data STAGE=PATH.",
        ) from error
    return tree


def write_places(file: Path, moved: Mapping[str, str]) -> None:
    """Add to where the data of stages lies now."""
    write_text(file, json.dumps({**read_places(file), **moved}, indent=2) + "\n")
