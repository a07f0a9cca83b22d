"""What `run` ends with: one ending for all that it did."""

from __future__ import annotations

from pathlib import Path

from mstl_edge.errors import typed
from mstl_edge.schemas.bench import BenchReport
from mstl_edge.schemas.export import Export
from mstl_edge.schemas.metrics import RunMetrics
from mstl_edge_cli.endings.bench import time_facts
from mstl_edge_cli.endings.ending import Ending, Fact
from mstl_edge_cli.endings.export import model_facts, size_facts, test_facts, verdict_facts
from mstl_edge_cli.endings.train import stage_facts


def run_ending(metrics: RunMetrics, record: Export, measured: BenchReport | None, *, run: Path, report: Path) -> Ending:
    """Return the gate's verdict and promise, float and int8 on the test split, size, time, and where everything lies.

    Args:
        metrics: What training measured.
        record: The export, a refused one too.
        measured: The benchmark; None where the gate refused.
        run: The run folder.
        report: The page.
    """
    scored = test_facts(record) or stage_facts(metrics.stages[-1:])
    time = time_facts(measured) if measured is not None else []
    facts = (
        *verdict_facts(record),
        *scored,
        *size_facts(record),
        *time,
        Fact("run", str(run)),
        *model_facts(record),
        Fact("report", f"{report.relative_to(run)} in it" if report.is_relative_to(run) else str(report)),
    )
    return Ending(facts, "" if record.model is None else typed("mstl-edge", "predict", run / record.model, "IMAGE"))
