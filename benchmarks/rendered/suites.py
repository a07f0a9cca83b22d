"""Tables of what the pytest-benchmark suites measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mstl_edge.schemas.bench_steadiness import BLOCK_SPREAD
from mstl_edge.schemas.bench_wording import UNSTABLE, marked, milliseconds
from rendered.markdown import read, share, table

NOTHING = "–"
TIMED = ("latency", "runtimes", "exported")
_AGREEMENT = {"value": "agreement", "low": "agreement_low", "high": "agreement_high"}


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
    if explained := marks_explained([entry for name in TIMED for entry in groups.get(name, ())]):
        lines += ["", explained]
    tables = {"latency": _latency, "runtimes": _runtimes, "exported": _exported, "accuracy": _accuracy, "light": _light}
    for name, draw in tables.items():
        if name in groups:
            lines += ["", draw(groups[name])]
    return "\n".join(lines)


def median_ms(entry: dict[str, Any]) -> str:
    """Return the median of an entry, marked where its blocks or the machine did not hold still."""
    info = entry["extra_info"]
    median = milliseconds(1000 * entry["stats"]["median"])
    if "spread" not in info:
        return f"?{median}"
    # Older files do not hold the judgement, only what it was made of; `valid` spoke of the machine alone.
    stable = info.get("stable", info["spread"] <= BLOCK_SPREAD)
    disturbed = not info.get("held_still", info["valid"])
    return f"{'!' if disturbed else ''}{marked(median, stable=stable, spread=info['spread'])}"


def marks_explained(entries: Sequence[dict[str, Any]]) -> str:
    """Return what the marks of `median_ms` mean, those that occur; and how the times were taken."""
    cells = [median_ms(entry) for entry in entries]
    blocks = sorted({entry["extra_info"]["blocks"] for entry in entries if "blocks" in entry["extra_info"]})
    said = []
    if blocks:
        said.append(
            f"Times are medians over {' or '.join(map(str, blocks))} blocks, which take turns with those of the same row or table."
        )
    if any(UNSTABLE in cell for cell in cells):
        said.append(
            f"`{UNSTABLE}`: the medians of the blocks differ by more than {BLOCK_SPREAD:.0%}, in brackets by how much; such a "
            "number is good for an order of magnitude."
        )
    if any("!" in cell for cell in cells):
        said.append("`!`: clock, temperature or throttling changed meanwhile; the result file says how.")
    if any("?" in cell for cell in cells):
        said.append("`?`: one block alone, so how steady it is isn't known.")
    return " ".join(said)


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
        times = [median_ms(entry) if entry else NOTHING for entry in found]
        counts = [f"{facts['parameters']:,}", _count(facts.get("trainable_parameters")), f"{facts['macs'] / 1e6:,.0f}"]
        rows.append([f"{alpha:g}", str(size), *counts, *times])
    titles = [f"{scheme}, {threads} thread{'s' * (threads > 1)} ms" for scheme, threads in columns]
    return table(["alpha", "input", "parameters", "trainable (`phantom`)", "MACs (M)", *titles], rows)


def _runtimes(entries: Sequence[dict[str, Any]]) -> str:
    rows = [[e["extra_info"]["runtime"], e["extra_info"]["scheme"], median_ms(e)] for e in entries]
    apart = (
        "\n\ntflite-runtime has an environment and so a session of its own."
        if any("tflite" in row[0] for row in rows)
        else ""
    )
    return table(["MobileNet 1.0/224, 1 thread", "scheme", "median ms"], sorted(rows)) + apart


def _exported(entries: Sequence[dict[str, Any]]) -> str:
    rows = [
        [e["extra_info"]["scheme"], str(e["extra_info"]["threads"]), median_ms(e), f"{e['extra_info']['size_bytes'] / 1e3:,.0f}"]
        for e in entries
    ]  # fmt: skip
    return table(["exported model", "threads", "median ms", "kB"], rows)


def _accuracy(entries: Sequence[dict[str, Any]]) -> str:
    """One row per candidate of a run's export, scored on the run's own test split."""
    infos = [entry["extra_info"] for entry in entries]
    rows = []
    for info in infos:
        scores, paired = info["accuracy"], info["against_float"]
        shares = [_share(scores), _share(scores.get("sensitivity")), _share(scores.get("specificity"))]
        alike = {key: paired[name] for key, name in _AGREEMENT.items()}
        agreement = NOTHING if info["scheme"] == "float32" else share(alike)
        counts = [_count(info.get("parameters")), _count(info.get("trainable_parameters"))]
        rows.append([info["scheme"], *shares, _area(scores.get("auc")), str(scores["n"]), agreement, *counts])
    titles = [
        "exported model", "accuracy % (95 %)", "sensitivity %", "specificity %", "AUC", "images",
        "labels as float's %", "parameters", "trainable",
    ]  # fmt: skip
    told = dict.fromkeys(f"`{info['run']}`, {info['accuracy']['data']}:" for info in infos)
    return "\n\n".join([*told, table(titles, rows)])


def _share(interval: dict[str, float] | None) -> str:
    return NOTHING if interval is None else share(interval)


def _area(interval: dict[str, float] | None) -> str:
    return NOTHING if interval is None else "{value:.3f} ({low:.3f} to {high:.3f})".format(**interval)


def _count(number: int | None) -> str:
    return NOTHING if number is None else f"{number:,}"


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
