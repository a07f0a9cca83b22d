r"""Measure what files say of their own doubt: do sets hold what they promise, are pictures unlike the training images noticed?

    python benchmarks/experiments/doubt/measure.py --out benchmarks/results/doubt.json --about data.txt \
        --far photographs=PHOTOS --far chest-x-rays=CHEST --near brain-mri=BRAIN_MRI \
        ct-hemorrhage-lite=runs/lite-0,runs/lite-1,runs/lite-2

Runs of one name are seeds of the same recipe and data; each is exported again where its files say no doubt. Sets and familiarity
are asked on each run's own test images, and counted by image: several seeds may answer the same one. Other pictures are those of
`--far` and `--near`, and the test images themselves inverted, turned by 90°, blurred and under noise.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from mstl_edge.artifact import Artifact, open_artifact
from mstl_edge.artifact.doubt import FamiliarityRecord
from mstl_edge.data.files.chosen import chosen_files
from mstl_edge.errors import DataError
from mstl_edge.metrics import decide, roc_auc
from mstl_edge.metrics.conformal import label_sets
from mstl_edge.preprocess import load_image
from mstl_edge.progress import SILENT
from mstl_edge.runs import RunFolder, open_run
from mstl_edge.runtime import load_runtime, pooled, to_input
from mstl_edge.schemas.export import EXPORT
from mstl_edge.storage import write_text
from mstl_edge.training._keras import versions
from mstl_edge.training.asking import Told, tell
from mstl_edge.training.trained import open_trained
from mstl_edge_bench.machine.host import describe_host

SCHEMA = "mstl-edge/doubt-measured/1"
MOST_OTHERS = 60
RESAMPLED = 2000
TURNS = 300
Pixels = NDArray[np.uint8]


def main() -> None:
    """Ask every run, and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN,RUN…")
    parser.add_argument("--far", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--near", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--about", type=Path, required=True, help="Text that names images and weights.")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    others = {kind: dict(pair.split("=", 1) for pair in getattr(options, kind)) for kind in ("far", "near")}
    entries = []
    for pair in options.runs:
        name, _, runs = pair.partition("=")
        entries.append({"name": name, **_measured([open_run(_exported(Path(run))) for run in runs.split(",")], others)})
    tree = {
        "schema": SCHEMA,
        "about": options.about.read_text(encoding="utf-8").strip(),
        "host": msgspec.to_builtins(describe_host()),
        "versions": versions(),
        "recipes": entries,
    }
    write_text(options.out, json.dumps(tree, indent=1, ensure_ascii=False) + "\n")


def _exported(run: Path) -> Path:
    """Export a run again where its int8 file says no doubt."""
    export = EXPORT.read(run / "exports" / "export.json", hint="Export the run.")
    card = open_artifact(run / export.model).card if export.model else None
    if card is None or card.doubt is None:
        finished = subprocess.run([sys.executable, "-m", "mstl_edge_cli", "export", str(run), "--int8"], check=False)
        if finished.returncode not in (0, 3):
            raise SystemExit(finished.returncode)
    return run


def _measured(runs: Sequence[RunFolder], others: dict[str, dict[str, str]]) -> dict[str, Any]:
    """Return what the files of several seeds say, together."""
    found: dict[str, Any] = {"seeds": len(runs), "refused": 0, "files": {}}
    rows: dict[str, list[dict[str, Any]]] = {"float32": [], "int8": []}
    for run in runs:
        export = EXPORT.read(run.exports / "export.json", hint="Export the run.")
        if export.model is None or export.float_model is None:
            found["refused"] += 1
            continue
        for scheme, path in (("float32", export.float_model), ("int8", export.model)):
            rows[scheme].append(_asked(open_artifact(run.path / path), run, others))
    found["files"] = {scheme: _together(told) for scheme, told in rows.items() if told}
    return found


def _asked(artifact: Artifact, run: RunFolder, others: dict[str, dict[str, str]]) -> dict[str, Any]:
    """Ask one file about its run's test images, and about pictures of other kinds."""
    card = artifact.card
    if card is None or card.doubt is None:
        raise SystemExit(f"{artifact.name} says no doubt")
    trained = open_trained(run, SILENT)
    images, classes = trained.data.part("test")
    names = [row.sha256 for row in trained.data.manifest.part("test")]
    told = tell(artifact.flatbuffer, images.pixels, threads=2)
    row: dict[str, Any] = {"names": names, "doubt": msgspec.to_builtins(card.doubt)}
    decided = decide(told.probabilities, positive=card.positive_index, threshold=card.threshold)
    row["right"] = (decided == classes).tolist()
    row["sure"] = told.probabilities[np.arange(len(decided)), decided].astype(float).tolist()
    if card.doubt.sets is not None:
        held = label_sets(told.probabilities, decided, card.doubt.sets.lowest)
        row["held"], row["single"] = held[np.arange(len(classes)), classes].tolist(), (held.sum(axis=1) == 1).tolist()
    if artifact.familiar is not None:
        row["time_share"] = _time_share(artifact, trained.pixels(images)[0])
        own = _scores(artifact, told)
        row["own"], row["bound"] = own.tolist(), _record(artifact).reach
        row["others"] = {
            name: {
                "kind": kind,
                "scores": _scores(artifact, tell(artifact.flatbuffer, pixels, threads=2)).tolist(),
            }
            for kind, name, pixels in _pictures(artifact, trained.pixels(images), _foreign(run, others))
        }
    return row


def _time_share(artifact: Artifact, image: Pixels) -> float:
    """Return the time that familiarity takes as a share of one inference's, medians of turns."""
    runtime, familiar, record = load_runtime(artifact), artifact.familiar, _record(artifact)
    assert familiar is not None
    assert runtime.feature_map is not None
    batch = to_input(image[None], runtime.input)
    _, features = runtime.invoke_with_map(batch)
    inference, doubt = [], []
    for _ in range(TURNS):
        started = time.perf_counter()
        runtime.invoke(batch)
        between = time.perf_counter()
        record.judge(familiar, pooled(features, runtime.feature_map))
        inference.append(between - started)
        doubt.append(time.perf_counter() - between)
    return float(np.median(doubt) / np.median(inference))


def _foreign(run: RunFolder, others: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Return the folders that are not what the run itself was trained on."""
    own = Path(run.recipe().stages[-1].data).resolve()
    return {
        kind: {name: folder for name, folder in sources.items() if Path(folder).resolve() != own}
        for kind, sources in others.items()
    }


def _record(artifact: Artifact) -> FamiliarityRecord:
    assert artifact.card is not None
    assert artifact.card.doubt is not None
    assert artifact.card.doubt.familiarity is not None
    return artifact.card.doubt.familiarity


def _scores(artifact: Artifact, told: Told) -> NDArray[np.float64]:
    familiar, record = artifact.familiar, _record(artifact)
    assert familiar is not None
    assert told.pooled is not None
    return np.array([record.judge(familiar, row[None])[0] for row in told.pooled])


def _pictures(artifact: Artifact, own: Pixels, others: dict[str, dict[str, str]]) -> Iterator[tuple[str, str, Pixels]]:
    """Yield pictures of other kinds: how near, name, `(n, size, size, 3)`."""
    draw = np.random.default_rng(0)
    changed: dict[str, Callable[[Pixels], Pixels]] = {
        "inverted": lambda image: 255 - image,
        "turned by 90°": lambda image: np.ascontiguousarray(np.rot90(image)),
        "mirrored top to bottom": lambda image: np.ascontiguousarray(image[::-1]),
        "blurred, σ 8": lambda image: np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(8))),
        "noise, σ 60": lambda image: np.clip(image + draw.normal(0, 60, image.shape), 0, 255).astype(np.uint8),
    }
    for name, change in changed.items():
        yield "near", name, np.stack([change(image) for image in own])
    for kind, sources in others.items():
        for name, folder in sources.items():
            yield kind, name, _some(artifact, folder)


def _some(artifact: Artifact, folder: str) -> Pixels:
    """Return a seeded choice of a folder's pictures, as the model sees them."""
    card = artifact.card
    assert card is not None
    files = [path for path in chosen_files([folder]) if "mask" not in path.name]
    pixels = []
    for number in np.random.default_rng(1).permutation(len(files)):
        try:
            pixels.append(load_image(files[int(number)], card.input.height, card.input.preprocess))
        except DataError:
            continue
        if len(pixels) == MOST_OTHERS:
            break
    return np.stack(pixels)


def _together(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Pool what several seeds' files said, by image."""
    names = [name for row in rows for name in row["names"]]
    told: dict[str, Any] = {"doubt": [row["doubt"] for row in rows], "images": len(set(names)), "answers": len(names)}

    def by_image(values: Sequence[float]) -> dict[str, float]:
        return _clustered(names, np.asarray(values, np.float64))

    right, sure = ([value for row in rows for value in row[key]] for key in ("right", "sure"))
    told["accuracy"] = by_image(right)
    told["curve"] = _curve(np.asarray(right, bool), np.asarray(sure))
    if all("held" in row for row in rows):
        held, single = ([value for row in rows for value in row[key]] for key in ("held", "single"))
        told["coverage"], told["single"] = by_image(held), by_image(single)
        alone = np.asarray(single, bool)
        told["accuracy_of_single"] = float(np.asarray(right, bool)[alone].mean()) if alone.any() else None
    if all("own" in row for row in rows):
        bounds = [row["bound"] for row in rows]
        passed = [value <= bound for row, bound in zip(rows, bounds, strict=True) for value in row["own"]]
        told["familiar"] = by_image(passed)
        told["time_share"] = float(np.mean([row["time_share"] for row in rows]))
        told["others"] = {
            name: {
                "kind": rows[0]["others"][name]["kind"],
                "auroc": float(np.mean([_auroc(row["own"], row["others"][name]["scores"]) for row in rows])),
                "told_apart": float(
                    np.mean(
                        [
                            np.mean(np.asarray(row["others"][name]["scores"]) > b)
                            for row, b in zip(rows, bounds, strict=True)
                        ]
                    )
                ),
                "pictures": len(rows[0]["others"][name]["scores"]),
            }
            for name in rows[0]["others"]
        }
    return told


def _auroc(own: Sequence[float], other: Sequence[float]) -> float:
    return roc_auc(np.r_[np.zeros(len(own), bool), np.ones(len(other), bool)], np.r_[own, other])


def _clustered(names: Sequence[str], values: NDArray[np.float64]) -> dict[str, float]:
    """Return a mean over answers, and its bootstrap interval over images."""
    _, image = np.unique(names, return_inverse=True)
    sums, counts = np.bincount(image, values), np.bincount(image)
    draw = np.random.default_rng(2).integers(len(sums), size=(RESAMPLED, len(sums)))
    means = sums[draw].sum(axis=1) / counts[draw].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return {"value": float(values.mean()), "low": float(low), "high": float(high)}


def _curve(right: NDArray[np.bool_], sure: NDArray[np.float64]) -> list[dict[str, float]]:
    """Return accuracy on the most certain tenths of the answers."""
    order = np.argsort(-sure, kind="stable")
    counts = [round(len(order) * tenth / 10) for tenth in range(1, 11)]
    return [
        {"answered": count / len(order), "accuracy": float(right[order[:count]].mean())} for count in counts if count
    ]


if __name__ == "__main__":
    main()
