"""A model in its runtime, its golden answers replayed."""

from __future__ import annotations

from dataclasses import dataclass

from mstl_edge.artifact import Artifact
from mstl_edge.runtime import InterpreterRuntime, RuntimeChoice, load_runtime, replay_golden
from mstl_edge_bench.machine.delegate import Coverage, delegate_coverage


@dataclass(frozen=True)
class Loaded:
    """A model in its runtime, golden answers replayed."""

    artifact: Artifact
    runtime: InterpreterRuntime
    golden_lsb: float | None
    coverage: Coverage


def load(artifact: Artifact, choice: RuntimeChoice, threads: int) -> Loaded:
    """Load a model and check it.

    Raises:
        ArtifactError: It answers its golden images differently here.
        MissingExtraError: The runtime is not installed.
    """
    runtime = load_runtime(artifact, runtime=choice, threads=threads)
    return Loaded(artifact, runtime, replay_golden(runtime, artifact), delegate_coverage(runtime.interpreter))
