"""A data set that has been looked at: its files with labels, and what each of them holds. Looked at once, and handed on."""

from __future__ import annotations

from dataclasses import dataclass

from mstl_edge.data.files.labelled import DataSource
from mstl_edge.data.scan import Scan, scan_source
from mstl_edge.data.sources import open_stage
from mstl_edge.progress import SILENT, Reporter
from mstl_edge.recipe import PreprocessSpec, StageSpec


@dataclass(frozen=True)
class Seen:
    """The files of a data source, and what one pass over them found."""

    source: DataSource
    scan: Scan


def look_at(
    stage: StageSpec, preprocess: PreprocessSpec, reporter: Reporter = SILENT, source: DataSource | None = None
) -> Seen:
    """List and read every file of a stage's data once.

    Args:
        stage: Whose data.
        preprocess: How an image is read.
        reporter: Told of progress.
        source: Its files, where somebody has listed them already.

    Raises:
        DataError: See `open_source`.
    """
    source = source or open_stage(stage)
    with reporter.bar(f"{stage.name}: checking images", len(source.images)) as advance:
        return Seen(source, scan_source(source, preprocess, advance=advance))
