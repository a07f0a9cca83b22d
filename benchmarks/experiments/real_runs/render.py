"""Tables of trained and exported models: accuracy, quantization, runtimes, instructions."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from rendered.markdown import pooled, read, table

PUBLISHED = {"ct-hemorrhage": "87.5 (one split of 40)", "ct-hemorrhage-single": "75.0 (one split of 40)"}


def real_runs() -> str:
    """Return accuracy of the published setting and its control on real images."""
    tree = read("real-runs.json")
    recipes = list(dict.fromkeys(run["recipe"] for run in tree["runs"]))
    rows = []
    for recipe in recipes:
        tests = [run["metrics"]["stages"][-1]["test"] for run in tree["runs"] if run["recipe"] == recipe]
        accuracies = [100 * test["accuracy"]["value"] for test in tests]
        aucs = [test["auc"]["value"] for test in tests]
        rows.append(
            [
                f"`{recipe}`",
                f"{statistics.mean(accuracies):.1f}",
                ", ".join(f"{value:.1f}" for value in accuracies),
                pooled(tests),
                f"{statistics.mean(aucs):.3f}",
                PUBLISHED.get(recipe, "–"),
            ]
        )
    columns = ["recipe", "mean accuracy %", "by seed", "pooled % (95 %)", "mean AUC", "published %"]
    return f"{tree['about']}\n\nFloat models on their test splits:\n\n{table(columns, rows)}"


def real_int8() -> str:
    """Return float, post-training and quantization-aware int8 on real images, refused candidates included."""
    tree = read("real-runs.json")
    rows = []
    for recipe in dict.fromkeys(run["recipe"] for run in tree["runs"] if "export" in run):
        exports = [run["export"] for run in tree["runs"] if run["recipe"] == recipe]
        rows += [_candidate_row(recipe, scheme, exports) for scheme in ("float32", "int8-ptq", "int8-qat")]
    columns = [
        "recipe",
        "model",
        "validation % (95 %), all seeds",
        "agreement with float %: mean, by seed",
        "flatbuffer",
        "test %, where an int8 file passed",
    ]
    return table(columns, rows)


def _candidate_row(recipe: str, scheme: str, exports: Sequence[Any]) -> list[object]:
    exact = scheme == "float32"
    reports = [_report(export, "int8-qat" if exact else scheme) for export in exports]
    accuracies = [
        {"accuracy": report["accuracy"]["float" if exact else "int8"], "n": report["validation_n"]}
        for report in reports
    ]
    agreements = [report["agreement"]["agreement"]["value"] for report in reports]
    by_seed = ", ".join(
        f"{100 * value:.2f} (refused)" if report["verdict"] == "refused" else f"{100 * value:.1f}"
        for value, report in zip(agreements, reports, strict=True)
    )
    passed = [export for export in exports if export["chosen"] is not None]
    tests = [e["test"]["float32" if exact else "int8"] for e in passed if exact or e["chosen"] == scheme]
    float_bytes = statistics.mean(export["float_flatbuffer_bytes"] for export in exports)
    sizes = [c["flatbuffer_bytes"] for export in exports for c in export["candidates"] if c["scheme"] == scheme]
    return [
        f"`{recipe}`",
        scheme,
        pooled(accuracies),
        "–" if exact else f"{100 * statistics.mean(agreements):.1f}: {by_seed}",
        f"{statistics.mean(sizes) / 1000:,.0f} kB ({100 * statistics.mean(sizes) / float_bytes:.1f} %)",
        f"{pooled(tests)}, {len(tests)} of {len(exports)} seeds" if tests else "–",
    ]


def agreement_of_lite() -> str:
    """Return in a sentence on how many images int8 files of `ct-hemorrhage-lite` answer as float does."""
    exports = [run["export"] for run in read("real-runs.json")["runs"] if run["recipe"] == "ct-hemorrhage-lite"]
    shares = [100 * export["gate"]["agreement"]["agreement"]["value"] for export in exports]
    refused = sum(export["chosen"] is None for export in exports)
    images = exports[0]["gate"]["images"]
    return (
        f"Over {len(exports)} seeds of `ct-hemorrhage-lite`, int8 gives the label of float on {statistics.mean(shares):.1f} % "
        f"of {images} real images in the mean ({min(shares):.1f} to {max(shares):.1f}); the gate refused {refused} of them."
    )


def _report(export: Any, scheme: str) -> Any:
    return next(candidate["gate"] for candidate in export["candidates"] if candidate["scheme"] == scheme)


TABLES = {"real-runs": real_runs, "real-int8": real_int8, "agreement-of-lite": agreement_of_lite}
