"""Where a network is fitted, whichever network it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mstl_edge.progress import SILENT, Reporter
from mstl_edge.runs import StageFolder


@dataclass(frozen=True)
class Workshop:
    """Where a network is fitted.

    Attributes:
        folder: Keeps checkpoint and history; where it has a checkpoint of this very work, fitting goes on behind it.
        threads: Threads of the engine that computes features and answers.
        reporter: Told of progress.
    """

    folder: StageFolder
    threads: int
    reporter: Reporter = SILENT


@dataclass(frozen=True)
class Logbook:
    """What one fitting writes down after every epoch, and says.

    Attributes:
        checkpoint: Written after each epoch; where it exists already, training goes on behind it.
        reporter: Shown per epoch.
        title: What the progress bar says.
    """

    checkpoint: Path
    reporter: Reporter = SILENT
    title: str = "training"
