"""The images of one stage: dealt out once, refused where an earlier stage has seen them, and decoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mstl_edge.counted import counted
from mstl_edge.data.pixels import load_pixels
from mstl_edge.data.seen import Seen, look_at
from mstl_edge.data.sources import Split, source_folder
from mstl_edge.data.splits import Manifest, load_manifest, split_source
from mstl_edge.errors import DataError
from mstl_edge.planning.positive import ignored_positive, positive_class
from mstl_edge.preprocess import spec_digest
from mstl_edge.progress import Reporter
from mstl_edge.recipe import Recipe, StageSpec
from mstl_edge.runs import RunFolder
from mstl_edge.storage import digest
from mstl_edge.training.fitting.features import Images


@dataclass(frozen=True)
class StageData:
    """The images of one stage, read and dealt out."""

    manifest: Manifest
    images: Images
    classes: NDArray[np.int64]

    def part(self, split: Split) -> tuple[Images, NDArray[np.int64]]:
        """Return the images of one split and their class numbers."""
        chosen = np.array([i for i, row in enumerate(self.manifest.rows) if row.split == split], dtype=np.int64)
        keys = tuple(self.images.keys[i] for i in chosen)
        return Images(self.images.pixels.select(chosen), keys), self.classes[chosen]


def deal_stage(
    recipe: Recipe, stage: StageSpec, earlier: Mapping[str, Manifest], seen: Seen | None, reporter: Reporter
) -> Manifest:
    """Read every file of the stage's data once, and deal out the images.

    Args:
        recipe: Says how an image is read, and the seed.
        stage: Whose data.
        earlier: The manifests of the stages before it, by name.
        seen: The data, where somebody has read them already.
        reporter: Told of progress.

    Raises:
        DataError: The data set cannot be used, or shares an image with what an earlier stage is trained on.
    """
    found = seen or look_at(stage, recipe.preprocess, reporter)
    manifest = split_source(found.source, found.scan, stage.split, seed=recipe.seed)
    positive_class(stage, manifest.labels)
    refuse_overlap(stage, manifest, earlier)
    return manifest


def prepare_stage(recipe: Recipe, stage: StageSpec, run: RunFolder, reporter: Reporter) -> StageData:
    """Read the images of a stage that was dealt out.

    Raises:
        DataError: The manifest or the data set is gone, or a file is another one than when it was dealt.
    """
    manifest = load_manifest(run.manifest(stage.name))
    _tell(stage, manifest, reporter)
    return read_images(recipe, stage, manifest, source_folder(stage.data), reporter)


def read_images(recipe: Recipe, stage: StageSpec, manifest: Manifest, folder: Path, reporter: Reporter) -> StageData:
    """Return the images of a manifest, decoded.

    Args:
        recipe: Says how an image becomes an array.
        stage: Named in the progress bar.
        manifest: Which images.
        folder: What the manifest's names are relative to.
        reporter: Shown while images are decoded.

    Raises:
        DataError: A file is gone, damaged, or another one than when the manifest was made.
    """
    size = recipe.backbone.input_size
    with reporter.bar(f"{stage.name}: decoding images", len(manifest.rows)) as advance:
        pixels = load_pixels(folder, manifest.rows, size, recipe.preprocess, advance=advance)
    spec_key = spec_digest(size, recipe.preprocess)
    keys = tuple(digest(spec_key, row.sha256) for row in manifest.rows)
    numbers = {label: number for number, label in enumerate(manifest.labels)}
    classes = np.array([numbers[row.label] for row in manifest.rows], dtype=np.int64)
    return StageData(manifest, Images(pixels, keys), classes)


def _tell(stage: StageSpec, manifest: Manifest, reporter: Reporter) -> None:
    counts = ", ".join(f"{split} {len(manifest.part(split))}" for split in ("train", "validation", "test"))
    patients = "" if manifest.patients_known else "; patients unknown, near-duplicates kept together"
    reporter.say(f"{stage.name}: {' / '.join(manifest.labels)}; {counts}{patients}")
    for remark in manifest.remarks():
        reporter.say(f"{stage.name}: {remark}")
    if manifest.unreadable:
        first = ", ".join(f"{entry.name} ({entry.reason})" for entry in manifest.unreadable[:5])
        reporter.say(f"{stage.name}: {counted(len(manifest.unreadable), 'unreadable file')} left out: {first}")
    if ignored := ignored_positive(stage, manifest.labels):
        reporter.say(ignored)


def refuse_overlap(stage: StageSpec, manifest: Manifest, earlier: Mapping[str, Manifest]) -> None:
    """Refuse data of `stage` that is not its training part and that an earlier stage has seen.

    Raises:
        DataError: An image is in both.
    """
    judged = {row.sha256: row.name for row in manifest.rows if row.split != "train"}
    for name, other in earlier.items():
        for row in other.rows:
            if row.sha256 in judged:
                raise DataError(
                    f"data of stage {stage.name} that stage {name} has not seen",
                    received=f"{judged[row.sha256]}, which is {row.name} there",
                    hint=f"Name another data set: --data {stage.name}=PATH",
                )
