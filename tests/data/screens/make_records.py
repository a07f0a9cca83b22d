"""Trims records of real runs and of a study to what screens show, and sets two benchmarks beside them whose times are made up.

Run from the repository, on a folder of run folders: python tests/data/screens/make_records.py RUNS
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
STUDY = HERE.parents[2] / "benchmarks" / "results" / "studies" / "ct-hemorrhage.json"
UNSEEN = (
    "notes",
    "float_conversion",
    "int8_conversion",
    "per_fold",
    "provenance",
    "calibration_error_bins",
    "by_class",
)


def write(name: str, tree: Any) -> None:
    """Write a record with as many digits as a person reads."""
    short = json.loads(json.dumps(trimmed(tree)), parse_float=lambda text: round(float(text), 5))
    (HERE / f"{name}.json").write_text(json.dumps(short, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def trimmed(tree: Any) -> Any:
    """Return a tree without what no screen shows."""
    if isinstance(tree, dict):
        return {key: trimmed(value) for key, value in tree.items() if key not in UNSEEN}
    return [trimmed(value) for value in tree] if isinstance(tree, list) else tree


def read(path: Path) -> Any:
    """Return the tree in a file."""
    return json.loads(path.read_text(encoding="utf-8"))


def refused(export: Any) -> Any:
    """Return an export of which the gate let nothing through."""
    reasons = [
        "ptq: labels agree on 91.20 % of 122 images, below 97 %",
        "ptq: 122 images cannot exclude a drop above 3 points (up to 7.4); about 410 that the two answer as differently would",
        "qat: labels agree on 95.90 % of 122 images, below 97 %",
    ]
    rows = [dict(row, gate=row["gate"] and dict(row["gate"], verdict="refused")) for row in export["candidates"]]
    nothing = {"model": None, "chosen": None, "test": None}
    return {**export, **nothing, "verdict": "refused", "reasons": reasons, "candidates": rows}


def timing(median: float, spread: float, blocks: int = 5, each: int = 4) -> Any:
    """Return times whose blocks differ by `spread`."""
    raw = [round(median * (1 + spread * (block - 2) / 4), 4) for block in range(blocks) for _ in range(each)]
    known = {"spread": spread, "stable": spread <= 0.15, "blocks": blocks, "raw": raw}
    return {"median": median, "p90": median * 1.1, "p99": median * 1.3, "mean": median, "std": 0.1, **known}


def result(scheme: str, threads: int, median: float, spread: float, scored: Any) -> Any:
    """Return a row of a benchmark."""
    valid = spread <= 0.15
    because = (
        f"medians of the blocks differ by {100 * spread:.0f} % (bound 15 %). Stop other work on this machine, or let "
    )
    because += "bench try for longer (--patience SECONDS), and measure again."
    return {
        "model": f"ct-hemorrhage-lite-{scheme}.tflite", "scheme": scheme, "runtime": "LiteRT 2.3.0", "runtime_kind": "litert",
        "threads": threads, "latency_ms": timing(median, spread), "decode_resize_ms": timing(2.1, 0.02),
        "end_to_end_ms": timing(median + 2.2, 0.02), "overhead": {"bare_median_ms": median, "share": 0.004},
        "startup": {
            "processes": 3, "load_ms": 3.1, "allocate_ms": 1.4, "first_inference_ms": 2 * median, "imported_rss_bytes": 41_000_000,
            "load_rss_bytes": 3_400_000, "allocate_rss_bytes": 1_700_000, "first_inference_rss_bytes": 300_000,
            "peak_rss_bytes": 63_000_000,
        },
        "accuracy": scored, "parameters": 219058, "trainable_parameters": 205730, "macs": 13_600_000,
        "size_bytes": 898080 if scheme == "float32" else 352264, "valid": valid, "invalid_because": None if valid else because,
    }  # fmt: skip


def bench(spread: float, export: Any) -> Any:
    """Return a benchmark of an export's two files on a made-up board."""
    scored = {}
    for scheme in ("float32", "int8"):
        scores = export["test"][scheme]
        beside = {
            name: scores[name]
            for name in ("n", "sensitivity", "specificity", "auc", "macro_f1", "classes", "confusion")
        }
        scored[scheme] = {"data": "test split of target, run ct-hemorrhage-lite", **scores["accuracy"], **beside}
    medians = {("float32", 1): 21.4, ("int8", 1): 8.93, ("float32", 4): 7.9, ("int8", 4): 3.61}
    rows = [result(scheme, threads, ms, spread, scored[scheme]) for (scheme, threads), ms in medians.items()]
    stable = spread <= 0.15
    names = {"model": "ct-hemorrhage-lite-int8.tflite", "float_model": "ct-hemorrhage-lite-float32.tflite"}
    because = "XNNPACK runs 30 of 31 operators; the CPU has no int8 dot product."
    ratios = [(1, 2.4, 2.3, 2.5), (4, 2.19, 2.0, 2.4)]
    by_threads = [
        dict(zip(("threads", "speedup", "low", "high"), ratio, strict=True), because=because) for ratio in ratios
    ]
    told = [
        f"{count} thread{'s' * (count > 1)}: no speed-up, since the times of {' and '.join(names.values())} are not valid"
        for count in (1, 4)
    ]
    comparison = {
        **names, "runtime_kind": "litert", "speedup": 2.4 if stable else None, "by_threads": by_threads if stable else [],
        "not_compared": [] if stable else told, "size_ratio": 352264 / 898080, "agreement": 0.96875, "accuracy_drop": 0.0,
        "accuracy_drop_low": -0.0606, "accuracy_drop_high": 0.0606, "float_only_correct": 0, "quantized_only_correct": 0,
        "mcnemar_p": 1.0,
    }  # fmt: skip
    host = {
        "board": "Raspberry Pi 4 Model B Rev 1.4", "cpu": "Cortex-A72", "architecture": "aarch64", "cores": 4,
        "governor": "ondemand", "memory_bytes": 3_900_000_000, "system": "Debian GNU/Linux 12",
    }  # fmt: skip
    both = {"comparison": comparison, "comparisons": [comparison]}
    return {"schema": "mstl-edge/bench/1", "host": host, "protocol": {"blocks": 5}, "results": rows, **both}


def main(runs: Path) -> None:
    """Write all records."""
    lite = read(runs / "ct-hemorrhage-lite-seed0" / "exports" / "export.json")
    undecided = read(runs / "chest-seed0" / "exports" / "export.json")
    write("metrics", read(runs / "ct-hemorrhage-seed0" / "metrics.json"))
    write("metrics-of-three", read(runs / "busi-seed0" / "metrics.json"))
    write("export-proven", lite)
    write("export-undecided", undecided)
    write("export-refused", refused(undecided))
    write("export-of-three", read(runs / "busi-seed0" / "exports" / "export.json"))
    write("bench", bench(0.03, lite))
    write("bench-unstable", bench(0.41, lite))
    write("bench-of-three", bench(0.03, read(runs / "busi-seed0" / "exports" / "export.json")))
    write("study", read(STUDY))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
