"""Parameters, multiply-accumulates and size of every width, input size and scheme; the time is that of inspecting the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mstl_edge.artifact import inspect_flatbuffer, open_artifact
from mstl_edge_bench.lineup import trainable_parameters

LARGEST_SHARE = {0.25: 0.36, 0.5: 0.32, 0.75: 0.30, 1.0: 0.28}
"""int8 flatbuffer over float32 flatbuffer; a small network carries relatively more structure."""


@pytest.mark.benchmark(group="parameters")
def test_parameters(
    benchmark: Any, model_file: Callable[[float, int, str], Path], alpha: float, size: int, scheme: str
) -> None:
    """Trainable are those that the recipe in the card trains in its last stage."""
    artifact, twin = (open_artifact(model_file(alpha, size, name)) for name in (scheme, "float32"))
    facts = benchmark.pedantic(inspect_flatbuffer, args=(artifact.flatbuffer,), rounds=3)
    trainable = trainable_parameters(artifact)
    benchmark.extra_info.update(
        alpha=alpha, size=size, scheme=scheme, parameters=facts.parameters, trainable_parameters=trainable,
        macs=facts.macs, size_bytes=len(artifact.flatbuffer),
    )  # fmt: skip
    assert (facts.parameters, facts.macs) == (twin.facts.parameters, twin.facts.macs)
    assert trainable == trainable_parameters(twin)
    if scheme == "int8":
        assert len(artifact.flatbuffer) <= LARGEST_SHARE[alpha] * twin.facts.size_bytes
