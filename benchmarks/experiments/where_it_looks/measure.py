r"""Measure what class maps are worth: do they hit what decides, do int8 and float agree, do they hang on the weights?

    python benchmarks/experiments/where_it_looks/measure.py --out benchmarks/results/where-it-looks.json \
        --drawn runs/head-ct-drawn head-ct=runs/head-ct brain-mri=runs/brain-mri breast-ultrasound=runs/breast-ultrasound

- *Pointing game* (Zhang et al. 2016) on newly drawn head CTs, whose lesions the phantom knows: of the bleeds that are called so,
  how many maps have their maximum in the lesion, one cell of tolerance. The control is the middle of the image, and a random cell.
- *Deletion and insertion* (Petsiuk et al. 2018) on the test images of each run: cells are taken away, or put in, in the order of
  the map, of random cells, and from the centre out; the mean probability of the answer on the way.
- *Float against int8*: Pearson correlation of the two files' maps of each image.
- *Randomised weights* (Adebayo et al. 2018): Spearman correlation of a map with that of the same network whose head, or whose
  trained layers and head, were drawn anew.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mstl_edge.artifact import Artifact, open_artifact, read_artifact
from mstl_edge.artifact.feature_output import with_feature_output
from mstl_edge.artifact.golden import encode_image
from mstl_edge.data import phantom
from mstl_edge.explain import Evidence, evidence_of
from mstl_edge.explain.occlusion import occlusion_maps
from mstl_edge.metrics import Interval, wilson
from mstl_edge.preprocess import load_image
from mstl_edge.progress import SILENT
from mstl_edge.runs import RunFolder, open_run
from mstl_edge.runtime import ask, load_runtime
from mstl_edge.storage import write_text
from mstl_edge.training._keras import versions
from mstl_edge.training.convert import to_float_flatbuffer
from mstl_edge.training.network.classifier import LOGITS, fresh_head, with_softmax
from mstl_edge.training.network.cut import trained_nodes
from mstl_edge.training.network.graph import Graph
from mstl_edge.training.network.passes.absorb import absorb_batch_norm
from mstl_edge.training.trained import Trained, open_trained
from mstl_edge_bench.lineup import exported_models
from mstl_edge_bench.machine.host import describe_host

SCHEMA = "mstl-edge/where-it-looks/1"
DRAWN_SEED, DRAWN_IMAGES = 2026, 400
"""Of head CTs that no recipe trains on."""
REDRAWN = 10
RESAMPLED = 2000
Pixels = NDArray[np.uint8]
Order = NDArray[np.int64]


def main() -> None:
    """Measure every run, and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN", help="Exported runs; their test images are asked.")
    parser.add_argument("--drawn", type=Path, required=True, help="An exported run on phantom:head-ct.")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    named = [pair.partition("=")[::2] for pair in options.runs]
    tree = {
        "schema": SCHEMA,
        "host": msgspec.to_builtins(describe_host()),
        "versions": versions(),
        "pointing": _pointing(open_run(options.drawn)),
        "runs": [{"name": name, **_measured(open_run(Path(run)))} for name, run in named],
    }
    write_text(options.out, json.dumps(tree, indent=1, ensure_ascii=False) + "\n")


class _File:
    """A model file that explains its answers, whether or not it was exported so."""

    def __init__(self, flatbuffer: bytes) -> None:
        artifact = read_artifact(flatbuffer)
        self._runtime, self._head = load_runtime(artifact), artifact.head
        if self._head is None:
            raise SystemExit("a file whose head is linear behind an average pooling is needed")

    def explain(self, pixels: Pixels) -> tuple[NDArray[np.float32], Evidence]:
        """Return probabilities and class maps."""
        return evidence_of(self._runtime, self._head, pixels)

    def answer(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return `(classes,)` probabilities."""
        return ask(self._runtime, pixels).probabilities


def _files(run: RunFolder) -> tuple[dict[str, _File], Artifact]:
    exported = exported_models(run)
    opened = {"float32": open_artifact(exported.float_model), "int8": open_artifact(exported.model)}
    return {name: _File(with_feature_output(one.flatbuffer)) for name, one in opened.items()}, opened["int8"]


def _pointing(run: RunFolder) -> dict[str, Any]:
    """Play the pointing game on newly drawn bleeds."""
    files, artifact = _files(run)
    card = artifact.card
    assert card is not None
    bleed = card.labels.index("hemorrhage")
    found: dict[str, list[int]] = {name: [] for name in (*files, "occlusion", "middle", "random")}
    called = dict.fromkeys(files, 0)
    draw = np.random.default_rng(DRAWN_SEED)
    for patient in range(DRAWN_IMAGES):
        drawn = phantom.draw("head-ct", "hemorrhage", seed=DRAWN_SEED, patient=patient)
        lesion = phantom.lesion("head-ct", "hemorrhage", seed=DRAWN_SEED, patient=patient)
        pixels = load_image(encode_image(drawn), card.input.height, card.input.preprocess)
        for name, file in files.items():
            shares, evidence = file.explain(pixels)
            if card.threshold is None or shares[bleed] < card.threshold:
                continue
            called[name] += 1
            grid = evidence.grid(bleed)
            near = _near(lesion, grid.shape)
            found[name].append(int(near.flat[grid.argmax()]))
            if name == "float32":
                found["middle"].append(int(near[near.shape[0] // 2, near.shape[1] // 2]))
                found["random"].append(int(near.flat[draw.integers(near.size)]))
            else:
                covered = Evidence("occlusion", occlusion_maps(file.answer, shares, pixels)).grid(bleed)
                found["occlusion"].append(int(_near(lesion, covered.shape).flat[covered.argmax()]))
    return {
        "size": card.input.height,
        "bleeds": DRAWN_IMAGES,
        "called_bleeds": called,
        "cells": list(grid.shape),
        "hit": {name: _share(sum(hits), len(hits)) for name, hits in found.items()},
    }


def _near(lesion: NDArray[np.bool_], cells: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the cells that the lesion touches, and their neighbours."""
    places = np.argwhere(lesion) * np.array(cells) // np.array(lesion.shape)
    near = np.zeros(cells, bool)
    for row, column in np.unique(places, axis=0):
        near[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2] = True
    return near


def _measured(run: RunFolder) -> dict[str, Any]:
    """Ask a run's files about its test images."""
    files, _ = _files(run)
    trained = open_trained(run, SILENT)
    images, _ = trained.data.part("test")
    pixels = trained.pixels(images)
    explained = {name: [file.explain(image) for image in pixels] for name, file in files.items()}
    decided = trained.decide(np.stack([shares for shares, _ in explained["float32"]]))
    grids = {
        name: [evidence.grid(int(number)) for (_, evidence), number in zip(rows, decided, strict=True)]
        for name, rows in explained.items()
    }
    alike = [_pearson(a, b) for a, b in zip(grids["float32"], grids["int8"], strict=True)]
    return {
        "images": len(pixels),
        "cells": list(grids["int8"][0].shape),
        "float_against_int8": {"mean": float(np.mean(alike)), "smallest": float(np.min(alike))},
        "curves": _curves(files["int8"], pixels, decided, grids["int8"]),
        "randomised": _randomised(trained, pixels, decided, grids["float32"]),
    }


def _curves(
    file: _File, pixels: Pixels, decided: Sequence[int], grids: Sequence[NDArray[np.float32]]
) -> dict[str, Any]:
    """Return the areas under deletion and insertion curves by order, and paired differences to the controls over images."""
    draw, cells = np.random.default_rng(DRAWN_SEED), grids[0].shape
    orders: dict[str, Callable[[int], Order]] = {
        "map": lambda number: np.argsort(-grids[number], axis=None, kind="stable"),
        "random": lambda _: draw.permutation(cells[0] * cells[1]),
        "centre": lambda _: _from_centre(cells),
    }
    areas: dict[str, dict[str, list[float]]] = {"deletion": {}, "insertion": {}}
    for number, (image, label) in enumerate(zip(pixels, decided, strict=True)):
        for name, order_of in orders.items():
            order = order_of(number)
            for way, rows in areas.items():
                rows.setdefault(name, []).append(_area(file, image, int(label), order, cells, way))
    return {
        way: {
            "area": {name: float(np.mean(values)) for name, values in rows.items()},
            "map_minus": {name: _difference(np.subtract(rows["map"], rows[name])) for name in ("random", "centre")},
        }
        for way, rows in areas.items()
    }


def _area(file: _File, image: Pixels, label: int, order: Order, cells: tuple[int, ...], way: str) -> float:
    """Return the mean probability of `label` while cells leave the image, or enter a plain one, in order."""
    plain = np.broadcast_to(np.rint(image.mean(axis=(0, 1))).astype(np.uint8), image.shape)
    begun, given = (image, plain) if way == "deletion" else (plain, image)
    shown = begun.copy()
    shares = [float(file.answer(shown)[label])]
    for cell in order:
        row, column = divmod(int(cell), cells[1])
        place = (_reach(row, cells[0], image.shape[0]), _reach(column, cells[1], image.shape[1]))
        shown[place] = given[place]
        shares.append(float(file.answer(shown)[label]))
    return float(np.mean(shares))


def _reach(number: int, cells: int, extent: int) -> slice:
    return slice(number * extent // cells, (number + 1) * extent // cells)


def _from_centre(cells: tuple[int, ...]) -> Order:
    rows, columns = np.indices(cells)
    distance = (rows - (cells[0] - 1) / 2) ** 2 + (columns - (cells[1] - 1) / 2) ** 2
    return np.argsort(distance, axis=None, kind="stable")


def _randomised(
    trained: Trained, pixels: Pixels, decided: Sequence[int], grids: Sequence[NDArray[np.float32]]
) -> dict[str, Any]:
    """Return the rank correlation of maps with those of networks that were partly drawn anew: mean, and mean of absolute values."""
    tail = set(trained_nodes(trained.network, trained.stage.unfreeze_from)) - {LOGITS}
    found = {}
    for name, redraw in {
        "head": lambda seed: fresh_head(trained.network, seed),
        "last block and head": lambda seed: fresh_head(
            _redrawn(trained.network, _last_block(tail, trained.network), seed), seed
        ),
        "trained layers and head": lambda seed: fresh_head(_redrawn(trained.network, tail, seed), seed),
    }.items():
        ranked = []
        for seed in range(REDRAWN):
            file = _File(with_feature_output(to_float_flatbuffer(absorb_batch_norm(with_softmax(redraw(seed), 1.0)))))
            ranked += [
                _spearman(grid, file.explain(image)[1].grid(int(number)))
                for image, number, grid in zip(pixels, decided, grids, strict=True)
            ]
        found[name] = {
            "mean": float(np.mean(ranked)),
            "mean_absolute": float(np.mean(np.abs(ranked))),
            "networks": REDRAWN,
        }
    return found


def _last_block(tail: set[str], network: Graph) -> set[str]:
    """Return the last two convolutions of the tail with what normalizes them."""
    order = [node.name for node in network.nodes if node.name in tail and node.name in network.weights]
    kernels = [name for name in order if network.weights[name][0].ndim == 4]
    return set(order[order.index(kernels[-2]) :])


def _redrawn(network: Graph, names: set[str], seed: int) -> Graph:
    """Return the network with the numbers of each named kernel in another order: the same scale, nothing that was learned."""
    draw = np.random.default_rng(seed)
    weights = {}
    for name in sorted(names & network.weights.keys()):
        kernel, *rest = network.weights[name]
        weights[name] = (
            [draw.permutation(kernel.reshape(-1)).reshape(kernel.shape), *rest] if kernel.ndim == 4 else [kernel, *rest]
        )
    return network.with_weights({**network.weights, **weights})


def _pearson(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.corrcoef(a.reshape(-1), b.reshape(-1))[0, 1])


def _spearman(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(a, b, axis=None).statistic)


def _difference(rows: NDArray[np.float64]) -> dict[str, float]:
    """Return the mean of paired differences with its bootstrap interval (percentiles, over images)."""
    draw = np.random.default_rng(DRAWN_SEED)
    means = rows[draw.integers(len(rows), size=(RESAMPLED, len(rows)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return {"value": float(rows.mean()), "low": float(low), "high": float(high)}


def _share(hits: int, n: int) -> dict[str, Any]:
    interval: Interval = wilson(hits, n)
    return {**msgspec.to_builtins(interval), "n": n}


if __name__ == "__main__":
    main()
