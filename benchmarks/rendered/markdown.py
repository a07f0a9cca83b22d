"""Committed results, and Markdown made of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mstl_edge.metrics import wilson

RESULTS = Path(__file__).parents[1] / "results"


def read(name: str) -> Any:
    """Return a committed result."""
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in lines)


def share(interval: Any) -> str:
    """Return an interval of shares in per cent."""
    return f"{100 * interval['value']:.1f} ({100 * interval['low']:.0f} to {100 * interval['high']:.0f})"


def pooled(entries: Sequence[Any]) -> str:
    """Return the accuracy over all seeds' images, with Wilson's interval on the pooled count."""
    n = sum(entry["n"] for entry in entries)
    correct = sum(round(entry["accuracy"]["value"] * entry["n"]) for entry in entries)
    interval = wilson(correct, n)
    return f"{share({'value': interval.value, 'low': interval.low, 'high': interval.high})}, n = {n}"
