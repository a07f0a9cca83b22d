"""Reading a study's JSON for a report."""

from __future__ import annotations

from pathlib import Path

from mstl_edge.errors import RunError
from mstl_edge.schemas.study import STUDY, Study

FLOAT = "float32"


def read_study(path: Path) -> Study:
    """Read a study's JSON.

    Raises:
        RunError: Unreadable, of another schema, without arms, or a field is missing or wrong.
    """
    hint = "Write one with 'mstl-edge study RECIPE'."
    study = STUDY.read(path, hint=hint)
    if not study.arms:
        raise RunError("a study with at least one arm", received=path, hint=hint)
    return study
