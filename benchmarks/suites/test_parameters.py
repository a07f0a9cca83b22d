"""Parameters, multiply-accumulates and size of every width, input size and scheme; the time is that of inspecting the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mstl_edge.artifact import inspect_flatbuffer, open_artifact

LARGEST_SHARE = {0.25: 0.36, 0.5: 0.32, 0.75: 0.30, 1.0: 0.28}
"""int8 flatbuffer over float32 flatbuffer; a small network carries relatively more structure."""


@pytest.mark.benchmark(group="parameters")
def test_parameters(
    benchmark: Any, model_file: Callable[[float, int, str], Path], alpha: float, size: int, scheme: str
) -> None:
    flatbuffer = open_artifact(model_file(alpha, size, scheme)).flatbuffer
    facts = benchmark.pedantic(inspect_flatbuffer, args=(flatbuffer,), rounds=3)
    benchmark.extra_info.update(
        alpha=alpha, size=size, scheme=scheme, parameters=facts.parameters, macs=facts.macs, size_bytes=len(flatbuffer)
    )
    twin = inspect_flatbuffer(open_artifact(model_file(alpha, size, "float32")).flatbuffer)
    assert (facts.parameters, facts.macs) == (twin.parameters, twin.macs)
    if scheme == "int8":
        assert len(flatbuffer) <= LARGEST_SHARE[alpha] * twin.size_bytes
