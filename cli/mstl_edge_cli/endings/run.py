"""What `run` ends with: one ending for all that it did."""

from __future__ import annotations

from pathlib import Path

from mstl_edge.errors import typed
from mstl_edge.schemas.bench import BenchReport
from mstl_edge.schemas.export import Export
from mstl_edge.schemas.metrics import RunMetrics
from mstl_edge_cli.endings.bench import time_facts
from mstl_edge_cli.endings.ending import Ending, Fact, accuracy
from mstl_edge_cli.endings.export import size_facts, test_facts, verdict_facts


def run_ending(metrics: RunMetrics, record: Export, measured: BenchReport | None, *, run: Path, report: Path) -> Ending:
    """Return the gate's verdict and promise, float and int8 on the test split, size, time, and where everything lies.

    Args:
        metrics: What training measured.
        record: The export, a refused one too.
        measured: The benchmark; None where the gate refused.
        run: The run folder.
        report: The page, in the run folder.
    """
    last = metrics.stages[-1].test
    scored = test_facts(record) or [Fact("float32", accuracy(last.accuracy, last.n))]
    time = time_facts(measured) if measured is not None else []
    facts = (
        *verdict_facts(record),
        *scored,
        *size_facts(record),
        *time,
        Fact("run", str(run)),
        Fact("in it", ", ".join(filter(None, (record.model, report.name)))),
    )
    return Ending(facts, "" if record.model is None else typed("mstl-edge", "predict", run, "IMAGE"))
