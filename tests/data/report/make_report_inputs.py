"""Draws the inputs of the report's tests: a run folder as `train` and `export` leave it, a benchmark, a study.

The run has no weights and no model files.

Run from the repository: python tests/data/report/make_report_inputs.py
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from mstl_edge.metrics import (
    classification_metrics,
    decide,
    mcnemar_exact,
    paired_agreement,
    paired_difference,
    wilson,
)
from mstl_edge.recipe import load_recipe, to_toml

HERE = Path(__file__).parent
LABELS = {"bridge": ("normal", "pneumonia"), "target": ("hemorrhage", "normal")}
POSITIVE = {"bridge": 1, "target": 0}
THRESHOLD = 0.45


def plain(value: Any) -> Any:
    """Return plain values with as many digits as a person reads."""
    return json.loads(json.dumps(msgspec.to_builtins(value)), parse_float=lambda text: round(float(text), 6))


def draw_answers(rng: np.random.Generator, n: int, positive: int, separation: float) -> tuple[Any, Any]:
    """Return `(n,)` classes, half of each, and `(n, 2)` probabilities."""
    classes = np.arange(n) % 2
    logits = rng.normal(0, 1, n) + separation * (classes == positive) - separation / 2
    p_positive = np.round(1 / (1 + np.exp(-2 * logits)), 6)
    probabilities = np.empty((n, 2))
    probabilities[:, positive], probabilities[:, 1 - positive] = p_positive, np.round(1 - p_positive, 6)
    return classes, probabilities


def score(classes: Any, probabilities: Any, positive: int) -> Any:
    """Return a split's metrics."""
    return plain(classification_metrics(classes, probabilities, positive=positive, threshold=THRESHOLD))


def write_stage(run: Path, name: str, n: int, rng: np.random.Generator) -> tuple[dict[str, Any], Any, Any]:
    """Write a stage's tables; return its entry in `metrics.json` and its answers to the test split."""
    folder, positive, labels = run / "stages" / name, POSITIVE[name], LABELS[name]
    folder.mkdir(parents=True, exist_ok=True)
    write_history(folder / "history.csv", rng)
    parts = {split: draw_answers(rng, n, positive, 1.9) for split in ("validation", "test")}
    with (folder / "predictions.csv").open("w", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["image", "split", "label", *labels])
        for split, (classes, probabilities) in parts.items():
            for i, (c, row) in enumerate(zip(classes, probabilities, strict=True)):
                writer.writerow([f"patient-{split}-{i:03}.png", split, labels[c], *(f"{p:.6f}" for p in row)])
    entry = {
        "name": name, "labels": list(labels), "positive": labels[positive],
        "images": {"train": 4 * n, "validation": n, "test": n}, "patients_known": name == "bridge", "unreadable": [],
        "epochs": 6, "selected_epoch": 4, "temperature": 1.2, "threshold": THRESHOLD,
        "parameters": {"total": 214114, "trained": 90000},
        **{split: score(classes, probabilities, positive) for split, (classes, probabilities) in parts.items()},
        "seconds": 12.5,
    }  # fmt: skip
    return entry, *parts["test"]


def write_history(path: Path, rng: np.random.Generator) -> None:
    """Write six epochs that learn."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["epoch,learning_rate,loss,accuracy,validation_loss,validation_accuracy"]
    for epoch in range(1, 7):
        loss, accuracy = 0.7 / epoch + 0.05 * rng.random(), 1 - 0.45 / epoch
        lines.append(f"{epoch},0.0001,{loss:.6f},{accuracy:.6f},{loss + 0.15:.6f},{accuracy - 0.05:.6f}")
    path.write_text("\n".join(lines) + "\n")


def write_run(rng: np.random.Generator) -> None:
    """Write the run folder."""
    run = HERE / "run"
    (run / "exports").mkdir(parents=True, exist_ok=True)
    (run / "recipe.toml").write_text(to_toml(load_recipe("phantom")))
    (run / "run.json").write_text(
        json.dumps({"schema": "mstl-edge/run/1", "recipe": "phantom", "versions": {"python": "3.11.7"}}, indent=2)
        + "\n"
    )
    bridge, _, _ = write_stage(run, "bridge", 48, rng)
    target, classes, floats = write_stage(run, "target", 40, rng)
    write_history(run / "stages" / "quantize" / "history.csv", rng)
    metrics = {
        "schema": "mstl-edge/metrics/1",
        "recipe": "phantom",
        "seed": 0,
        "stages": [bridge, target],
        "seconds": 25.0,
    }
    (run / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    write_export(run, classes, floats, target, rng)


def write_export(run: Path, classes: Any, floats: Any, target: dict[str, Any], rng: np.random.Generator) -> None:
    """Write `export.json` and both files' answers to the test images."""
    moved = np.clip(floats[:, 0] + rng.normal(0, 0.02, len(floats)), 0.001, 0.999).round(6)
    answers = {"float32": floats, "int8": np.stack([moved, (1 - moved).round(6)], axis=1)}
    labels = LABELS["target"]
    with (run / "exports" / "test_predictions.csv").open("w", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["image", "label", *(f"{model} {label}" for model in answers for label in labels)])
        for i, (c, *rows) in enumerate(zip(classes, *answers.values(), strict=True)):
            writer.writerow([f"patient-test-{i:03}.png", labels[c], *(f"{p:.6f}" for row in rows for p in row)])
    right = {name: decide(p, positive=0, threshold=THRESHOLD) == classes for name, p in answers.items()}
    drop = paired_difference(right["float32"], right["int8"])
    agreement = paired_agreement(*answers.values(), positive=0, thresholds=(THRESHOLD, THRESHOLD))
    mcnemar = mcnemar_exact(right["float32"], right["int8"])
    reason = (
        "80 images cannot exclude a drop above 3 points (up to 6.2); about 190 that the two answer as differently would"
    )
    refusal = "labels agree on 95.0 % of 120 images, below 97 %"

    def pool(agreed: int, largest: float, mean: float) -> dict[str, Any]:
        """Return an agreement."""
        share = plain(wilson(agreed, 120))
        return {"n": 120, "agreement": share, "largest_difference": largest, "mean_difference": mean}

    def judged(verdict: str, reasons: list[str], right: int, agreed: int) -> dict[str, Any]:
        """Return what the gate says of a candidate."""
        return {
            "verdict": verdict, "reasons": reasons, "validation_n": 40,
            "accuracy": {"float": wilson(34, 40), "int8": wilson(right, 40)}, "drop": drop, "mcnemar": mcnemar,
            "agreement": pool(agreed, 0.0612, 0.0123), "float_conversion": pool(120, 6e-6, 2e-6),
            "int8_conversion": pool(119, 0.0312, 0.0021),
            "promise": "int8 costs at most 6.2 points of accuracy and labels at least 93.0 % of images as float does (95 %), on 80 "
            "images of the kind it is for",
            "images": 80, "drop_at_most": 0.062, "agreement_at_least": 0.93,
            "origins": [
                {"origin": "target validation", "images": 40, "views": 8, "carries": True, "judged": "file",
                 "agreement": pool(118, 0.0612, 0.0123), "drop": drop},
                {"origin": "target cross-fitted", "images": 40, "views": 8, "carries": True, "judged": "procedure",
                 "agreement": pool(agreed, 0.0612, 0.0123), "drop": drop},
                {"origin": "bridge held-out", "images": 48, "carries": False, "agreement": pool(96, 0.2, 0.05)},
            ],
        }  # fmt: skip

    skipped = [
        {"layer": layer, "kind": "ZeroPadding2D", "reason": "adds zeros, which are exact in every scale of its input"}
        for layer in ("conv_pad_2", "conv_pad_4")
    ]
    softmax = {
        "layer": "head_probabilities",
        "kind": "Softmax",
        "reason": "its output scale is fixed to 1/256 by TFLite",
    }
    notes = {"skipped": [*skipped, softmax]}
    rows = [
        {"scheme": "float32", "accuracy": target["validation"]["accuracy"], "agreement": None, "size_bytes": 901234}
    ]
    for scheme, size, gate, more in (
        ("int8-ptq", 301234, judged("refused", [refusal, reason], 33, 114), {}),
        ("int8-qat", 301300, judged("undecided", [reason], 35, 118), {"epochs": 3}),
    ):
        row = {
            "scheme": scheme,
            "accuracy": gate["accuracy"]["int8"],
            "agreement": gate["agreement"],
            "size_bytes": size,
        }
        rows.append({**row, "gate": gate, "notes": {**more, **notes}})
    scored = {name: score(classes, p, 0) for name, p in answers.items()}
    tree = {
        "schema": "mstl-edge/export/2", "model": "exports/phantom-int8.tflite", "float_model": "exports/phantom-float32.tflite",
        "chosen": "int8-qat", "candidates": rows,
        "test": {**scored, "drop": drop, "mcnemar": mcnemar, "agreement": agreement},
        "gate": rows[2]["gate"], "calibration_warnings": [], "verdict": "undecided", "reasons": [reason],
    }  # fmt: skip
    (run / "exports" / "export.json").write_text(json.dumps(plain(tree), indent=1) + "\n")


def write_bench(rng: np.random.Generator) -> None:
    """Write a benchmark of two files with one and two threads."""
    results = []
    for scheme, size, middle in (("float32", 901234, 3.1), ("int8", 301300, 1.9)):
        for threads in (1, 2):
            raw = np.sort(middle / threads**0.6 * (1 + rng.exponential(0.08, 100)))
            median, p90, p99 = (round(float(np.percentile(raw, at)), 4) for at in (50, 90, 99))
            results.append({
                "model": f"phantom-{scheme}.tflite", "scheme": scheme, "runtime": "LiteRT 2.3.0", "threads": threads,
                "latency_ms": {"median": median, "p90": p90, "p99": p99, "raw": raw.round(4).tolist()},
                "accuracy": {"n": 40, **plain(wilson(34, 40))}, "parameters": 214114, "macs": 7500000, "size_bytes": size,
                "peak_rss_bytes": 51000000, "valid": threads == 1,
                "invalid_because": None if threads == 1 else "two cores were busy",
                "a_field_of_tomorrow": 1,
            })  # fmt: skip
    comparison = {
        "speedup": 1.6,
        "by_threads": [{"threads": 1, "speedup": 1.63, "low": 1.5, "high": 1.7, "because": "…"}],
    }
    host = {"board": "Drawn Board 1", "cpu": "drawn", "architecture": "aarch64", "emulated": None}
    tree = {
        "schema": "mstl-edge/bench/1",
        "host": host,
        "results": results,
        "comparison": comparison,
        "notes": ["drawn, not measured"],
    }
    (HERE / "bench.json").write_text(json.dumps(tree, indent=1) + "\n")


def around(value: float, half: float) -> dict[str, float]:
    """Return an interval."""
    return {"value": round(value, 4), "low": round(value - half, 4), "high": round(min(1.0, value + half), 4)}


def draw_arm(rng: np.random.Generator, positives: Any, shift: Any, skill: float) -> list[tuple[int, int, float, float]]:
    """Return two repeats of answers: repeat, image, threshold of its fold, probability of hemorrhage."""
    rows = []
    for repeat in (1, 2):
        noise = rng.normal(0, 1, len(positives)) if shift is None else shift[repeat - 1]
        for image, (is_positive, moved) in enumerate(zip(positives, noise, strict=True)):
            p = 1 / (1 + np.exp(-(skill * (2 * is_positive - 1) + 1.4 * moved)))
            rows.append((repeat, image, 0.5 if image % 3 else 0.45, round(float(p), 6)))
    return rows


def arm_entry(name: str, scheme: str, rows: Any, positives: Any) -> dict[str, Any]:
    """Return an arm of `study.json` whose confusion matrix is that of its answers."""
    confusion = [[0, 0], [0, 0]]
    for _, image, threshold, p in rows:
        confusion[0 if positives[image] else 1][0 if p >= threshold else 1] += 1
    n = len(positives)
    return {
        "name": name, "scheme": scheme, "n": n, "accuracy": around((confusion[0][0] + confusion[1][1]) / len(rows), 0.08),
        "sensitivity": around(confusion[0][0] / n, 0.1), "specificity": around(confusion[1][1] / n, 0.1),
        "auc": around(0.9, 0.05), "calibration_error": around(0.15, 0.05), "pooled_calibration_error": 0.1,
        "confusion": confusion,
    }  # fmt: skip


def compared(a: str, b: str, difference: float, needed: int | None, splits: list[tuple[int, int]]) -> dict[str, Any]:
    """Return a comparison that cannot tell."""
    tests = [
        {"repeat": repeat, "a_only": first, "b_only": second, "p": p}
        for repeat, ((first, second), p) in enumerate(zip(splits, (0.625, 1.0), strict=True), start=1)
    ]
    return {
        "a": a, "b": b, "difference": difference, "low": round(difference - 0.06, 4), "high": round(difference + 0.05, 4),
        "p": 0.7, "verdict": "cannot tell", "words": "…", "n": 24, "images_needed": needed, "mcnemar": tests,
    }  # fmt: skip


def write_study(rng: np.random.Generator) -> None:
    """Write a study of two arms, in float32 and int8, with its out-of-fold answers and a learning curve."""
    positives = np.arange(24) % 2 == 0
    answers: dict[tuple[str, str], Any] = {}
    for name, skill in (("single", 1.6), ("multi", 1.5)):
        noise = rng.normal(0, 1, (2, len(positives)))
        answers[name, "float32"] = draw_arm(rng, positives, noise, skill)
        answers[name, "int8-qat"] = draw_arm(rng, positives, noise + rng.normal(0, 0.1, noise.shape), skill)
    columns = (
        "arm,scheme,repeat,fold,training_images,image,label,answer,threshold,temperature,epoch,p(hemorrhage),p(normal)"
    )
    lines = [columns]
    for (name, scheme), rows in answers.items():
        for repeat, image, threshold, p in rows:
            said = ["hemorrhage" if yes else "normal" for yes in (positives[image], p >= threshold)]
            place = f"{name},{scheme},{repeat},{image % 3 + 1},all,patient-{image:03}.png"
            lines.append(f"{place},{said[0]},{said[1]},{threshold},1.5,4,{p:.6f},{1 - p:.6f}")
    place = "multi,float32,1,1,16,patient-000.png"
    lines.append(f"{place},hemorrhage,normal,0.5,1.0,1,0.400000,0.600000")  # a point of the learning curve
    (HERE / "answers.csv").write_text("\n".join(lines) + "\n")
    arms = [arm_entry(*key, rows, positives) for key, rows in answers.items()]
    bridge = compared("single/float32", "multi/float32", -0.0208, 5000, [(3, 1), (2, 2)])
    comparisons = [
        bridge,
        compared("single/int8-qat", "multi/int8-qat", 0.0, None, [(1, 1), (2, 2)]),
        compared("single/float32", "single/int8-qat", 0.0208, 700, [(0, 1), (1, 1)]),
        compared("multi/float32", "multi/int8-qat", -0.0417, 20, [(2, 1), (1, 0)]),
    ]
    curve = [
        {
            **arm_entry(name, "float32", answers[name, "float32"], positives),
            "images": images,
            "accuracy": around(value, 0.1),
        }
        for images, *values in ((8, 0.6, 0.7), (16, 0.8, 0.78))
        for name, value in zip(("single", "multi"), values, strict=True)
    ]
    tree = {
        "schema": "mstl-edge/study/1", "recipe": "phantom", "n": 24, "labels": ["hemorrhage", "normal"], "positive": "hemorrhage",
        "folds": 3, "repeats": 2, "patients_known": True, "threshold_rule": "Youden",
        "interval": "95 %, corrected resampled t (Nadeau and Bengio 2003)",
        "arms": arms, "comparisons": comparisons,
        "learning_curve": {"arms": curve, "comparisons": [{"images": 8, **bridge}]},
    }  # fmt: skip
    (HERE / "study.json").write_text(json.dumps(tree, indent=1) + "\n")


if __name__ == "__main__":
    generator = np.random.default_rng(5)
    write_run(generator)
    write_bench(generator)
    write_study(generator)
