"""Tables of trained and exported models: accuracy, quantization, runtimes, instructions."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from rendered.markdown import pooled, read, table

SPLITS = ("validation", "test")
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


def quantization_in_short() -> str:
    """Return what tfmot's own scheme, a scale per channel, and the two candidates of an export come to."""
    return quantization(
        (
            "float32",
            "tfmot, fit of all layers",
            "ours, depthwise per tensor",
            "ours, depthwise per channel",
            "ours, biases corrected (PTQ)",
            "ours, fine-tuned and distilled (QAT)",
        )
    )


def quantization(schemes: Sequence[str] = ()) -> str:
    """Return what each step of quantization brings; all steps unless some are named."""
    runs = read("quantization.json")["runs"]
    rows = []
    for recipe in dict.fromkeys(run["recipe"] for run in runs):
        chosen = [run["schemes"] for run in runs if run["recipe"] == recipe]
        for scheme in schemes or chosen[0]:
            entries = [measured[scheme] for measured in chosen]
            right = {split: [one for entry in entries for one in entry["right"][split]] for split in SPLITS}
            use = [entry["depthwise_channels"]["at_127"] for entry in entries if "depthwise_channels" in entry]
            rows.append(
                [
                    f"`{recipe}`",
                    scheme,
                    f"{100 * statistics.mean(entry['agreement'] for entry in entries):.1f}",
                    f"{statistics.mean(entry['mean_difference'] for entry in entries):.3f}",
                    *(f"{sum(right[split])}/{len(right[split])}" for split in SPLITS),
                    f"{100 * statistics.mean(use):.0f}" if use else "–",
                    f"{statistics.mean(entry['seconds'] for entry in entries):.1f}" if use else "–",
                    f"{statistics.mean(entry['fit_seconds'] for entry in entries):.1f}"
                    if "fit_seconds" in entries[0]
                    else "–",
                ]
            )
    columns = [
        "recipe",
        "int8 by",
        "agreement with float %",
        "mean difference in p",
        *SPLITS,
        "depthwise channels at 127 in the file, %",
        "seconds",
        "of them fitting",
    ]
    return table(columns, rows)


def instructions() -> str:
    """Return the instructions of one inference on emulated cores."""
    counts = read("instructions.json")["counts"]
    found = {(row["core"], row["runtime"], row["scheme"]): row["instructions"] / 1e6 for row in counts}
    boards = {row["core"]: row["board"] for row in counts}
    rows = [
        [f"{core.title()} ({boards[core]})", runtime, *(f"{found[core, runtime, s]:.1f}" for s in ("float32", "int8"))]
        for runtime, core in dict.fromkeys((row["runtime"], row["core"]) for row in counts)
    ]
    return table(["core", "runtime", "float32, million", "int8, million"], rows)


def runtimes() -> str:
    """Return how far the runtimes' answers lie apart."""
    rows = []
    for model in read("runtimes.json")["models"]:
        for row in model["rows"]:
            apart, same = row["from_litert_x86"], row.get("from_same_runtime_x86")
            lsb = [f"{told['mean_lsb']:.2g}, {told['largest_lsb']:.2g}" if told else "–" for told in (apart, same)]
            labels = f"{apart['equal_labels']} of {row['n']}"
            rows.append(
                [
                    f"`{model['name']}` {model['scheme']}",
                    f"{row['runtime']} {row['version']}",
                    row["machine"],
                    labels,
                    *lsb,
                ]
            )
    columns = ["model", "runtime", "machine", "labels as by LiteRT on x86-64"]
    return table([*columns, "LSB from LiteRT on x86-64 (mean, largest)", "LSB from the same runtime on x86-64"], rows)


def phantom() -> str:
    """Return how hard the drawn images are."""
    tree = read("phantom-difficulty.json")
    names = {
        "linear": "linear classifier on pixels",
        "none": "MobileNet 0.25 from random weights",
        "bundled": "from the bundled weights",
    }
    n = ", ".join(str(row["test_images"]) for row in tree["seeds"])
    rows = [
        [
            title,
            f"{100 * tree['mean'][name]:.1f}",
            "{:.1f} to {:.1f}".format(*(100 * end for end in tree["range"][name])),
        ]
        for name, title in names.items()
    ]
    return table(["phantom:head-ct", "mean accuracy %", f"range over {len(tree['seeds'])} seeds (n = {n})"], rows)
