"""Tables of what the pytest-benchmark suites measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rendered.markdown import read, table


def suites() -> str:
    """Return what the pytest-benchmark suites measured on the machine that the file names."""
    results = read("suites.json")
    groups: dict[str, list[dict[str, Any]]] = {}
    # tflite-runtime has an environment and so a file of its own; LiteRT was measured there once more.
    elsewhere = read("suites-tflite-runtime.json")["benchmarks"]
    others = [entry for entry in elsewhere if entry["extra_info"]["runtime"].startswith("tflite-runtime")]
    for entry in (*results["benchmarks"], *others):
        groups.setdefault(entry["group"], []).append(entry)
    host = results["machine_info"]["mstl_edge_host"]
    board = "" if host["board"] == "unknown" else f"{host['board']}, "
    lines = [f"Measured on {board}{host['cpu']}, {host['cores']} cores, {host['bits']} bit, {host['system']}."]
    for name, draw in (("latency", _latency), ("runtimes", _runtimes), ("exported", _exported), ("light", _light)):
        if name in groups:
            lines += ["", draw(groups[name])]
    return "\n".join(lines)


def _median_ms(entry: dict[str, Any]) -> str:
    return f"{1000 * entry['stats']['median']:.2f}"


def _latency(entries: Sequence[dict[str, Any]]) -> str:
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
    return table(["alpha", "input", "parameters", "MACs (M)", *titles], rows)


def _runtimes(entries: Sequence[dict[str, Any]]) -> str:
    rows = [[e["extra_info"]["runtime"], e["extra_info"]["scheme"], _median_ms(e)] for e in entries]
    return table(["MobileNet 1.0/224, 1 thread", "scheme", "median ms"], sorted(rows))


def _exported(entries: Sequence[dict[str, Any]]) -> str:
    rows = [
        [e["extra_info"]["scheme"], str(e["extra_info"]["threads"]), _median_ms(e), f"{e['extra_info']['size_bytes'] / 1e3:,.0f}"]
        for e in entries
    ]  # fmt: skip
    return table(["exported model", "threads", "median ms", "kB"], rows)


def _light(entries: Sequence[dict[str, Any]]) -> str:
    rows: list[list[str]] = []
    for info in (entry["extra_info"] for entry in entries):
        if "ratio" in info:
            told = f"{info['ratio']:.2f} times"
            rows.append(["`mstl-edge --help` against a bare Typer app", told, f"{info['allowed']} times"])
        elif "install_bytes" in info:
            rows.append(["base install, Python's own files apart", f"{info['install_bytes'] / 1e6:.0f} MB", "–"])
            rows.append(["`import mstl_edge` in it", f"{info['import_seconds']:.2f} s", "–"])
            if "first_answer_seconds" in info:
                told = f"{info['first_answer_seconds']:.2f} s"
                rows.append(["import, load and first answer in it, MobileNet 1.0 int8", told, "–"])
        else:
            told, allowed = (f"{info[key] / 1e6:.0f} MB" for key in ("peak_rss_bytes", "allowed"))
            over = f" over {info['images']} images" if "images" in info else ""
            rows.append([f"peak memory of `predict`{over}, MobileNet 1.0 int8", told, allowed])
    return table(["light", "measured", "allowed"], rows)
