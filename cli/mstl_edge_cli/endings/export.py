"""What `export` ends with."""

from __future__ import annotations

from pathlib import Path

from mstl_edge.errors import typed
from mstl_edge.schemas.export import Export
from mstl_edge_cli.console import Meaning
from mstl_edge_cli.endings.ending import Ending, Fact, accuracy, beside_float, first_of

VERDICTS: dict[str, Meaning] = {"proven": "good", "undecided": "doubtful", "refused": "refused"}
"""What the export gate's words mean."""


def export_ending(record: Export, run: Path) -> Ending:
    """Return the gate's verdict and promise, both files on the test split, the size, and where the files lie."""
    copies = [Fact("MediaPipe", f"{copy.path} in it") for copy in record.mediapipe]
    facts = (
        *verdict_facts(record),
        *test_facts(record),
        *size_facts(record),
        Fact("run", str(run)),
        *([Fact("model", f"{record.model} in it")] if record.model is not None else []),
        *copies,
    )
    return Ending(facts, "" if record.model is None else typed("mstl-edge", "bench", run))


def verdict_facts(record: Export) -> list[Fact]:
    """Return what the gate says; nothing where float files alone were asked for."""
    if record.refused:
        return [Fact("verdict", f"refused: {first_of(record.reasons)}", "refused")]
    if record.gate is None:
        return []
    said = f"{record.verdict}: {record.gate.promise}" if record.gate.promise else record.verdict
    doubts = [Fact("because", first_of(record.reasons))] if record.reasons else []
    return [Fact("verdict", said, VERDICTS.get(record.verdict)), *doubts]


def test_facts(record: Export) -> list[Fact]:
    """Return the accuracy of both files on the test split, and how often that has judged."""
    if record.test is None:
        return []
    again = f"; the split has judged {record.test.scored} files" if record.test.scored > 1 else ""
    float32, int8 = record.test.float32, record.test.int8
    return [
        Fact("float32", accuracy(float32.accuracy, float32.n)),
        Fact("int8", f"{accuracy(int8.accuracy, int8.n)}{again}"),
    ]


def size_facts(record: Export) -> list[Fact]:
    """Return the size of the exported file, beside that of its float32 twin."""
    sizes = {row.scheme: row.size_bytes for row in record.candidates}
    if record.chosen not in sizes:
        return []
    twin = None if record.chosen == "float32" else sizes.get("float32")
    return [Fact("size", beside_float(sizes[record.chosen], twin))]
