"""Render a result file of the suites as Markdown: `python benchmarks/suites/render.py RESULTS.json [--into README.md]`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mstl_edge.errors import MstlEdgeError
from mstl_edge.storage import write_text

BEGIN, END = "<!-- suites:begin -->", "<!-- suites:end -->"


def render(results: dict[str, Any]) -> str:
    """Return the tables of a pytest-benchmark file that the suites wrote."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for entry in results["benchmarks"]:
        groups.setdefault(entry["group"], []).append(entry)
    host = results["machine_info"]["mstl_edge_host"]
    board = "" if host["board"] == "unknown" else f"{host['board']}, "
    lines = [f"Measured on {board}{host['cpu']}, {host['cores']} cores, {host['bits']} bit, {host['system']}."]
    for name, draw in (("latency", _latency), ("runtimes", _runtimes), ("exported", _exported), ("light", _light)):
        if name in groups:
            lines += ["", *draw(groups[name])]
    return "\n".join(lines) + "\n"


def into(page: str, rendered: str) -> str:
    """Return `page` with what stands between the two marks replaced.

    Raises:
        MstlEdgeError: The page lacks a mark.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise MstlEdgeError(f"a page with {BEGIN} and {END}", received="one without")
    return f"{before}{BEGIN}\n{rendered}{END}{after}"


def _median_ms(entry: dict[str, Any]) -> str:
    return f"{1000 * entry['stats']['median']:.2f}"


def _latency(entries: Sequence[dict[str, Any]]) -> list[str]:
    """One row per width and input, one column per scheme and number of threads."""
    cells = {
        (e["extra_info"]["alpha"], e["extra_info"]["size"], e["extra_info"]["scheme"], e["extra_info"]["threads"]): e
        for e in entries
    }
    columns = sorted({(key[2], key[3]) for key in cells})
    rows = []
    for alpha, size in sorted({key[:2] for key in cells}):
        found = [cells.get((alpha, size, *column)) for column in columns]
        facts = next(entry for entry in found if entry)["extra_info"]
        times = [_median_ms(entry) if entry else "–" for entry in found]
        rows.append([f"{alpha:g}", str(size), f"{facts['parameters']:,}", f"{facts['macs'] / 1e6:,.0f}", *times])
    titles = [f"{scheme}, {threads} thread{'s' * (threads > 1)} ms" for scheme, threads in columns]
    return _table(["alpha", "input", "parameters", "MACs (M)", *titles], rows)


def _runtimes(entries: Sequence[dict[str, Any]]) -> list[str]:
    rows = [[e["extra_info"]["runtime"], e["extra_info"]["scheme"], _median_ms(e)] for e in entries]
    return _table(["MobileNet 1.0/224, 1 thread", "scheme", "median ms"], sorted(rows))


def _exported(entries: Sequence[dict[str, Any]]) -> list[str]:
    rows = [
        [e["extra_info"]["scheme"], str(e["extra_info"]["threads"]), _median_ms(e), f"{e['extra_info']['size_bytes'] / 1e3:,.0f}"]
        for e in entries
    ]  # fmt: skip
    return _table(["exported model", "threads", "median ms", "kB"], rows)


def _light(entries: Sequence[dict[str, Any]]) -> list[str]:
    rows = []
    for entry in entries:
        info = entry["extra_info"]
        if "ratio" in info:
            rows.append(
                [
                    "`mstl-edge --help` against a bare Typer app",
                    f"{info['ratio']:.2f} times",
                    f"{info['allowed']} times",
                ]
            )
        else:
            rows.append(
                [
                    "peak memory of `predict`, MobileNet 1.0 int8",
                    f"{info['peak_rss_bytes'] / 1e6:.0f} MB",
                    f"{info['allowed'] / 1e6:.0f} MB",
                ]
            )
    return _table(["light", "measured", "allowed"], rows)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (columns, ["---"] * len(columns), *rows)]


def main() -> None:
    """Print the tables, or put them into a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--into", type=Path, metavar="PAGE")
    options = parser.parse_args()
    rendered = render(json.loads(options.results.read_text(encoding="utf-8")))
    if options.into is None:
        sys.stdout.write(rendered)
    else:
        write_text(options.into, into(options.into.read_text(encoding="utf-8"), rendered))


if __name__ == "__main__":
    main()
