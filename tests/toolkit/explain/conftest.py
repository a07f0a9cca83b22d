"""Files with and without their feature map."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mstl_edge.artifact import write_artifact
from mstl_edge.artifact.feature_output import with_feature_output
from mstl_edge.runtime import record_golden


@pytest.fixture(scope="session")
def explaining(
    tmp_path_factory: pytest.TempPathFactory, models: Path, tiny_card: Callable[..., Any]
) -> Callable[[str], Path]:
    """Return one of the tiny models as `mstl-edge export` writes it: with its feature map as second output."""
    folder = tmp_path_factory.mktemp("explaining")

    def export(model: str) -> Path:
        path = folder / f"{model}.tflite"
        if not path.exists():
            flatbuffer = with_feature_output((models / f"{model}.tflite").read_bytes())
            write_artifact(path, flatbuffer, tiny_card(model), record_golden(flatbuffer))
        return path

    return export
