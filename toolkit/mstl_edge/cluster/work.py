"""What a worker does: unpack the study, do one task in it, and hand back the files that it left.

Nothing here knows Ray; a worker is any process that can be given bytes.
"""

from __future__ import annotations

import socket
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mstl_edge.cluster.crate import Content, Crate, unpack
from mstl_edge.errors import MstlEdgeError
from mstl_edge.schemas.study_plan import Scheme
from mstl_edge.study.executor import FoldTask
from mstl_edge.study.folder import StudyFolder

if TYPE_CHECKING:  # importing it is importing TensorFlow, which the process that hands out the work need not do
    from mstl_edge.training.study.shared_features import FeatureRows

ContentOf = Callable[[str], Content]


@dataclass(frozen=True)
class Delivered:
    """A finished task.

    Attributes:
        files: What belongs into the study's folder, by name; the answers are among them.
        correct: Share of right answers by scheme.
        seconds: How long it took.
        host: Where it ran.
    """

    files: dict[str, bytes]
    correct: dict[Scheme, float]
    seconds: float
    host: str


@dataclass(frozen=True)
class Failed:
    """A task that ended with an error of its own: trying again would end the same way.

    Attributes:
        message: In one line.
        log: What Python says.
        host: Where it ran.
    """

    message: str
    log: str
    host: str


def do_task(
    crate: Crate, content_of: ContentOf, task: FoldTask, features: Iterable[Callable[[], FeatureRows | None]]
) -> Delivered | Failed:
    """Do one task on this machine.

    Args:
        crate: The study.
        content_of: Digest → content.
        task: Which task; its study is the one that is unpacked.
        features: Fetch what others have computed of this arm's features.
    """
    from mstl_edge.training.study.one_fold import run_fold
    from mstl_edge.training.study.shared_features import keep_features

    try:
        study = unpack(crate, content_of)
        for fetch in features:
            found = fetch()
            if found is not None:
                keep_features(found)
        result = run_fold(replace(task, study=study.path))
        return Delivered(_taken(study, task), result.correct, result.seconds, socket.gethostname())
    except Exception as error:  # noqa: BLE001 - of whatever kind: it travels as text
        return _failed(error)


def do_features(
    crate: Crate, content_of: ContentOf, arm: str, positions: Sequence[int], threads: int
) -> FeatureRows | None:
    """Compute the features of some images for one arm on this machine; None where that fails, and each fold will say why."""
    from mstl_edge.training.study.shared_features import compute_features

    try:
        return compute_features(unpack(crate, content_of).path, arm, positions, threads)
    except MstlEdgeError:
        return None


def written_by(study: StudyFolder, task: FoldTask) -> list[Path]:
    """Return the files that a task may leave in a study's folder, the answers last: they say that it is finished."""
    place = (task.arm, task.repeat, task.fold, task.images)
    models = [study.model(task.arm, scheme) for scheme in task.schemes]
    answers = [study.answers(task.arm, scheme, *place[1:]) for scheme in task.schemes]
    return [study.training(*place), *models, *answers]


def _taken(study: StudyFolder, task: FoldTask) -> dict[str, bytes]:
    """Return what a task left, and remove it: the study lies elsewhere."""
    found = {}
    for path in written_by(study, task):
        if path.is_file():
            found[str(path.relative_to(study.path))] = path.read_bytes()
            path.unlink()
    return found


def _failed(error: Exception) -> Failed:
    message = str(error) if isinstance(error, MstlEdgeError) else f"{type(error).__name__}: {error}"
    return Failed(message, "".join(traceback.format_exception(error)), socket.gethostname())
