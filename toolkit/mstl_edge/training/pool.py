"""Images that no stage trained on, for the gate: validation first, then other stages' held-out images, then drawn ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mstl_edge.data.phantom import phantom_folder
from mstl_edge.data.pixels import load_pixels
from mstl_edge.data.sources import open_source
from mstl_edge.data.splits import load_manifest
from mstl_edge.preprocess import load_image
from mstl_edge.progress import Reporter
from mstl_edge.training.gate import Pool
from mstl_edge.training.trained import Trained

DRAWN_SEED = 7_919
"""Of the drawn images in the pool; a recipe's own phantoms use other seeds."""


def gather_pool(trained: Trained, wanted: int, reporter: Reporter) -> Pool:
    """Return at least `wanted` images: the stage's validation split, then unlabelled ones.

    Args:
        trained: The run.
        wanted: How many images agreement is judged on.
        reporter: Told where they come from.
    """
    validation, classes = trained.data.part("validation")
    blocks = [trained.pixels(validation)]
    origins = {f"{trained.stage.name} validation": len(validation)}
    for name, pixels in (*_held_out(trained), *_drawn(trained, wanted)):
        missing = wanted - sum(len(block) for block in blocks)
        if missing <= 0:
            break
        blocks.append(pixels[:missing])
        origins[name] = len(blocks[-1])
    reporter.say("gate: " + ", ".join(f"{count} {name} images" for name, count in origins.items()))
    return Pool(np.concatenate(blocks), classes, origins)


def _held_out(trained: Trained) -> list[tuple[str, NDArray[np.uint8]]]:
    """Return the images that earlier stages kept out of training."""
    recipe = trained.recipe
    found = []
    for stage in recipe.stages[:-1]:
        source = open_source(stage.data, patient=stage.split.patient, column=stage.split.column)
        rows = [row for row in load_manifest(trained.run.manifest(stage.name)).rows if row.split != "train"]
        if rows:
            pixels = load_pixels(source.folder, rows, recipe.backbone.input_size, recipe.preprocess)
            found.append((f"{stage.name} held-out", np.asarray(pixels[np.arange(len(rows))], dtype=np.uint8)))
    return found


def _drawn(trained: Trained, wanted: int) -> list[tuple[str, NDArray[np.uint8]]]:
    folder = phantom_folder("head-ct", seed=DRAWN_SEED, count=wanted)
    files = sorted(folder.rglob("*.png"))[:wanted]
    size, preprocess = trained.recipe.backbone.input_size, trained.recipe.preprocess
    return [("drawn", np.stack([load_image(path, size, preprocess) for path in files]))]
