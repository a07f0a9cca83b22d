"""What a gate judges on: images of the kind that the model is for, whose answers carry the verdict, and others told apart.

The exported file is judged on validation images and their views; where the target is drawn, further drawn ones are of its
kind, too. What earlier stages held out is another kind: evidence of its own, which carries no verdict. None of it is of the
test split, and none was learned from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mstl_edge.data.phantom import phantom_folder
from mstl_edge.data.pixels import load_pixels
from mstl_edge.data.sources import source_folder
from mstl_edge.data.splits import ManifestRow, load_manifest
from mstl_edge.preprocess import spec_digest
from mstl_edge.recipe import AugmentSpec
from mstl_edge.storage import digest
from mstl_edge.training.fitting.augment import draw_view
from mstl_edge.training.fitting.features import Images
from mstl_edge.training.trained import Trained

JUDGED_SEED = 7_919
"""Of drawn images that judge; a recipe's own phantoms use other seeds."""
VIEWS = 8
"""Of each image, itself among them: more would add little, since all views of one image are one image."""
MOST_VIEWS = 2_000
"""Answers that are enough: where there are so many images, fewer views of each are asked for."""
BESIDE = 200
"""Images of each other kind."""
PHANTOM = "phantom:"


@dataclass(frozen=True)
class Panel:
    """Images of one origin that judge.

    Attributes:
        origin: Where they are from, in words.
        carries: Whether they are of the kind that the model is for, so that a verdict may rest on them.
        pixels: `(n, views, height, width, 3) uint8`; the first view is the image itself.
        keys: One per image; equal keys mean equal pixels.
        classes: `(n,)` class numbers; None where the labels mean nothing to the model.
    """

    origin: str
    carries: bool
    pixels: NDArray[np.uint8]
    keys: tuple[bytes, ...]
    classes: NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def flat(self) -> NDArray[np.uint8]:
        """The pixels view by view, `(n · views, height, width, 3) uint8`."""
        return self.pixels.reshape(-1, *self.pixels.shape[2:])


@dataclass(frozen=True)
class Paired:
    """What a float and a quantized model said of the same images; see `Panel` for the shapes.

    Attributes:
        origin: Where the images are from.
        carries: See `Panel`.
        judged: `file` where the exported file itself answered, `procedure` where files made in the same way did.
        float_labels: `(n, views)` class numbers.
        quantized_labels: The same of the quantized model.
        differences: `(n, views)` mean difference in probability over the classes.
        largest_difference: In any probability.
        classes: `(n,)` class numbers, or None.
    """

    origin: str
    carries: bool
    judged: Literal["file", "procedure"]
    float_labels: NDArray[np.int64]
    quantized_labels: NDArray[np.int64]
    differences: NDArray[np.float64]
    largest_difference: float
    classes: NDArray[np.int64] | None

    @property
    def shares(self) -> NDArray[np.float64]:
        """The share of its views on which the two agree, `(n,)`."""
        return np.asarray((self.float_labels == self.quantized_labels).mean(axis=1))

    def correct(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return whether float and quantized were right, each `(n, views)`; no rows without labels."""
        if self.classes is None:
            nothing = np.zeros((0, 1), dtype=bool)
            return nothing, nothing
        truth = self.classes[:, np.newaxis]
        return np.asarray(self.float_labels == truth), np.asarray(self.quantized_labels == truth)


def pair(
    panel: Panel,
    floats: NDArray[np.float32],
    quantized: NDArray[np.float32],
    trained: Trained,
    *,
    procedure: bool = False,
) -> Paired:
    """Hold two models' answers to a panel against each other.

    Args:
        panel: The images.
        floats: `(n · views, classes)` probabilities of the float model, the views of an image one after the other.
        quantized: The same of the quantized one.
        trained: Says how probabilities become a label.
        procedure: Whether others than the exported file answered.
    """
    shape = panel.pixels.shape[:2]
    apart = np.abs(floats.astype(np.float64) - quantized.astype(np.float64))
    labels = [trained.decide(rows).reshape(shape) for rows in (floats, quantized)]
    return Paired(
        panel.origin,
        panel.carries,
        "procedure" if procedure else "file",
        labels[0],
        labels[1],
        apart.mean(axis=1).reshape(shape),
        float(apart.max(initial=0.0)),
        panel.classes,
    )


def validation_panel(trained: Trained) -> Panel:
    """Return the validation images and their views."""
    images, classes = trained.data.part("validation")
    return viewed_panel(trained, f"{trained.stage.name} validation", images, classes)


def viewed_panel(trained: Trained, origin: str, images: Images, classes: NDArray[np.int64]) -> Panel:
    """Return images of the target with views by the stage's own bounds (the defaults' where it trains without)."""
    count = max(1, min(VIEWS, MOST_VIEWS // max(len(images), 1)))
    return Panel(origin, True, views_of(images, trained.stage.augment, count), images.keys, classes)


def views_of(images: Images, augment: AugmentSpec, count: int) -> NDArray[np.uint8]:
    """Return `(n, count, height, width, 3) uint8`: each image and `count` − 1 random views of it."""
    rows = [
        [
            draw_view(np.asarray(images.pixels[i], dtype=np.uint8), view, augment, images.keys[i])
            for view in range(count)
        ]
        for i in range(len(images))
    ]
    return np.asarray(rows, dtype=np.uint8)


def other_panels(trained: Trained) -> Iterator[Panel]:
    """Yield what earlier stages held out, some of each; like the target or not, nobody knows, so it carries no verdict."""
    for stage in trained.recipe.stages[:-1]:
        manifest = load_manifest(trained.run.manifest(stage.name))
        rows = [row for row in manifest.rows if row.split != "train"]
        if rows:
            chosen = np.sort(np.random.default_rng(trained.seed).permutation(len(rows))[:BESIDE])
            yield _plain_panel(
                trained, f"{stage.name} held-out", source_folder(stage.data), [rows[i] for i in chosen], carries=False
            )


def drawn_panel(trained: Trained, wanted: int) -> Panel | None:
    """Return `wanted` further drawn images where the target itself is drawn, of a seed that no recipe uses; else None."""
    if not trained.stage.data.startswith(PHANTOM):
        return None
    kind = trained.stage.data.removeprefix(PHANTOM).partition("?")[0]
    folder = phantom_folder(kind, seed=JUDGED_SEED, count=max(wanted, 2))
    rows = [_drawn_row(folder, path) for path in sorted(folder.rglob("*.png"))[:wanted]]
    panel = _plain_panel(trained, "drawn like the target", folder, rows, carries=True)
    numbers = {label: number for number, label in enumerate(trained.labels)}
    classes = np.array([numbers[row.label] for row in rows], dtype=np.int64)
    return Panel(panel.origin, True, panel.pixels, panel.keys, classes)


def _plain_panel(trained: Trained, origin: str, folder: Path, rows: list[ManifestRow], *, carries: bool) -> Panel:
    """Return images as they are, one view each, without labels."""
    size, preprocess = trained.recipe.backbone.input_size, trained.recipe.preprocess
    pixels = load_pixels(folder, rows, size, preprocess)
    keys = tuple(digest(spec_digest(size, preprocess), row.sha256) for row in rows)
    block = np.asarray(pixels[np.arange(len(rows))], dtype=np.uint8)
    return Panel(origin, carries, block[:, np.newaxis], keys, None)


def _drawn_row(folder: Path, path: Path) -> ManifestRow:
    name = path.relative_to(folder).as_posix()
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    return ManifestRow(name=name, label=path.parent.name, group=name, split="validation", sha256=found)
