"""What `train` ends with."""

from __future__ import annotations

from pathlib import Path

from mstl_edge.counted import counted, duration
from mstl_edge.errors import typed
from mstl_edge.schemas.metrics import RunMetrics
from mstl_edge_cli.endings.ending import Ending, Fact, accuracy

_STAGES_SHOWN = 4


def train_ending(metrics: RunMetrics, run: Path) -> Ending:
    """Return the float model's accuracy on the test splits of the last stages, and what they were made of."""
    last = metrics.stages[-1]
    took = f" in {duration(metrics.seconds)}" if metrics.seconds is not None else ""
    images = ", ".join(f"{split} {n:,}" for split, n in last.images.items())
    patients = "split by patient" if last.patients_known else "patients unknown"
    facts = (
        Fact("verdict", f"trained: {counted(len(metrics.stages), 'stage')}{took}; no int8 file is made yet", "good"),
        *(Fact(stage.name, accuracy(stage.test.accuracy, stage.test.n)) for stage in metrics.stages[-_STAGES_SHOWN:]),
        Fact("images", f"{last.name}: {images}; {patients}"),
        Fact("run", str(run)),
    )
    return Ending(facts, typed("mstl-edge", "export", run))
