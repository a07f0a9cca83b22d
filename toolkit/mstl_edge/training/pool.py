"""Images beside the target's own: what the gate judges agreement on, and what fine-tuning learns the float model's answers from.

The two never share an image, and neither takes one from the target's test split.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mstl_edge.data.phantom import phantom_folder
from mstl_edge.data.pixels import load_pixels
from mstl_edge.data.sources import source_folder
from mstl_edge.data.splits import ManifestRow, load_manifest
from mstl_edge.preprocess import spec_digest
from mstl_edge.progress import Reporter
from mstl_edge.storage import digest
from mstl_edge.training.features import Images
from mstl_edge.training.gate import Pool
from mstl_edge.training.trained import Trained

JUDGED_SEED, LEARNED_SEED = 7_919, 7_920
"""Of the drawn images on either side; a recipe's own phantoms use other seeds."""
BESIDE = 48
"""Images of each unlabelled source that bias correction looks at, beside the training split's."""
UNLABELLED = 800
"""Images that fine-tuning learns the float model's answers from."""


def gather_pool(trained: Trained, wanted: int, reporter: Reporter) -> Pool:
    """Return at least `wanted` images that no stage trained on: the validation split, then unlabelled ones.

    Args:
        trained: The run.
        wanted: How many images agreement is judged on.
        reporter: Told where they come from.
    """
    validation, classes = trained.data.part("validation")
    blocks = [trained.pixels(validation)]
    origins = {f"{trained.stage.name} validation": len(validation)}
    for name, images in _earlier(trained, trained_on=False):
        missing = wanted - sum(origins.values())
        if missing > 0:
            blocks.append(trained.pixels(_some(images, missing, trained.seed)))
            origins[name] = len(blocks[-1])
    missing = wanted - sum(origins.values())
    if missing > 0:
        blocks.append(trained.pixels(_drawn(trained, JUDGED_SEED, missing)))
        origins["drawn"] = len(blocks[-1])
    reporter.say("gate: " + ", ".join(f"{count} {name} images" for name, count in origins.items()))
    return Pool(np.concatenate(blocks), classes, origins)


def gather_unlabelled(trained: Trained) -> list[Images]:
    """Return images whose labels mean nothing to the target: those that earlier stages were trained on, and drawn ones."""
    earlier = [images for _, images in _earlier(trained, trained_on=True)]
    share = UNLABELLED // (len(earlier) + 1)
    return [*(_some(images, share, trained.seed) for images in earlier), _drawn(trained, LEARNED_SEED, share)]


def gather_beside(trained: Trained) -> NDArray[np.uint8]:
    """Return a few of the unlabelled images, for the mean errors that bias correction balances."""
    few = [_some(images, BESIDE, trained.seed) for images in gather_unlabelled(trained)]
    return np.concatenate([trained.pixels(images) for images in few])


def _earlier(trained: Trained, *, trained_on: bool) -> list[tuple[str, Images]]:
    found = []
    for stage in trained.recipe.stages[:-1]:
        folder = source_folder(stage.data)
        manifest = load_manifest(trained.run.manifest(stage.name))
        rows = [row for row in manifest.rows if (row.split == "train") == trained_on]
        if rows:
            found.append((f"{stage.name} {'training' if trained_on else 'held-out'}", _images(trained, folder, rows)))
    return found


def _drawn(trained: Trained, seed: int, count: int) -> Images:
    folder = phantom_folder("head-ct", seed=seed, count=max(count, 2))
    files = sorted(folder.rglob("*.png"))[:count]
    rows = [_drawn_row(folder, path) for path in files]
    return _images(trained, folder, rows)


def _drawn_row(folder: Path, path: Path) -> ManifestRow:
    name = path.relative_to(folder).as_posix()
    return ManifestRow(
        name=name,
        label=path.parent.name,
        group=name,
        split="train",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def _images(trained: Trained, folder: Path, rows: list[ManifestRow]) -> Images:
    size, preprocess = trained.recipe.backbone.input_size, trained.recipe.preprocess
    spec_key = spec_digest(size, preprocess)
    return Images(load_pixels(folder, rows, size, preprocess), tuple(digest(spec_key, row.sha256) for row in rows))


def _some(images: Images, count: int, seed: int) -> Images:
    """Return a seeded choice: files lie in the order of their classes, and the first ones are all of one class."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(images))[:count])
    return Images(images.pixels.select(chosen), tuple(images.keys[i] for i in chosen))
