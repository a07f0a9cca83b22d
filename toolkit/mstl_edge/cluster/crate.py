"""What travels of a study: its plan, its decoded images and the weights that its arms begin with, each by its content.

A worker makes a study folder of it in its own cache, with the images in the cache of decoded ones, and does a task there as it is
done here: the same code on the same bytes. No file name leads out of that folder, and no shared disk is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mstl_edge.data.pixels import keep_pixels, load_pixels
from mstl_edge.data.sources import source_folder
from mstl_edge.data.splits import Manifest
from mstl_edge.planning.weights_at_hand import first_weights
from mstl_edge.recipe import NAMED_WEIGHTS, PreprocessSpec, Recipe
from mstl_edge.schemas.study_plan import STUDY_PLAN, Arm, StudyPlan
from mstl_edge.storage import cache_folder, digest, write_bytes
from mstl_edge.study.folder import StudyFolder, bridge_key, bridge_recipe

Content = bytes | NDArray[Any]
HERE = "crate:"
"""In front of a path below the folder that a worker unpacks into."""
DONE = "done:"
"""In front of what stands for a place that no worker looks at."""
IMAGES = "images"
WEIGHTS = "first-weights"


@dataclass(frozen=True)
class PixelSet:
    """Decoded images of one size and preprocessing.

    Attributes:
        size: Height and width in pixels.
        spec: The preprocessing.
        keys: SHA-256 of each image's file.
        content: Under which its `(n, size, size, 3) uint8` travels.
    """

    size: int
    spec: PreprocessSpec
    keys: tuple[bytes, ...]
    content: str


@dataclass(frozen=True)
class Crate:
    """A study as it travels.

    Attributes:
        files: Name below the study's folder → content.
        pixels: Decoded images.
    """

    files: Mapping[str, str]
    pixels: tuple[PixelSet, ...]

    @property
    def key(self) -> str:
        """Stands for everything in it."""
        return digest(
            *(part for pair in sorted(self.files.items()) for part in pair), *(one.content for one in self.pixels)
        ).hex()


def pack(study: StudyFolder) -> tuple[Crate, dict[str, Content]]:
    """Return a study as it travels, and its contents by their digest.

    Raises:
        MstlEdgeError: Images or weights are gone.
    """
    plan, manifest = study.plan(), study.manifest()
    contents: dict[str, Content] = {}

    def held(content: bytes) -> str:
        key = digest(content).hex()
        contents[key] = content
        return key

    unnamed = replace(manifest, source="")
    files = {study.manifest_file.name: held(msgspec.json.encode(unnamed))}
    arms = []
    for arm in plan.arms:
        travelling, extra = _travelling(arm, study)
        files |= {name: held(path.read_bytes()) for name, path in extra.items()}
        arms.append(travelling)
    carried = msgspec.structs.replace(plan, recipe=_without_places(plan.recipe), arms=tuple(arms))
    files[study.plan_file.name] = held(msgspec.json.encode(carried))
    pixels = []
    for size, spec in {(arm.recipe.backbone.input_size, arm.recipe.preprocess): None for arm in plan.arms}:
        array = _decoded(plan, manifest, size, spec)
        key = digest("pixels", str(size), array.tobytes()).hex()
        contents[key] = array
        pixels.append(PixelSet(size, spec, tuple(bytes.fromhex(row.sha256) for row in manifest.rows), key))
    return Crate(files, tuple(pixels)), contents


def unpack(crate: Crate, content_of: Callable[[str], Content]) -> StudyFolder:
    """Make a study folder of what travelled, in the cache; what is there already is not asked for again.

    Args:
        crate: From `pack`.
        content_of: Digest → content.

    Raises:
        MstlEdgeError: The disk does not take it.
    """
    study = StudyFolder(cache_folder("clusters", crate.key[:32]))
    for one in crate.pixels:
        keep_pixels(one.keys, one.size, one.spec, partial(_array, content_of, one.content))
    (study.path / IMAGES).mkdir(exist_ok=True)
    for name, content in crate.files.items():
        path = study.path / name
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            found = content_of(content)
            assert isinstance(found, bytes)
            if path == study.plan_file:
                STUDY_PLAN.write(path, _found_there(found, study.path))
            else:
                write_bytes(path, found)
    return study


def _array(content_of: Callable[[str], Content], content: str) -> NDArray[np.uint8]:
    return np.asarray(content_of(content), np.uint8)


def _travelling(arm: Arm, study: StudyFolder) -> tuple[Arm, dict[str, Path]]:
    """Return an arm that finds its weights and images below a worker's folder, and the files that it takes along."""
    recipe, extra = _without_places(arm.recipe), {}
    bridge, earlier = study.bridge(arm), bridge_recipe(recipe)
    if bridge is not None and earlier is not None:
        weights = bridge.stage(arm.recipe.stages[-2].name).weights
        extra[f"bridges/{bridge_key(earlier)}/{weights.relative_to(bridge.path)}"] = weights
    elif (path := first_weights(arm.recipe.backbone).path) is not None and arm.recipe.backbone.weights != "bundled":
        name = f"{WEIGHTS}/{digest(path.read_bytes()).hex()[:16]}/{path.name}"
        extra[name] = path
        recipe = msgspec.structs.replace(recipe, backbone=msgspec.structs.replace(recipe.backbone, weights=HERE + name))
    return msgspec.structs.replace(arm, recipe=recipe), extra


def _without_places(recipe: Recipe) -> Recipe:
    """Return a recipe that names no file of this machine: the last stage's images travel, what comes before them is done."""
    *earlier, last = recipe.stages
    done = [msgspec.structs.replace(stage, data=_unnamed(stage.data)) for stage in earlier]
    stages = (*done, msgspec.structs.replace(last, data=HERE + IMAGES))
    spec = recipe.backbone
    if spec.weights not in NAMED_WEIGHTS:
        spec = msgspec.structs.replace(spec, weights=_unnamed(spec.weights))
    return msgspec.structs.replace(recipe, backbone=spec, stages=stages)


def _unnamed(place: str) -> str:
    """Return what tells two places apart and names neither."""
    return DONE + digest(place).hex()[:16]


def _found_there(plan: bytes, folder: Path) -> StudyPlan:
    """Return a plan whose paths lead below a folder."""
    read = msgspec.json.decode(plan, type=StudyPlan)

    def there(recipe: Recipe) -> Recipe:
        last = msgspec.structs.replace(recipe.stages[-1], data=str(folder / IMAGES))
        spec = recipe.backbone
        if spec.weights.startswith(HERE):
            spec = msgspec.structs.replace(spec, weights=str(folder / spec.weights.removeprefix(HERE)))
        return msgspec.structs.replace(recipe, backbone=spec, stages=(*recipe.stages[:-1], last))

    arms = tuple(msgspec.structs.replace(arm, recipe=there(arm.recipe)) for arm in read.arms)
    return msgspec.structs.replace(read, recipe=there(read.recipe), arms=arms)


def _decoded(plan: StudyPlan, manifest: Manifest, size: int, spec: PreprocessSpec) -> NDArray[np.uint8]:
    rows = load_pixels(source_folder(plan.target.data), manifest.rows, size, spec)
    return np.asarray(rows[:], np.uint8)
