"""Tables of committed studies: `benchmarks/results/studies/NAME.json` each."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from typing import Any

from rendered.markdown import RESULTS, read, share, table

FOLDER = RESULTS / "studies"
VERDICT_COLUMNS = [
    "from → to",
    "accuracy, points (95 %)",
    "p",
    "exact p by repeat",
    "verdict",
    "images that would tell",
]


def tables() -> dict[str, Callable[[], str]]:
    """Return the tables of every committed study: `study-NAME`, and it with `-verdicts`, `-curve`,
    `-against-first` or `-networks`.
    """
    drawn: dict[str, Callable[[], str]] = {}
    for path in sorted(FOLDER.glob("*.json")):
        tree = json.loads(path.read_text(encoding="utf-8"))
        for suffix, draw in (
            ("", _arms),
            ("-verdicts", _verdicts),
            ("-curve", _curve),
            ("-against-first", _against_first),
            ("-networks", _networks),
        ):
            drawn[f"study-{path.stem}{suffix}"] = lambda draw=draw, tree=tree: draw(tree)  # type: ignore[misc]
    return drawn


def _arms(tree: Any) -> str:
    two = len(tree["labels"]) == 2
    rows = [
        [
            f"`{arm['name']}`",
            arm["scheme"],
            share(arm["accuracy"]),
            *(share(arm[name]) for name in (("sensitivity", "specificity") if two else ("macro_f1",))),
            *(_interval(arm[name]) for name in (("auc", "calibration_error") if two else ("calibration_error",))),
        ]
        for arm in tree["arms"]
    ]
    scores = ["sensitivity %", "specificity %", "AUC"] if two else ["macro-F1 %"]
    return table(["arm", _dealt(tree), "accuracy % (95 %)", *scores, "calibration error"], rows)


def _interval(told: Any) -> str:
    return "{value:.3f} ({low:.3f} to {high:.3f})".format(**told)


def _verdicts(tree: Any) -> str:
    """Return all comparisons, the primary one first and in bold."""
    return table(VERDICT_COLUMNS, (_verdict(told) for told in tree["comparisons"]))


def _curve(tree: Any) -> str:
    """Return accuracy by size and arm, and below it what the comparisons of each size came to."""
    points, comparisons = tree["learning_curve"]["arms"], tree["learning_curve"]["comparisons"]
    arms = list(dict.fromkeys(point["name"] for point in points))
    found = {(point["images"], point["name"]): point["accuracy"] for point in points}
    rows = [
        [str(images), *(share(found[images, arm]) for arm in arms)]
        for images in dict.fromkeys(point["images"] for point in points)
    ]
    accuracies = table(["training images", *(f"`{arm}` accuracy % (95 %)" for arm in arms)], rows)
    verdicts = table(["training images", *VERDICT_COLUMNS], ([told["images"], *_verdict(told)] for told in comparisons))
    return f"{accuracies}\n\n{verdicts}"


def _verdict(told: Any) -> list[str]:
    points, needed = _apart(told)
    exact = ", ".join(_p(one["p"]) for one in told["mcnemar"])
    named = f"{told['a']} → {told['b']}"
    return [f"**{named}**" if told["primary"] else named, points, _p(told["p"]), exact, told["verdict"], needed]


def _p(value: float) -> str:
    return f"{value:.2f}" if value >= 0.005 else "< 0.005"


def _against_first(tree: Any) -> str:
    """Return every arm in float beside the first one, in the order of what they are worth."""
    arms = {arm["name"]: arm for arm in tree["arms"] if arm["scheme"] == "float32"}
    first = next(iter(arms))
    apart = {told["b"]: told for told in tree["comparisons"] if told["a"] == f"{first}/float32"}
    by_worth = sorted(arms.values(), key=lambda arm: (-arm["accuracy"]["value"], -arm["auc"]["value"]))
    rows = [
        [
            f"`{arm['name']}`",
            f"{100 * arm['accuracy']['value']:.1f}",
            f"{arm['auc']['value']:.3f}",
            f"{arm['log_loss']['value']:.3f}",
            *(_apart(apart[f"{arm['name']}/float32"]) if arm["name"] != first else ("–", "–")),
        ]
        for arm in by_worth
    ]
    columns = ["accuracy %", "AUC", "log-loss", f"points from `{first}` (95 %)", "images that would tell"]
    return table([f"arm ({_dealt(tree)})", *columns], rows)


def _networks(tree: Any) -> str:
    """Return what decides between networks, the smallest int8 file first: accuracy, agreement and cost of each."""
    arms = {(arm["name"], arm["scheme"]): arm for arm in tree["arms"]}
    costs = {(row["arm"], row["scheme"]): row for row in tree["costs"]["rows"]}
    int8 = sorted((row for row in costs.values() if row["scheme"] != "float32"), key=lambda row: row["size_bytes"])
    origins = {arm["name"]: arm for arm in tree["provenance"]["arms"]}
    counts = read("network-instructions.json")
    counted = {
        (one["arm"], one["scheme"], one["core"]): one for one in counts["counts"] if counts["study"] == tree["recipe"]
    }
    cores = dict.fromkeys(core for _, _, core in counted)
    rows = [
        [
            f"`{row['arm']}`",
            share(arms[row["arm"], "float32"]["accuracy"]),
            share(arms[row["arm"], row["scheme"]]["accuracy"]),
            _agreement(arms[row["arm"], row["scheme"]]["float_agreement"]),
            f"{row['parameters'] / 1e6:.2f}",
            f"{row['macs'] / 1e6:.0f}",
            f"{row['size_bytes'] / 1000:,.0f}",
            _milliseconds(costs[row["arm"], "float32"]),
            _milliseconds(row),
            *(
                " / ".join(
                    f"{counted[row['arm'], scheme, core]['instructions'] / 1e6:.0f}"
                    for scheme in ("float32", row["scheme"])
                )
                for core in cores
            ),
            f"{origins[row['arm']]['training_seconds']:.0f}",
            f"{100 * statistics.median(origins[row['arm']]['moved'].values()):.1f}",
        ]
        for row in int8
    ]
    where = f"{tree['costs']['host']}, {tree['costs']['runtime']}, one thread"
    columns = [
        f"network ({_dealt(tree)})",
        "float32 accuracy % (95 %)",
        "int8",
        "int8 answers as float32 %",
        "parameters, M",
        "MACs, M",
        "int8 kB",
        f"float32 ms ({where})",
        "int8 ms",
        *(f"M instructions, emulated {core}, float32 / int8" for core in cores),
        "training a fold, s",
        "layers moved by, % (median)",
    ]
    return table(columns, rows)


def _agreement(by_class: Any) -> str:
    n = sum(one["n"] for one in by_class)
    return f"{100 * sum(one['n'] * one['agreement']['value'] for one in by_class) / n:.1f}"


def _milliseconds(row: Any) -> str:
    return f"{'' if row['valid'] else '~'}{row['latency_ms']['value']:.3g}"


def _apart(told: Any) -> tuple[str, str]:
    """Return a difference in points, and how many images would show one of that size where these cannot."""
    points = "{:+.1f} ({:+.1f} to {:+.1f})".format(*(100 * told[key] for key in ("difference", "low", "high")))
    needed = told["images_needed"]
    # So many are there already: the folds differ more than the images alone explain.
    shown = told["verdict"] == "cannot tell" and needed is not None and needed > told["n"]
    return points, f"{needed:,}" if shown else "–"


def _dealt(tree: Any) -> str:
    repeats = f"{tree['repeats']} repeat{'s' * (tree['repeats'] > 1)}"
    return f"{tree['n']} images, {tree['folds']} folds, {repeats}, fold seed {tree['fold_seed']}"
